//! Which findings a request asks for: the same words in the API, in reports and on pages.
//!
//! `bot`, `tier`, `severity`, `category` and `rule` may be repeated and then mean any of;
//! different parameters must all hold. `file` is a path, or a folder when it ends in `/`; `text`
//! is looked for in message, path, rule and element, whatever its case; `suppression` is `open`
//! (the default), `suppressed` or `all`; `sort` is `severity`, `path`, `rule` or `newest`.
//! `cursor` is the `next` of the page before.

use fleet_coordinator::index::{Filter, PageQuery};
use fleet_worker_sdk::{BotId, Tier};

use super::problem::Problem;
use super::query::Query;
use crate::context::Context;

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

/// What is asked for: a page, or nothing at all, because no bot is of the tier asked for.
pub(crate) enum Asked {
    /// This page.
    Page(PageQuery),
    /// Nothing can match; an empty list of bots would mean all of them.
    Nothing,
}

/// The filter of `query`; none when no bot is of the tiers asked for.
pub(crate) async fn filter(context: &Context, query: &Query) -> Result<Option<Filter>, Problem> {
    let mut bots: Vec<BotId> = query.read_all("bot")?;
    let tiers: Vec<Tier> = query.read_all("tier")?;
    if !tiers.is_empty() {
        let registered = context.store.bots().await?;
        let members = registered
            .into_iter()
            .filter(|bot| tiers.contains(&bot.tier));
        let members: Vec<_> = members.map(|bot| bot.id).collect();
        if bots.is_empty() {
            bots = members;
        } else {
            bots.retain(|bot| members.contains(bot));
        }
        if bots.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(Filter {
        bots,
        severities: query.read_all("severity")?,
        categories: query.read_all("category")?,
        rules: query.read_all("rule")?,
        file: query.read("file")?,
        text: query.read("text")?,
        suppression: query.read("suppression")?.unwrap_or_default(),
    }))
}

/// The page of findings that `query` asks for.
pub(crate) async fn page(
    context: &Context,
    query: &Query,
    size: usize,
    max: usize,
) -> Result<Asked, Problem> {
    let limit = query.limit(size, max)?;
    let sort = query.read("sort")?.unwrap_or_default();
    let after = query.read("cursor")?;
    Ok(match filter(context, query).await? {
        Some(filter) => Asked::Page(PageQuery {
            filter,
            sort,
            after,
            limit,
        }),
        None => Asked::Nothing,
    })
}
