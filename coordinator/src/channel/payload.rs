//! What a channel is told: pure functions of the delivery and the time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Kind, Target};
use crate::alert::{Alert, Delivery, Labels, Phase, Severity};

/// How many repeats of an Alertmanager's alert may be lost before it takes it for resolved: as
/// Prometheus does.
const REPEATS_VALID: i32 = 4;
/// Alerts that a message for people lists; the rest is a number.
const LISTED: usize = 20;
/// Version of the webhook's JSON.
const VERSION: &str = "1";

/// The body for a target, sent at `now`.
pub fn body(target: &Target, delivery: &Delivery, now: Timestamp) -> Value {
    match target.kind {
        Kind::Alertmanager => alertmanager(target, delivery, now),
        Kind::Slack => slack(target, delivery),
        Kind::Webhook => webhook(target, delivery),
    }
}

/// `POST /api/v2/alerts` of Alertmanager.
fn alertmanager(target: &Target, delivery: &Delivery, now: Timestamp) -> Value {
    let valid = now + target.channel.pace.repeat.max(SignedDuration::from_secs(1)) * REPEATS_VALID;
    let alerts = delivery.alerts.iter().map(|alert| {
        let mut posted = json!({
            "labels": alert.labels.map(),
            "annotations": annotations(alert),
            "startsAt": alert.starts_at.to_string(),
            "endsAt": alert.ends_at.unwrap_or(valid).to_string(),
        });
        if let (Some(link), Some(posted)) = (link(target, &alert.labels), posted.as_object_mut()) {
            posted.insert("generatorURL".to_owned(), link.into());
        }
        posted
    });
    alerts.collect()
}

fn annotations(alert: &Alert) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("summary", alert.summary.clone()),
        ("description", alert.description.clone()),
        ("value", alert.value.to_string()),
    ])
}

/// A message of Slack: a line for notifications, and an attachment an alert.
fn slack(target: &Target, delivery: &Delivery) -> Value {
    let listed = delivery.alerts.iter().take(LISTED);
    let mut attachments: Vec<Value> = listed.map(|alert| attachment(target, alert)).collect();
    let more = delivery.alerts.len().saturating_sub(LISTED);
    if more > 0 {
        attachments.push(json!({"text": format!("and {more} more")}));
    }
    json!({"text": escaped(&headline(delivery)), "attachments": attachments})
}

fn attachment(target: &Target, alert: &Alert) -> Value {
    let over = alert.phase == Phase::Resolved;
    let color = match alert.labels.severity {
        _ if over => "good",
        Severity::Critical => "danger",
        Severity::Warning => "warning",
        Severity::Info => "#439fe0",
    };
    let text = if over {
        "It is over."
    } else {
        &alert.description
    };
    let mut shown = json!({
        "color": color,
        "title": escaped(&alert.summary),
        "text": escaped(text),
        "fallback": escaped(&format!("{}: {}", alert.phase.as_str(), alert.summary)),
        "footer": escaped(&alert.labels.to_string()),
        "ts": alert.ends_at.unwrap_or(alert.starts_at).as_second(),
    });
    if let (Some(link), Some(shown)) = (link(target, &alert.labels), shown.as_object_mut()) {
        shown.insert("title_link".to_owned(), link.into());
    }
    shown
}

/// The three characters that mean something in a message of Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// JSON of our own.
fn webhook(target: &Target, delivery: &Delivery) -> Value {
    let alerts = delivery.alerts.iter().map(|alert| {
        json!({
            "status": alert.phase.as_str(),
            "labels": alert.labels.map(),
            "annotations": annotations(alert),
            "value": alert.value,
            "startsAt": alert.starts_at.to_string(),
            "endsAt": alert.ends_at.map(|at| at.to_string()),
            "url": link(target, &alert.labels),
        })
    });
    json!({
        "version": VERSION,
        "id": delivery.id,
        "channel": delivery.channel,
        "group": delivery.group,
        "status": status(delivery),
        "at": delivery.at.to_string(),
        "summary": headline(delivery),
        "alerts": alerts.collect::<Vec<Value>>(),
    })
}

