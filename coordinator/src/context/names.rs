//! Texts that repeat, each kept once, with the findings that have them.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::load::CLASSES;
use super::texts::{Span, Texts};

/// Up to so many names are compared one by one: that takes less time than a hash, and no table.
const FEW: usize = 8;
/// Positions kept without an allocation: most rules and files of a session have few findings.
const INLINE: usize = 4;

/// What is no name's number.
pub(super) const NAMELESS: u32 = u32::MAX;

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Category,
    Rule,
    File,
    Element,
}

/// How many kinds there are.
const KINDS: usize = 4;

/// Positions of findings, ascending.
pub(super) type Postings = SmallVec<[u32; INLINE]>;

/// One name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    text: Span,
    /// Its hash, once there is a table.
    hash: u64,
    kind: Kind,
    /// Of a rule: the category it came with last, which it will come with again.
    category: u32,
    /// The findings that have it; of a rule, category or file.
    pub(super) postings: Postings,
    /// Of a rule: its open findings by weight class. Of a category: the first is all of them.
    pub(super) open: [u32; CLASSES],
}

/// Names of all kinds with a number each, in order of arrival. They are bounded by the findings that
/// bring them.
#[derive(Clone, Debug)]
pub(super) struct Names {
    entries: Vec<Entry>,
    table: HashTable<u32>,
    /// The categories among them, which are few and shown all.
    categories: SmallVec<[u32; FEW]>,
    /// By kind, the last one asked for: findings of one file or rule come in a row.
    last: [u32; KINDS],
}

impl Default for Names {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            table: HashTable::new(),
            categories: SmallVec::new(),
            last: [NAMELESS; KINDS],
        }
    }
}

/// Names come from bots of one's own fleet, and a context is not served to strangers: a fixed seed
/// costs nothing to make. (`index` hashes with a random one.)
#[inline]
fn hash(kind: Kind, text: &str) -> u64 {
    let mut hasher = FixedState::with_seed(kind as u64).build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Names {
    /// The number of `text`, a new one if it is new.
    #[inline]
    pub(super) fn intern(&mut self, kind: Kind, text: &str, texts: &mut Texts) -> u32 {
        let last = self.last.get(kind as usize).copied().unwrap_or(NAMELESS);
        if self.is(last, text, texts) {
            return last;
        }
        let hash = self.hash_of(kind, text);
        let id = match self.find(kind, text, hash, texts) {
            Some(id) => id,
            None => self.insert(kind, text, hash, texts),
        };
        if let Some(last) = self.last.get_mut(kind as usize) {
            *last = id;
        }
        id
    }

    /// The number of the category `text` of a finding of `rule`: rules stay in one category, so that
    /// it is seldom looked for.
    #[inline]
    pub(super) fn intern_category(&mut self, rule: u32, text: &str, texts: &mut Texts) -> u32 {
        let usual = self.entry(rule).map_or(NAMELESS, |rule| rule.category);
        if self.is(usual, text, texts) {
            return usual;
        }
        let id = self.intern(Kind::Category, text, texts);
        if let Some(rule) = self.entry_mut(rule) {
            rule.category = id;
        }
        id
    }

    #[inline]
    fn is(&self, id: u32, text: &str, texts: &Texts) -> bool {
        let entry = self.entries.get(id as usize);
        entry.is_some_and(|entry| texts.is(entry.text, text))
    }

    /// The number of `text`, if it is known.
    pub(super) fn id(&self, kind: Kind, text: &str, texts: &Texts) -> Option<u32> {
        self.find(kind, text, self.hash_of(kind, text), texts)
    }

    /// The hash of `text`, once there is a table.
    #[inline]
    fn hash_of(&self, kind: Kind, text: &str) -> Option<u64> {
        (!self.table.is_empty()).then(|| hash(kind, text))
    }

    /// As [`Names::id`], given its hash where there is a table.
    #[inline]
    fn find(&self, kind: Kind, text: &str, hash: Option<u64>, texts: &Texts) -> Option<u32> {
        let is = |entry: &Entry| entry.kind == kind && texts.is(entry.text, text);
        let Some(hash) = hash else {
            return self.entries.iter().position(is).map(|id| id as u32);
        };
        let found = self.table.find(hash, |id| {
            let entry = self.entries.get(*id as usize);
            entry.is_some_and(|entry| entry.hash == hash && is(entry))
        });
        found.copied()
    }

    fn insert(&mut self, kind: Kind, text: &str, hashed: Option<u64>, texts: &mut Texts) -> u32 {
        let id = self.entries.len() as u32;
        self.entries.push(Entry {
            text: texts.push(text),
            hash: hashed.unwrap_or_default(),
            kind,
            category: NAMELESS,
            postings: Postings::new(),
            open: [0; CLASSES],
        });
        if kind == Kind::Category {
            self.categories.push(id);
        }
        if hashed.is_some() {
            self.enter(id);
        } else if self.entries.len() > FEW {
            // The table takes the first names when it is first needed.
            for entry in &mut self.entries {
                entry.hash = hash(entry.kind, texts.get(entry.text));
            }
            (0..=id).for_each(|id| self.enter(id));
        }
        id
    }

    /// Enters a name into the table.
    fn enter(&mut self, id: u32) {
        let entries = &self.entries;
        let hash = |id: &u32| entries.get(*id as usize).map_or(0, |entry| entry.hash);
        self.table.insert_unique(hash(&id), id, hash);
    }

    pub(super) fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)
    }

    #[inline]
    pub(super) fn entry_mut(&mut self, id: u32) -> Option<&mut Entry> {
        self.entries.get_mut(id as usize)
    }

    #[inline]
    pub(super) fn text<'t>(&self, id: u32, texts: &'t Texts) -> &'t str {
        self.entry(id).map_or("", |entry| texts.get(entry.text))
    }

    /// Categories with their text, in order of arrival.
    pub(super) fn categories<'t>(
        &'t self,
        texts: &'t Texts,
    ) -> impl Iterator<Item = (&'t str, &'t Entry)> {
        let entries = self.categories.iter().filter_map(|id| self.entry(*id));
        entries.map(|entry| (texts.get(entry.text), entry))
    }

    /// Rules with their text, in order of arrival.
    pub(super) fn rules<'t>(
        &'t self,
        texts: &'t Texts,
    ) -> impl Iterator<Item = (&'t str, &'t Entry)> {
        let entries = self.entries.iter();
        let rules = entries.filter(|entry| entry.kind == Kind::Rule);
        rules.map(|entry| (texts.get(entry.text), entry))
    }

    /// Bytes it takes, about, without the texts.
    pub(super) fn weight(&self) -> usize {
        let spilled = self.entries.iter().filter(|e| e.postings.spilled());
        let lists: usize = spilled.map(|e| e.postings.capacity() * 4).sum();
        lists + self.entries.capacity() * size_of::<Entry>() + self.table.capacity() * 5
    }
}
