//! `GET /alerts`: what pends, fires or was resolved within the hour, what is silenced, and what no
//! channel took.

use askama::Template;
use fleet_coordinator::alert::Silence;
use fleet_coordinator::answer::{AlertList, AlertSeen};
use fleet_coordinator::health::Status;
use fleet_coordinator::store::alerts::Undelivered;
use jiff::Timestamp;
use warp::filters::BoxedFilter;
use warp::http::HeaderMap;
use warp::reply::Response;
use warp::{Filter, path};

use super::frame::{Frame, Place};
use super::page;
use super::silence::Form;
use super::words::{Moment, cut, exact};
use crate::api::problem::Problem;
use crate::api::{method, with};
use crate::context::Context;

/// Longest reason shown, in characters.
const WHY: usize = 300;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("alerts")
        .and(method("GET"))
        .and(with(context))
        .and(warp::header::headers_cloned())
        .then(|context, headers| async move { page(alerts(context, headers).await) })
        .boxed()
}

/// An alert as a row.
pub(crate) struct AlertShown {
    /// Its identity.
    pub(crate) key: String,
    pub(crate) severity: &'static str,
    /// The class that colours it.
    pub(crate) tone: &'static str,
    pub(crate) name: String,
    pub(crate) phase: &'static str,
    pub(crate) bot: Option<String>,
    /// What it is about where that is no bot.
    pub(crate) about: String,
    pub(crate) since: Moment,
    pub(crate) summary: String,
    pub(crate) description: String,
    /// What keeps it quiet.
    pub(crate) quiet: Option<String>,
}

impl AlertShown {
    pub(crate) fn new(seen: &AlertSeen, now: Timestamp) -> Self {
        let (alert, labels) = (&seen.alert, &seen.alert.labels);
        let silenced = (!seen.silenced_by.is_empty()).then(|| "silenced".to_owned());
        let explained = seen.inhibited_by.as_ref();
        let tier = labels.tier.map(|tier| tier.as_str().to_owned());
        let repository = labels.repo.as_ref().map(ToString::to_string);
        Self {
            key: labels.to_string(),
            severity: labels.severity.as_str(),
            tone: labels.severity.status().unwrap_or(Status::Unknown).as_str(),
            name: labels.alertname.as_str().replace('_', " "),
            phase: alert.phase.as_str(),
            bot: labels.bot.as_ref().map(ToString::to_string),
            about: repository
                .or(tier)
                .unwrap_or_else(|| "the fleet".to_owned()),
            since: Moment::since(alert.starts_at, now),
            summary: alert.summary.clone(),
            description: alert.description.clone(),
            quiet: silenced.or_else(|| explained.map(|cause| format!("explained by {cause}"))),
        }
    }
}

struct SilenceShown {
    id: String,
    matchers: String,
    author: String,
    comment: String,
    until: String,
}

impl SilenceShown {
    fn new(silence: &Silence) -> Self {
        let matchers: Vec<_> = silence.matchers.iter().map(ToString::to_string).collect();
        Self {
            id: silence.id.clone(),
            matchers: matchers.join(" "),
            author: silence.author.clone(),
            comment: silence.comment.clone(),
            until: exact(silence.ends_at),
        }
    }
}

struct UndeliveredShown {
    id: String,
    channel: String,
    group: String,
    attempts: u32,
    why: String,
}

impl UndeliveredShown {
    fn new(one: &Undelivered) -> Self {
        Self {
            id: one.id.clone(),
            channel: one.delivery.channel.clone(),
            group: one.delivery.group.clone(),
            attempts: one.attempts,
            why: cut(&one.why, WHY),
        }
    }
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    frame: Frame,
    firing: usize,
    alerts: Vec<AlertShown>,
    waiting: u64,
    silences: Vec<SilenceShown>,
    /// The form that makes a silence, for whoever may.
    form: Option<Form>,
    undelivered: Vec<UndeliveredShown>,
}

async fn alerts(context: Context, headers: HeaderMap) -> Result<AlertsPage, Problem> {
    let store = &context.store;
    let (stored, undelivered, now) =
        tokio::try_join!(store.alerts(), store.undelivered(), store.now())?;
    let list = AlertList::of(&stored, now);
    let in_force = stored.silences.iter().filter(|one| one.is_active(now));
    Ok(AlertsPage {
        frame: Frame::new(Place::Alerts, true).hearing("fleet").beating(),
        firing: list.firing().count(),
        alerts: rows(&list),
        waiting: list.waiting,
        form: Form::of(&context, &headers),
        silences: in_force.map(SilenceShown::new).collect(),
        undelivered: undelivered.iter().map(UndeliveredShown::new).collect(),
    })
}

fn rows(list: &AlertList) -> Vec<AlertShown> {
    let rows = list.alerts.iter();
    rows.map(|seen| AlertShown::new(seen, list.now)).collect()
}

/// Alerts that fire and that somebody is told of.
pub(crate) fn loud(list: &AlertList) -> Vec<AlertShown> {
    let loud = list.alerts.iter().filter(|seen| seen.is_loud());
    loud.map(|seen| AlertShown::new(seen, list.now)).collect()
}
