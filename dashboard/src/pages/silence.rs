//! The form of the alerts' page that silences some of them.
//!
//! - `POST /alerts/silences`, `of=…&seconds=…&comment=…&author=…`: stores a silence and goes back to
//!   the page. Whoever has a token does it in the token's name; `author` is all there is where nobody has one.
//!
//! A form of another site is refused, as every write is.

use bytes::Bytes;
use fleet_coordinator::access::{Identity, Role};
use fleet_coordinator::answer::NewSilence;
use warp::filters::BoxedFilter;
use warp::http::HeaderMap;
use warp::reply::Response;
use warp::{Filter, path};

use super::refused;
use crate::access::author::{Signer, signer};
use crate::access::guard::{asking, see_other};
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::{secure, with, write};
use crate::context::Context;

/// Largest form: five matchers and a comment, encoded.
const MAX_FORM: u64 = 16 * 1024;
/// What a silence may last: words for people, and seconds. Longer ones are asked for by command.
const LASTS: [(&str, u32); 6] = [
    ("30 minutes", 1_800),
    ("2 hours", 7_200),
    ("8 hours", 28_800),
    ("1 day", 86_400),
    ("3 days", 259_200),
    ("1 week", 604_800),
];

/// The form, for somebody who may use it.
pub(super) struct Form {
    /// In whose name; none where they have to say it.
    pub(super) author: Option<String>,
    /// How long it may last.
    pub(super) lasts: [(&'static str, u32); 6],
}

impl Form {
    /// None for whoever may only look.
    pub(super) fn of(context: &Context, headers: &HeaderMap) -> Option<Self> {
        let tokens = context.settings.tokens.as_ref();
        let who = asking(tokens, headers);
        let may = |who: &Identity| who.role.covers(Role::Triage);
        let allowed = tokens.is_none() || who.as_ref().is_some_and(may);
        allowed.then(|| Self {
            author: who.map(|who| who.name),
            lasts: LASTS,
        })
    }
}

pub(super) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("alerts" / "silences")
        .and(write("POST"))
        .and(with(context))
        .and(signer(context))
        .and(warp::body::content_length_limit(MAX_FORM))
        .and(warp::body::bytes())
        .then(|context: Context, signer: Signer, body: Bytes| async move {
            match silence(&context, &signer, &body).await {
                Ok(()) => see_other("/alerts"),
                Err(problem) => secure::page(refused(problem)),
            }
        })
        .boxed()
}

async fn silence(context: &Context, signer: &Signer, body: &Bytes) -> Result<(), Problem> {
    let text =
        std::str::from_utf8(body).map_err(|_| Problem::invalid("form", "it is not UTF-8"))?;
    let form = Query::parse(text, &["of", "seconds", "comment", "author"])?;
    let field = |name| Ok::<_, Problem>(form.one(name)?.unwrap_or_default());
    let new = NewSilence {
        matchers: field("of")?.split_whitespace().map(str::to_owned).collect(),
        author: signer.name(field("author")?)?,
        comment: field("comment")?.to_owned(),
        seconds: form.read("seconds")?.unwrap_or_default(),
    };
    new.store(&*context.store).await?;
    Ok(())
}
