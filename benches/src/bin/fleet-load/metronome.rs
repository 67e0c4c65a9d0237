//! Says when each finding of a rate is due.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// When what comes next is due, said when it is: at worst all of a run is waiting there.
pub(crate) type Beats = UnboundedReceiver<Instant>;

/// Starts to beat, `rate` times a second, in turn for each of `listeners` until it is gone or has
/// had `each` beats. A thread that
/// sleeps by the system's clock is on time within 0.1 ms; a timer of the runtime wakes at whole
/// milliseconds, which here would be measured as the fleet's. Beats that nobody is free for wait.
pub(crate) fn start(listeners: usize, each: usize, rate: u64) -> Vec<Beats> {
    let (to, beats): (Vec<_>, Vec<_>) = (0..listeners).map(|_| unbounded_channel()).unzip();
    std::thread::spawn(move || beat(&to, each, rate));
    beats
}

fn beat(to: &[UnboundedSender<Instant>], each: usize, rate: u64) {
    let begun = Instant::now();
    let turns = (0..each).flat_map(|_| to);
    for (number, listener) in (0..).zip(turns) {
        let due = begun + Duration::from_nanos(number * 1_000_000_000 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // Who has pushed all it had is gone.
        let _ = listener.send(due);
    }
}
