//! Which findings a request asks for: the same words in the API, in reports and on pages.
//!
//! `bot`, `tier`, `severity`, `category` and `rule` may be repeated and then mean any of;
//! different parameters must all hold. `file` is a path, or a folder when it ends in `/`; `text`
//! is looked for in message, path, rule and element, whatever its case; `suppression` is `open`
//! (the default), `suppressed` or `all`; `sort` is `severity`, `path`, `rule` or `newest`.
//! `cursor` is the `next` of the page before.

use fleet_coordinator::answer::FindingsQuery;
use fleet_coordinator::index::{Filter, PageQuery};

use super::problem::Problem;
use super::query::Query;

/// The parameters that choose findings.
pub(crate) const FILTERS: [&str; 8] = [
    "bot",
    "tier",
    "severity",
    "category",
    "rule",
    "file",
    "text",
    "suppression",
];
/// The parameters that choose and page findings.
pub(crate) const PAGING: [&str; 11] = [
    "bot",
    "tier",
    "severity",
    "category",
    "rule",
    "file",
    "text",
    "suppression",
    "sort",
    "cursor",
    "limit",
];

/// Findings on a page unless asked otherwise.
pub(crate) const PAGE: usize = 100;
/// Most findings on a page: with the largest findings an answer stays below 32 MiB, with usual
/// ones at half a megabyte.
pub(crate) const MAX_PAGE: usize = 500;

/// The findings that `query` asks for, `size` on a page unless it says otherwise.
pub(crate) fn asked(query: &Query, size: usize, max: usize) -> Result<FindingsQuery, Problem> {
    Ok(FindingsQuery {
        tiers: query.read_all("tier")?,
        page: PageQuery {
            limit: query.limit(size, max)?,
            sort: query.read("sort")?.unwrap_or_default(),
            after: query.read("cursor")?,
            filter: Filter {
                bots: query.read_all("bot")?,
                severities: query.read_all("severity")?,
                categories: query.read_all("category")?,
                rules: query.read_all("rule")?,
                file: query.read("file")?,
                text: query.read("text")?,
                suppression: query.read("suppression")?.unwrap_or_default(),
            },
        },
    })
}