fn status(delivery: &Delivery) -> &'static str {
    if delivery.fires() {
        "firing"
    } else {
        "resolved"
    }
}

/// `[2 firing, 1 resolved] the store uses 98 % of its memory`.
fn headline(delivery: &Delivery) -> String {
    let count = |phase| {
        delivery
            .alerts
            .iter()
            .filter(|alert| alert.phase == phase)
            .count()
    };
    let counts = [
        (count(Phase::Firing), "firing"),
        (count(Phase::Resolved), "resolved"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let first = delivery
        .alerts
        .first()
        .map_or("", |alert| alert.summary.as_str());
    format!("[{}] {first}", counts.join(", "))
}

/// The page that shows what an alert is about.
fn link(target: &Target, labels: &Labels) -> Option<String> {
    let site = target.site.as_deref()?.trim_end_matches('/');
    Some(match &labels.bot {
        Some(bot) => format!("{site}/bots/{bot}"),
        None => format!("{site}/alerts"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Channel, Name};
    use crate::channel::Secret;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn alert(summary: &str, ends_at: Option<Timestamp>) -> Alert {
        Alert {
            labels: Labels::new(Name::BotFailing, Severity::Critical).bot(&"scan".parse().unwrap()),
            phase: if ends_at.is_some() {
                Phase::Resolved
            } else {
                Phase::Firing
            },
            starts_at: at(0),
            ends_at,
            clear_since: None,
            value: 3.0,
            summary: summary.to_owned(),
            description: "look at it".to_owned(),
        }
    }

    fn said(kind: Kind, alerts: Vec<Alert>) -> Value {
        let target = Target {
            channel: Channel {
                name: "ops".to_owned(),
                severities: Vec::new(),
                matchers: Vec::new(),
                pace: kind.pace(),
            },
            kind,
            url: Secret::new("http://x"),
            secret: None,
            site: Some("https://fleet.example/".to_owned()),
        };
        let delivery = Delivery {
            id: "7".to_owned(),
            channel: "ops".to_owned(),
            group: "alertname=bot_failing".to_owned(),
            at: at(10),
            alerts,
        };
        body(&target, &delivery, at(100))
    }

    #[test]
    fn an_alertmanager_is_told_until_when_what_fires_is_true() {
        let said = said(
            Kind::Alertmanager,
            vec![alert("a", None), alert("b", Some(at(50)))],
        );
        assert_eq!(said[0]["endsAt"], at(100 + 240).to_string());
        assert_eq!(said[1]["endsAt"], at(50).to_string());
        assert_eq!(said[0]["labels"]["alertname"], "bot_failing");
        assert_eq!(
            said[0]["labels"].as_object().unwrap().len(),
            3,
            "empty labels are none"
        );
        assert_eq!(said[0]["generatorURL"], "https://fleet.example/bots/scan");
        assert_eq!(said[0]["annotations"]["summary"], "a");
    }

    #[test]
    fn a_message_is_escaped_and_bounded() {
        let mut alerts = vec![alert("<!channel> & co", None)];
        alerts.extend((0..30).map(|_| alert("b", Some(at(50)))));
        let said = said(Kind::Slack, alerts);
        assert_eq!(
            said["text"],
            "[1 firing, 30 resolved] &lt;!channel&gt; &amp; co"
        );
        assert_eq!(said["attachments"][0]["color"], "danger");
        assert_eq!(said["attachments"][1]["color"], "good");
        let attachments = said["attachments"].as_array().unwrap();
        assert_eq!(attachments.len(), LISTED + 1);
        assert_eq!(attachments[LISTED]["text"], "and 11 more");
    }

    #[test]
    fn a_webhook_is_told_the_whole() {
        let said = said(Kind::Webhook, vec![alert("b", Some(at(50)))]);
        assert_eq!(
            (&said["status"], &said["id"]),
            (&json!("resolved"), &json!("7"))
        );
        assert_eq!(said["alerts"][0]["endsAt"], at(50).to_string());
        assert_eq!(said["alerts"][0]["value"], 3.0);
    }
}
