//! A sparkline: how a score went, as a small line.

use fleet_coordinator::history::{Point, Scope};

use super::show::status;
use super::words::{Count, NOTHING, exact};
use crate::api::problem::Problem;
use crate::context::Context;

/// Points of a line: two pixels each, of a column that still has room on a small screen.
pub(crate) const POINTS: usize = 60;
/// Width and height of a line, in its own units.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 28.0;
/// Distance of the line from the edges, so that its end is seen whole.
const EDGE: f64 = 3.0;

/// A line through the latest points of a score, which spans 0 to 100.
pub(crate) struct Spark {
    /// Corners of each stretch during which the score was known.
    pub(crate) lines: Vec<String>,
    /// Where it is now; none while nothing is known.
    pub(crate) end: Option<(String, String)>,
    /// The status now, which colours it.
    pub(crate) status: &'static str,
    /// What it says, for those who do not see it.
    pub(crate) label: String,
}

impl Spark {
    /// The sparkline of `scope`; none while there is no history.
    pub(crate) async fn read(context: &Context, scope: &Scope) -> Result<Option<Self>, Problem> {
        let points = context.store.history(scope, POINTS).await?;
        Ok(Self::of(&points))
    }

    /// A line through `points`, oldest first; none for fewer than two.
    pub(crate) fn of(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let steps = points.len().checked_sub(1).filter(|steps| *steps > 0)?;
        let corner = |(at, score): (usize, f64)| {
            let x = EDGE + (WIDTH - 2.0 * EDGE) * at as f64 / steps as f64;
            let y = EDGE + (HEIGHT - 2.0 * EDGE) * (1.0 - score.clamp(0.0, 100.0) / 100.0);
            (format!("{x:.1}"), format!("{y:.1}"))
        };
        let known: Vec<Option<(usize, f64)>> = (0..)
            .zip(points)
            .map(|(at, point)| Some((at, point.score?)))
            .collect();
        let lines = known.split(Option::is_none).map(|stretch| {
            let corners = stretch.iter().flatten().map(|one| corner(*one));
            let corners: Vec<String> = corners.map(|(x, y)| format!("{x},{y}")).collect();
            corners.join(" ")
        });
        Some(Self {
            lines: lines.filter(|line| line.contains(' ')).collect(),
            end: known.last().copied().flatten().map(corner),
            status: status(last.status),
            label: label(points, first, last),
        })
    }
}

fn label(points: &[Point], first: &Point, last: &Point) -> String {
    let number = |score: Option<f64>| score.map_or(NOTHING.to_owned(), |s| format!("{s:.1}"));
    let scores = || points.iter().filter_map(|point| point.score);
    let lowest = scores().reduce(f64::min);
    let highest = scores().reduce(f64::max);
    format!(
        "Score since {}: {} at first, {} now, lowest {}, highest {}, {} point{}",
        exact(first.at),
        number(first.score),
        number(last.score),
        number(lowest),
        number(highest),
        points.len(),
        Count::of(points.len()).plural(),
    )
}

#[cfg(test)]
mod tests {
    use fleet_coordinator::health::Status;
    use jiff::Timestamp;

    use super::*;

    fn points(scores: &[Option<f64>]) -> Vec<Point> {
        let point = |(minute, score): (i64, &Option<f64>)| Point {
            at: Timestamp::from_second(minute * 60).unwrap(),
            score: *score,
            status: score.map_or(Status::Unknown, |_| Status::Degraded),
        };
        (0..).zip(scores).map(point).collect()
    }

    #[test]
    fn the_line_runs_from_the_first_to_the_last_point() {
        let spark = Spark::of(&points(&[Some(0.0), Some(50.0), Some(100.0)])).unwrap();
        assert_eq!(spark.lines, ["3.0,25.0 60.0,14.0 117.0,3.0"]);
        assert_eq!(spark.end, Some(("117.0".to_owned(), "3.0".to_owned())));
        assert_eq!(spark.status, "degraded");
        assert_eq!(
            spark.label,
            "Score since 1970-01-01 00:00:00 UTC: 0.0 at first, 100.0 now, lowest 0.0, highest 100.0, 3 points"
        );
    }

    #[test]
    fn what_is_not_known_is_a_gap() {
        let gap = [Some(10.0), Some(20.0), None, Some(30.0), None];
        let spark = Spark::of(&points(&gap)).unwrap();
        assert_eq!(spark.lines.len(), 1, "one point is no line");
        assert_eq!((spark.end, spark.status), (None, "unknown"));
        assert!(spark.label.contains("– now"), "{}", spark.label);
    }

    #[test]
    fn fewer_than_two_points_are_no_history() {
        assert!(Spark::of(&[]).is_none());
        assert!(Spark::of(&points(&[Some(1.0)])).is_none());
    }
}
