//! Texts that repeat, each kept once, and their alphabetical order.

use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Texts with a number each, in order of arrival. They are bounded by the findings that bring them.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: HashTable<u32>,
    texts: Vec<Box<str>>,
    /// Names come from bots, so the hash has a random seed.
    hasher: RandomState,
    bytes: usize,
    /// The last one asked for: findings of one file or bot come in a row.
    last: u32,
    /// Sorted when first asked for, and again after new names.
    order: RwLock<Option<Arc<Order>>>,
}

/// The alphabetical order of names.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Ids, sorted by text.
    pub(super) sorted: Vec<u32>,
    /// By id: its place in `sorted`.
    pub(super) rank: Vec<u32>,
}

impl Names {
    /// The number of `text`, a new one if it is new.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if self.text(self.last) == Some(text) {
            return self.last;
        }
        self.last = match self.id(text) {
            Some(id) => id,
            None => self.insert(text),
        };
        self.last
    }

    fn insert(&mut self, text: &str) -> u32 {
        let id = self.texts.len() as u32;
        self.bytes += text.len();
        self.texts.push(text.into());
        let (texts, hasher) = (&self.texts, &self.hasher);
        let hash = |id: &u32| {
            texts
                .get(*id as usize)
                .map_or(0, |text| hasher.hash_one(text))
        };
        self.ids.insert_unique(hash(&id), id, hash);
        id
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        let is = |id: &u32| self.text(*id) == Some(text);
        self.ids.find(self.hasher.hash_one(text), is).copied()
    }

    pub(super) fn text(&self, id: u32) -> Option<&str> {
        self.texts.get(id as usize).map(AsRef::as_ref)
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The order of all names there are. After new ones the old order is a sorted run, which the
    /// standard sort merges instead of starting over.
    pub(super) fn order(&self) -> Arc<Order> {
        let known = self.order.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = self.if_whole(known.as_ref()) {
            return order;
        }
        drop(known);
        let mut known = self.order.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = self.if_whole(known.as_ref()) {
            return order; // another reader was first
        }
        let order = Arc::new(self.sort(known.as_deref()));
        *known = Some(Arc::clone(&order));
        order
    }

    fn if_whole(&self, order: Option<&Arc<Order>>) -> Option<Arc<Order>> {
        order
            .filter(|order| order.rank.len() == self.texts.len())
            .cloned()
    }

    fn sort(&self, before: Option<&Order>) -> Order {
        let mut sorted = before.map_or_else(Vec::new, |order| order.sorted.clone());
        let mut fresh: Vec<u32> = (sorted.len() as u32..self.texts.len() as u32).collect();
        fresh.sort_by_key(|id| self.text(*id));
        sorted.extend(fresh);
        sorted.sort_by_key(|id| self.text(*id));
        let mut rank = vec![0; sorted.len()];
        for (place, id) in sorted.iter().enumerate() {
            if let Some(rank) = rank.get_mut(*id as usize) {
                *rank = place as u32;
            }
        }
        Order { sorted, rank }
    }

    /// Places in the order of the names that begin with `prefix`.
    pub(super) fn with_prefix(&self, order: &Order, prefix: &str) -> std::ops::Range<u32> {
        let text = |id: &u32| self.text(*id).unwrap_or_default();
        let start = order.sorted.partition_point(|id| text(id) < prefix);
        let rest = order.sorted.get(start..).unwrap_or_default();
        let length = rest.partition_point(|id| text(id).starts_with(prefix));
        start as u32..(start + length) as u32
    }

    pub(super) fn weight(&self) -> usize {
        /// The pointer to the text, its id and the table's spare room, its order.
        const PER_NAME: usize = 16 + 10 + 8;
        self.bytes + self.texts.capacity() * PER_NAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number() {
        let mut names = Names::default();
        let ids: Vec<u32> = ["b", "a", "b", "b", "c"].map(|t| names.intern(t)).to_vec();
        assert_eq!(ids, [0, 1, 0, 0, 2]);
        assert_eq!((names.id("c"), names.text(1)), (Some(2), Some("a")));
        assert_eq!(names.id("d"), None);
    }

    #[test]
    fn the_order_follows_new_names() {
        let mut names = Names::default();
        for text in ["src/b", "src/a", "doc"] {
            names.intern(text);
        }
        assert_eq!(names.order().sorted, [2, 1, 0]);
        names.intern("src/aa");
        let order = names.order();
        assert_eq!(order.sorted, [2, 1, 3, 0]);
        assert_eq!(order.rank, [3, 1, 0, 2]);
        assert_eq!(names.with_prefix(&order, "src/a"), 1..3);
        assert_eq!(names.with_prefix(&order, "src/"), 1..4);
        assert!(names.with_prefix(&order, "x").is_empty());
    }
}
