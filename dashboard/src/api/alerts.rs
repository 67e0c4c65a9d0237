//! Alerts, silences, and deliveries that did not arrive.
//!
//! - `GET alerts`: `{"alerts": [Alert], "waiting": n, "undelivered": n, "now": t}`, most urgent first,
//!   each with the silences and the alert that keep it quiet.
//! - `GET silences`: `{"silences": [Silence], "now": t}`; `POST silences` with `{"matchers":
//!   ["bot=scan*"], "author", "comment", "seconds"}` answers with the silence;
//!   `DELETE silences/{id}?author=` ends one; 204.
//! - `GET undelivered`: `{"undelivered": [Undelivered]}`, oldest first;
//!   `POST alerts/undelivered/{id}?author=` puts one in line again, `DELETE` forgets it; 204.
//! - `POST alerts/test?channel=` sends a test through each channel of this process's configuration, or
//!   the one that is named: `{"channels": [{"channel", "arrived", "why"}]}`.
//! - `GET audit?limit=`: `{"audit": [Audit]}`, latest first: who did any of this.
//!
//! Where tokens are needed the author is whom the token names, and what a request says stands after it.

use std::convert::Infallible;

use fleet_coordinator::alert::Silence;
use fleet_coordinator::answer::{AlertList, AuditTrail, GivenUp, NewSilence, Silences};
use fleet_coordinator::channel::Tried;
use fleet_coordinator::store::alerts::MAX_AUDIT;
use fleet_worker_sdk::Error;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::Query;
use super::{answer, body, done, method, raw_query, with, write};
use crate::access::author::{Signer, signer};
use crate::context::Context;

/// Bytes of a silence that is asked for: five matchers and a comment, several times over.
const MAX_SILENCE: u64 = 16 * 1024;
/// Entries of the audit unless asked otherwise.
const AUDIT: usize = 100;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    reads(context)
        .or(silencing(context))
        .unify()
        .or(deliveries(context))
        .unify()
        .or(testing(context))
        .unify()
        .boxed()
}

fn reads(context: &Context) -> BoxedFilter<(Response,)> {
    let alerts =
        path!("alerts")
            .and(method("GET"))
            .and(with(context))
            .then(|context: Context| async move {
                answer(
                    AlertList::read(&*context.store)
                        .await
                        .map_err(Problem::from),
                )
            });
    let silences = path!("silences")
        .and(method("GET, POST"))
        .and(with(context))
        .then(|context: Context| async move {
            answer(Silences::read(&*context.store).await.map_err(Problem::from))
        });
    let undelivered = path!("undelivered")
        .and(method("GET"))
        .and(with(context))
        .then(|context| async move { answer(given_up(context).await) });
    let audit = path!("audit")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { answer(audit(context, query).await) });
    let read = alerts.or(silences).unify();
    read.or(undelivered).unify().or(audit).unify().boxed()
}

fn silencing(context: &Context) -> BoxedFilter<(Response,)> {
    let silence = path!("silences")
        .and(write("POST, GET"))
        .and(with(context))
        .and(signer(context))
        .and(body::json::<NewSilence>(MAX_SILENCE))
        .then(|context, signer, new| async move { answer(silence(context, signer, new).await) });
    let unsilence = path!("silences" / String)
        .and(write("DELETE"))
        .and(with(context))
        .and(named(context))
        .then(|id, context, author| async move { done(unsilence(context, id, author).await) });
    silence.or(unsilence).unify().boxed()
}

fn deliveries(context: &Context) -> BoxedFilter<(Response,)> {
    let requeue = path!("alerts" / "undelivered" / String)
        .and(write("POST, DELETE"))
        .and(with(context))
        .and(named(context))
        .then(|id, context, author| async move { done(requeue(context, id, author).await) });
    let discard = path!("alerts" / "undelivered" / String)
        .and(write("DELETE, POST"))
        .and(with(context))
        .and(named(context))
        .then(|id, context, author| async move { done(discard(context, id, author).await) });
    requeue.or(discard).unify().boxed()
}

fn testing(context: &Context) -> BoxedFilter<(Response,)> {
    path!("alerts" / "test")
        .and(write("POST"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query: String| async move { answer(test(context, query).await) })
        .boxed()
}

/// What came of a test of channels.
#[derive(Serialize)]
struct Tests {
    channels: Vec<Tried>,
}

async fn test(context: Context, query: String) -> Result<Tests, Problem> {
    let query = Query::parse(&query, &["channel"])?;
    let only = query.one("channel")?;
    let sender = context.settings.alerts.sender()?;
    let channels = sender.channels().into_iter().map(|channel| channel.name);
    let named: Vec<String> = channels
        .filter(|name| only.is_none_or(|only| only == name))
        .collect();
    if named.is_empty() {
        let what = "channel in this dashboard's configuration ([[alerts.channel]])";
        return Err(Error::not_found(what, only.unwrap_or("any")).into());
    }
    let now = Timestamp::now();
    let tried = named.iter().map(|name| sender.try_out(name, now));
    Ok(Tests {
        channels: join_all(tried).await,
    })
}

async fn given_up(context: Context) -> Result<GivenUp, Problem> {
    let undelivered = context.store.undelivered().await?;
    Ok(GivenUp { undelivered })
}

async fn audit(context: Context, query: String) -> Result<AuditTrail, Problem> {
    let limit = Query::parse(&query, &["limit"])?.limit(AUDIT, MAX_AUDIT)?;
    let audit = context.store.audit(limit).await?;
    Ok(AuditTrail { audit })
}

async fn silence(context: Context, signer: Signer, new: NewSilence) -> Result<Silence, Problem> {
    let author = signer.name(&new.author)?;
    Ok(NewSilence { author, ..new }.store(&*context.store).await?)
}

async fn unsilence(context: Context, id: String, author: Author) -> Result<(), Problem> {
    Ok(context.store.unsilence(&id, &author?).await?)
}

async fn requeue(context: Context, id: String, author: Author) -> Result<(), Problem> {
    Ok(context.store.requeue_delivery(&id, &author?).await?)
}

async fn discard(context: Context, id: String, author: Author) -> Result<(), Problem> {
    Ok(context.store.discard_delivery(&id, &author?).await?)
}

/// In whose name something is done: what is kept in the audit.
type Author = Result<String, Problem>;

/// Takes it from `?author=` and the token.
fn named(
    context: &Context,
) -> impl Filter<Extract = (Author,), Error = Infallible> + Clone + use<> {
    let both = signer(context).and(raw_query());
    both.map(|signer: Signer, query: String| {
        let query = Query::parse(&query, &["author"])?;
        let claimed = query.one("author")?.unwrap_or_default();
        Ok(signer.name(claimed)?)
    })
}
