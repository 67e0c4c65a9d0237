//! Channels: how an alert reaches people.
//!
//! [`payload`] is what is said, a pure function of the delivery; [`sign`] proves who says it;
//! [`send`] carries it over HTTP; [`trial`] tests whether that works. Where a channel is and what opens it are secrets: neither is ever
//! logged or shown.

pub mod payload;

pub mod sign;

pub mod send;

pub mod trial;

use std::fmt;

use fleet_worker_sdk::{Error, Result};
use jiff::SignedDuration;
use reqwest::Url;

use crate::alert::labels::Label;
use crate::alert::{self, Pace};

pub use send::{Sender, Sent};
pub use trial::Tried;

/// Which protocol a channel speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Alertmanager's API, version 2. It groups, silences and repeats by itself, so it hears of every
    /// change at once, and of what fires again and again, for it forgets what is not repeated.
    Alertmanager,
    /// An incoming webhook of Slack, or of what understands its messages.
    Slack,
    /// JSON of our own, signed.
    Webhook,
}

impl Kind {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Slack => "slack",
            Self::Webhook => "webhook",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Alertmanager, Self::Slack, Self::Webhook];
        all.into_iter().find(|kind| kind.as_str() == word)
    }

    /// When such a channel is told, unless it is configured.
    pub fn pace(self) -> Pace {
        let seconds = SignedDuration::from_secs;
        match self {
            Self::Alertmanager => Pace {
                group_by: Vec::new(),
                wait: SignedDuration::ZERO,
                interval: SignedDuration::ZERO,
                // As Prometheus does; what is sent is valid for four times as long.
                repeat: seconds(60),
            },
            Self::Slack | Self::Webhook => Pace {
                group_by: vec![Label::Alertname, Label::Tier],
                // The defaults of Alertmanager: 30 s show the rest of the trouble, 5 min between two
                // notices leave time to act, 4 h are half a working day.
                wait: seconds(30),
                interval: seconds(300),
                repeat: seconds(4 * 3_600),
            },
        }
    }
}

/// Something that only its owner and the channel know.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// It, for the request that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A channel with its address.
#[derive(Clone, Debug)]
pub struct Target {
    /// Who is told of what, when.
    pub channel: alert::Channel,
    /// In which protocol.
    pub kind: Kind,
    /// Where; a webhook's address is a secret in itself.
    pub url: Secret,
    /// What proves who says it: an HMAC key of a webhook, a bearer token of an Alertmanager.
    pub secret: Option<Secret>,
    /// Where the dashboard is, for links.
    pub site: Option<String>,
}

impl Target {
    /// The address, checked, with the path of the protocol.
    ///
    /// # Errors
    /// `Error::Invalid` without the address: it may be a secret in the wrong form.
    pub fn endpoint(&self) -> Result<Url> {
        let refuse = |why: &str| Error::invalid("url", why);
        let mut url = Url::parse(self.url.reveal())
            .map_err(|_| refuse("it is no URL; write it as https://host/path"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refuse("it is no http:// or https:// address of a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "it holds credentials, which are not sent; use secret-file",
            ));
        }
        if self.kind == Kind::Alertmanager {
            let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Ok(url)
    }

    /// The address for people: the host alone.
    pub fn shown(&self) -> String {
        let url = Url::parse(self.url.reveal()).ok();
        let origin = url.map(|url| url.origin().ascii_serialization());
        origin.map_or_else(|| "***".to_owned(), |origin| format!("{origin}/***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: Kind, url: &str) -> Target {
        Target {
            channel: alert::Channel {
                name: "ops".to_owned(),
                severities: Vec::new(),
                matchers: Vec::new(),
                pace: kind.pace(),
            },
            kind,
            url: Secret::new(url),
            secret: Some(Secret::new("hunter2")),
            site: None,
        }
    }

    #[test]
    fn an_address_is_checked_and_never_shown_whole() {
        let slack = target(Kind::Slack, "https://hooks.example/T0/B0/hunter2");
        assert_eq!(slack.shown(), "https://hooks.example/***");
        assert!(!format!("{slack:?}").contains("hunter2"));
        let manager = target(Kind::Alertmanager, "http://am:9093/prefix/");
        assert_eq!(manager.endpoint().unwrap().path(), "/prefix/api/v2/alerts");
        for wrong in [
            "hunter2",
            "ftp://hunter2/x",
            "/hunter2",
            "http://a:hunter2@b",
        ] {
            let refused = target(Kind::Slack, wrong)
                .endpoint()
                .unwrap_err()
                .to_string();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
