//! One page: the findings that pass, those after the cursor, the first of them in order.

use std::sync::Arc;

use fleet_worker_sdk::{Error, Result};

use super::matcher::Matcher;
use super::names::Order;
use super::query::{Cursor, FindingView, MAX_PAGE, Page, PageQuery, Sort};
use super::{Index, Row};

/// Sorts findings: two numbers of the order, then the position, which makes it unique.
type Key = [u32; 3];

pub(super) fn of(index: &Index, query: &PageQuery) -> Result<Page> {
    let limit = query.limit.clamp(1, MAX_PAGE);
    let mut matcher = Matcher::new(index, &query.filter);
    let keys = Keys::new(index, query.sort);
    let after = match &query.after {
        Some(cursor) => Some(keys.of_cursor(cursor)?),
        None => None,
    };
    let selected = match (matcher.counted(), query.sort) {
        (Some(total), Sort::Severity) => by_class(index, &mut matcher, after, limit, total),
        (Some(total), Sort::Newest) => newest(index, &mut matcher, after, limit, total),
        _ => Selection::of(index, &mut matcher, &keys, after, limit),
    };
    let views = selected.positions.iter().filter_map(|at| index.view(*at));
    let findings: Vec<FindingView> = views.collect();
    let last = findings.last().filter(|_| selected.more);
    let next = last.map(|last| Cursor {
        sort: query.sort,
        after: last.identified.fingerprint,
    });
    Ok(Page {
        total: selected.total,
        next,
        findings,
    })
}

/// What gives a finding its place in an order.
struct Keys<'a> {
    index: &'a Index,
    sort: Sort,
    /// Of paths or of rules.
    order: Arc<Order>,
}

impl<'a> Keys<'a> {
    fn new(index: &'a Index, sort: Sort) -> Self {
        let order = match sort {
            Sort::Path => index.files.order(),
            Sort::Rule => index.rule_names.order(),
            Sort::Severity | Sort::Newest => Arc::default(),
        };
        Self { index, sort, order }
    }

    fn of(&self, position: u32, row: &Row) -> Key {
        let rank = |id: u32| {
            self.order
                .rank
                .get(id as usize)
                .copied()
                .unwrap_or(u32::MAX)
        };
        match self.sort {
            Sort::Severity => [row.class as u32, 0, position],
            Sort::Path => [rank(row.file), row.line, position],
            Sort::Rule => [rank(row.rule), 0, position],
            Sort::Newest => [0, 0, u32::MAX - position],
        }
    }

    fn of_cursor(&self, cursor: &Cursor) -> Result<Key> {
        if cursor.sort != self.sort {
            let why = format!(
                "it is of the order by {}, not by {}",
                cursor.sort, self.sort
            );
            return Err(Error::invalid("cursor", why));
        }
        let position = self.index.positions.get(&cursor.after).copied();
        let found = position.and_then(|at| Some((at, self.index.rows.get(at as usize)?)));
        let (position, row) = found.ok_or_else(|| {
            let why = "its finding is not in this session; ask for the first page again";
            Error::invalid("cursor", why)
        })?;
        Ok(self.of(position, row))
    }
}

/// Positions of a page in order, how many pass the filter, and whether more come after it.
struct Selection {
    positions: Vec<u32>,
    total: u64,
    more: bool,
}

impl Selection {
    /// Looks at every candidate once, and keeps the `limit` smallest keys after the cursor.
    fn of(
        index: &Index,
        matcher: &mut Matcher<'_>,
        keys: &Keys<'_>,
        after: Option<Key>,
        limit: usize,
    ) -> Self {
        let candidates = matcher.candidates();
        let mut smallest = Smallest::new(limit);
        let mut total = 0;
        let mut look = |position: u32, row: &Row| {
            if matcher.accepts(position, row) {
                total += 1;
                let key = keys.of(position, row);
                if after.is_none_or(|after| key > after) {
                    smallest.offer(key);
                }
            }
        };
        match candidates {
            Some(lists) => {
                for position in lists.into_iter().flatten() {
                    if let Some(row) = index.rows.get(*position as usize) {
                        look(*position, row);
                    }
                }
            }
            None => {
                for (position, row) in index.rows.iter().enumerate() {
                    look(position as u32, row);
                }
            }
        }
        let more = smallest.offered > limit;
        let place = |[_, _, last]: Key| match keys.sort {
            Sort::Newest => u32::MAX - last,
            _ => last,
        };
        Self {
            positions: smallest.sorted().into_iter().map(place).collect(),
            total,
            more,
        }
    }

    /// The first `limit` of positions that come in order.
    fn first(positions: impl Iterator<Item = u32>, limit: usize, total: u64) -> Self {
        let mut positions: Vec<u32> = positions.take(limit + 1).collect();
        let more = positions.len() > limit;
        positions.truncate(limit);
        Self {
            positions,
            total,
            more,
        }
    }
}

/// The `limit` smallest of the keys offered, in twice their room.
struct Smallest {
    limit: usize,
    kept: Vec<Key>,
    /// Keys from this one on are not among them.
    bound: Key,
    offered: usize,
}

impl Smallest {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Vec::with_capacity(2 * limit),
            bound: [u32::MAX; 3],
            offered: 0,
        }
    }

    fn offer(&mut self, key: Key) {
        self.offered += 1;
        if key >= self.bound {
            return;
        }
        self.kept.push(key);
        if self.kept.len() == 2 * self.limit {
            let (_, bound, _) = self.kept.select_nth_unstable(self.limit - 1);
            self.bound = *bound;
            self.kept.truncate(self.limit);
        }
    }

    fn sorted(mut self) -> Vec<Key> {
        self.kept.sort_unstable();
        self.kept.truncate(self.limit);
        self.kept
    }
}

/// Worst first needs no sorting: the posting lists of the weight classes are in that order.
fn by_class(
    index: &Index,
    matcher: &mut Matcher<'_>,
    after: Option<Key>,
    limit: usize,
    total: u64,
) -> Selection {
    let [class, _, last] = after.unwrap_or_default();
    let lists = index.by_class.iter().zip(0u32..);
    let rest = lists.flat_map(|(list, number)| {
        let skip = match after {
            Some(_) if number < class => list.len(),
            Some(_) if number == class => list.partition_point(|at| *at <= last),
            _ => 0,
        };
        list.get(skip..).unwrap_or_default().iter().copied()
    });
    let passing = rest.filter(|at| accepts(index, matcher, *at));
    Selection::first(passing, limit, total)
}

fn newest(
    index: &Index,
    matcher: &mut Matcher<'_>,
    after: Option<Key>,
    limit: usize,
    total: u64,
) -> Selection {
    let end = after.map_or(index.rows.len() as u32, |[_, _, last]| u32::MAX - last);
    let passing = (0..end).rev().filter(|at| accepts(index, matcher, *at));
    Selection::first(passing, limit, total)
}

fn accepts(index: &Index, matcher: &mut Matcher<'_>, position: u32) -> bool {
    let row = index.rows.get(position as usize);
    row.is_some_and(|row| matcher.accepts(position, row))
}
