//! Dead letters: what nobody could read or settle.
//!
//! - `GET dead?after=&limit=`: `{"letters": [Letter], "total": n}`, latest first; `after` is the last
//!   letter of the page before. They are put back and thrown away in the store, by `fleet dead`.

use fleet_coordinator::store::operate::{LetterId, Letters, MAX_LETTERS_READ};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::Query;
use super::{answer, method, raw_query, with};
use crate::context::Context;

/// Letters of an answer unless asked otherwise.
const LETTERS: usize = 50;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("dead")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { answer(list(context, query).await) })
        .boxed()
}

async fn list(context: Context, query: String) -> Result<Letters, Problem> {
    let query = Query::parse(&query, &["after", "limit"])?;
    let after: Option<LetterId> = query.read("after")?;
    let limit = query.limit(LETTERS, MAX_LETTERS_READ)?;
    Ok(context.store.letters(after.as_ref(), limit).await?)
}
