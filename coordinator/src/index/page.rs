//! One page: the findings that pass, those after the cursor, the first of them in order.

use std::sync::Arc;

use fleet_worker_sdk::{Error, Result};

use super::matcher::{Candidates, Matcher};
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
    let candidates = matcher.candidates();
    let total = matcher.counted();
    let selected = match total.filter(|total| is_near(index, *total, limit, &candidates)) {
        Some(total) if query.sort == Sort::Newest => {
            newest(index, &mut matcher, after, limit, total)
        }
        Some(total) => walk(index, &mut matcher, &keys, after, limit, total),
        None => Selection::of(index, &mut matcher, &keys, candidates, after, limit),
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

/// Whether fewer findings have to be looked at in order, to meet a page of the `total` that pass, than
/// there are candidates.
fn is_near(index: &Index, total: u64, limit: usize, candidates: &Candidates<'_>) -> bool {
    let (all, page) = (index.rows.len() as u64, limit as u64 + 1);
    let met = all.saturating_mul(page) / total.max(1);
    met.min(all) <= candidates.findings as u64
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

    /// Findings by the first number of their keys, in order.
    fn groups(&self) -> Box<dyn Iterator<Item = (u32, &'a [u32])> + '_> {
        let index = self.index;
        let lists = match self.sort {
            Sort::Path => &index.by_file,
            Sort::Rule => &index.by_rule,
            Sort::Severity | Sort::Newest => {
                let lists = index.by_class.iter().map(Vec::as_slice);
                return Box::new((0..).zip(lists));
            }
        };
        let sorted = self.order.sorted.iter();
        let lists = sorted.filter_map(|id| lists.get(*id as usize).map(Vec::as_slice));
        Box::new((0..).zip(lists))
    }

    fn of_cursor(&self, cursor: &Cursor) -> Result<Key> {
        if cursor.sort != self.sort {
            let why = format!(
                "it is of the order by {}, not by {}",
                cursor.sort, self.sort
            );
            return Err(Error::invalid("cursor", why));
        }
        let position = self.index.members.position(&cursor.after);
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
        candidates: Candidates<'_>,
        after: Option<Key>,
        limit: usize,
    ) -> Self {
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
        match candidates.lists {
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
            kept: Vec::new(),
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

/// Where the total is known, only as much is looked at as the page needs: an order's groups (weight
/// classes, rules, files) come sorted, and most have their findings sorted within.
fn walk(
    index: &Index,
    matcher: &mut Matcher<'_>,
    keys: &Keys<'_>,
    after: Option<Key>,
    limit: usize,
    total: u64,
) -> Selection {
    let mut positions = Vec::with_capacity(limit + 1);
    for (group, list) in keys.groups() {
        let wanted = limit + 1 - positions.len();
        let after = match after {
            Some([first, ..]) if group < first => continue,
            Some([first, ..]) if group == first => after,
            _ => None,
        };
        if keys.sort == Sort::Path {
            positions.extend(of_file(index, matcher, keys, list, after, wanted));
        } else {
            let skip = after.map_or(0, |[_, _, last]| list.partition_point(|at| *at <= last));
            let rest = list.get(skip..).unwrap_or_default().iter().copied();
            let passing = rest.filter(|at| accepts(index, matcher, *at));
            positions.extend(passing.take(wanted));
        }
        if positions.len() > limit {
            break;
        }
    }
    Selection::first(positions.into_iter(), limit, total)
}

/// The first `wanted` of a file, by line.
fn of_file(
    index: &Index,
    matcher: &mut Matcher<'_>,
    keys: &Keys<'_>,
    list: &[u32],
    after: Option<Key>,
    wanted: usize,
) -> Vec<u32> {
    let mut smallest = Smallest::new(wanted);
    for position in list {
        if let Some(row) = index.rows.get(*position as usize) {
            let key = keys.of(*position, row);
            if after.is_none_or(|after| key > after) && matcher.accepts(*position, row) {
                smallest.offer(key);
            }
        }
    }
    let sorted = smallest.sorted().into_iter();
    sorted.map(|[_, _, position]| position).collect()
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
