//! Alerts: what somebody must hear of, each raised once, with Alertmanager's semantics.
//!
//! The map, in the order an alert lives: [`rules`] observe what is wrong now; [`board`] lets it pend,
//! fire and resolve; [`silence`] and [`inhibit`] keep some of it quiet; [`notify`] decides when which
//! channel is told, in groups. All of it is one function of (what was, what is observed, settings,
//! now): [`step`]. [`alarms()`] is what the fleet's health takes of it. Stores keep the [`Board`] and
//! let it be replaced only over the one that it was made from, so that any number of coordinators
//! raise an alert once.

pub mod labels;

pub mod settings;

pub mod rules;

pub mod silence;

pub mod inhibit;

pub mod board;

pub mod notify;

pub mod alarms;

use jiff::Timestamp;

pub use alarms::alarms;
pub use board::{Alert, Board, Phase};
pub use labels::{Labels, Name, Severity};
pub use notify::{Channel, Delivery, Pace};
pub use rules::Observation;
pub use settings::AlertSettings;
pub use silence::{Matcher, Silence, author};

/// Most alerts of a fleet: beyond, the worst are kept. A thousand at once are one fault with a
/// thousand faces, which nobody reads one by one.
pub const MAX_ALERTS: usize = 1_000;

/// What is known when a step is made.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What is wrong now, in any order.
    pub observed: &'a [Observation],
    /// What people have silenced.
    pub silences: &'a [Silence],
    /// Alerts that fire outside the board and inhibit some on it: the process's own, raised while
    /// the store was away.
    pub beside: &'a [Labels],
    /// Channels with deliveries that wait: they are not told again what they have not heard yet.
    pub waiting: &'a [String],
    /// The store's time.
    pub now: Timestamp,
}

/// The next board, and what is to be delivered because of it.
///
/// The order of observations does not matter, and the same again at the same time changes nothing.
pub fn step(
    before: &Board,
    known: &Known<'_>,
    settings: &AlertSettings,
    channels: &[Channel],
) -> (Board, Vec<Delivery>) {
    let mut board = before.observe(known.observed, known.now, settings);
    let quiet = inhibit::quiet(&board, known);
    let deliveries = notify::notify(&mut board, &quiet, known, channels);
    (board, deliveries)
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod documented;
