//! What every page has around its content.

use jiff::Timestamp;

/// Seconds between two refreshes of a page that shows what no hint tells, such as heartbeats.
const BEATS: u32 = 5;

/// Which part of the site a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The fleet.
    Fleet,
    /// Sessions.
    Sessions,
    /// Bots.
    Bots,
    /// Workers.
    Workers,
    /// Alerts.
    Alerts,
    /// None: something went wrong.
    Nowhere,
}

/// A link of the navigation.
pub(crate) struct Link {
    pub(crate) name: &'static str,
    pub(crate) href: &'static str,
    /// The value of `aria-current`: this very page, or one below it.
    pub(crate) current: Option<&'static str>,
}

/// What every page has around its content.
pub(crate) struct Frame {
    /// The time the page is made at, in whole seconds.
    pub(crate) now: Timestamp,
    /// The navigation.
    pub(crate) links: Vec<Link>,
    /// Objects of the WebSocket's frames that the page shows, by the beginnings of their names,
    /// separated by spaces; empty for all.
    pub(crate) hears: String,
    /// Seconds after which the page is refreshed though no hint came; 0 for never.
    pub(crate) every: u32,
}

impl Frame {
    /// The frame of a page of `place`: its first page, or one below it.
    pub(crate) fn new(place: Place, first: bool) -> Self {
        let link = |(of, name, href)| Link {
            name,
            href,
            current: (of == place).then_some(if first { "page" } else { "true" }),
        };
        let now = Timestamp::now();
        Self {
            now: Timestamp::from_second(now.as_second()).unwrap_or(now),
            links: [
                (Place::Fleet, "Fleet", "/"),
                (Place::Sessions, "Sessions", "/sessions"),
                (Place::Bots, "Bots", "/bots"),
                (Place::Workers, "Workers", "/workers"),
                (Place::Alerts, "Alerts", "/alerts"),
            ]
            .map(link)
            .into(),
            hears: String::new(),
            every: 0,
        }
    }

    /// Hearing only these objects.
    pub(crate) fn hearing(mut self, objects: impl Into<String>) -> Self {
        self.hears = objects.into();
        self
    }

    /// Refreshed as often as workers beat: beats are no changes that anybody is told of.
    pub(crate) fn beating(mut self) -> Self {
        self.every = BEATS;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_navigation_says_where_one_is() {
        let current = |frame: &Frame| -> Vec<_> {
            let links = frame.links.iter();
            links
                .filter_map(|link| Some((link.name, link.current?)))
                .collect()
        };
        assert_eq!(current(&Frame::new(Place::Bots, true)), [("Bots", "page")]);
        assert_eq!(
            current(&Frame::new(Place::Sessions, false)),
            [("Sessions", "true")]
        );
        assert_eq!(current(&Frame::new(Place::Nowhere, true)), []);
    }
}
