//! How many samples of a benchmark Criterion takes, and for how long.

use std::time::Duration;

use criterion::Criterion;

/// Before a benchmark is measured it runs for this long.
const WARM_UP: Duration = Duration::from_millis(300);
/// With `--quick`, Criterion measures until two samples agree, which on a machine that does other work
/// takes as long as it is let.
const QUICK: Duration = Duration::from_millis(200);

/// Criterion that takes so many samples of each benchmark in this time, and little time for each with
/// `--quick`; what else the command line says goes before.
pub fn sampling(samples: usize, time: Duration) -> Criterion {
    let quick = std::env::args().any(|argument| argument == "--quick");
    Criterion::default()
        .sample_size(samples)
        .warm_up_time(WARM_UP)
        .measurement_time(if quick { QUICK } else { time })
        .configure_from_args()
}
