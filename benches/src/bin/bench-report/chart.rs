//! Charts as SVG, drawn by hand: two axes in powers of ten and lines between points.

use std::fmt::Write as _;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 220.0;
/// Room for labels at the left and below.
const LEFT: f64 = 64.0;
const BELOW: f64 = 28.0;
/// Room at the other sides, so that points are not cut.
const EDGE: f64 = 20.0;

/// A line of a chart.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: &'a [(f64, f64)],
}

/// An axis of powers of ten that holds all of `values`.
struct Axis {
    from: i32,
    to: i32,
    start: f64,
    end: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, start: f64, end: f64) -> Self {
        let logs = values.filter(|value| *value > 0.0).map(f64::log10);
        let from = logs.clone().fold(f64::INFINITY, f64::min).floor();
        let to = logs.fold(f64::NEG_INFINITY, f64::max).ceil();
        let from = if from.is_finite() { from as i32 } else { 0 };
        let to = if to.is_finite() { to as i32 } else { 1 };
        Self {
            from,
            to: to.max(from + 1),
            start,
            end,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        self.start + share * (self.end - self.start)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.from..=self.to).map(|power| 10f64.powi(power))
    }
}

/// Lines over sizes; `label` writes a value of the upright axis.
pub(crate) fn lines(lines: &[Line<'_>], label: impl Fn(f64) -> String) -> String {
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let across = Axis::over(all().map(|point| point.0), LEFT, WIDTH - EDGE);
    let up = Axis::over(all().map(|point| point.1), HEIGHT - BELOW, EDGE);
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for value in up.ticks() {
        let (y, text) = (up.place(value), label(value));
        let right = WIDTH - EDGE;
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    for value in across.ticks() {
        let (x, y, text) = (across.place(value), HEIGHT - BELOW + 16.0, count(value));
        let _ = write!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>"
        );
    }
    for (number, line) in lines.iter().enumerate() {
        draw(&mut out, number, line, &across, &up);
    }
    out.push_str("</svg>");
    out
}

fn draw(out: &mut String, number: usize, line: &Line<'_>, across: &Axis, up: &Axis) {
    let places = line
        .points
        .iter()
        .map(|(x, y)| (across.place(*x), up.place(*y)));
    let path: Vec<String> = places
        .clone()
        .map(|(x, y)| format!("{x:.1} {y:.1}"))
        .collect();
    let _ = write!(
        out,
        "<g class=\"line{number}\"><path d=\"M{}\"/>",
        path.join("L")
    );
    for (x, y) in places {
        let _ = write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
    }
    let name = super::html::escaped(line.name);
    let _ = write!(out, "<title>{name}</title></g>");
}

/// A number of findings, short.
pub(crate) fn count(value: f64) -> String {
    match value {
        1e6.. => format!("{:.0} M", value / 1e6),
        1e3.. => format!("{:.0} k", value / 1e3),
        1.0.. => format!("{value:.0}"),
        _ => format!("{value}"),
    }
}

/// Nanoseconds, in the unit that fits.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        1e9.. => (ns / 1e9, "s"),
        1e6.. => (ns / 1e6, "ms"),
        1e3.. => (ns / 1e3, "µs"),
        _ => (ns, "ns"),
    };
    let digits = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts_are_short() {
        assert_eq!(
            [0.5, 94.2, 1_234.0, 2.5e6, 3e9].map(time),
            ["0.50 ns", "94.2 ns", "1.23 µs", "2.50 ms", "3.00 s"]
        );
        assert_eq!([10.0, 1_000.0, 1e6].map(count), ["10", "1 k", "1 M"]);
    }

    #[test]
    fn points_lie_within_the_drawing_and_larger_ones_further() {
        let axis = Axis::over([1.0, 50.0, 900.0].into_iter(), LEFT, WIDTH);
        assert_eq!((axis.from, axis.to), (0, 3));
        assert!(axis.place(1.0) >= LEFT && axis.place(900.0) <= WIDTH);
        assert!(axis.place(50.0) < axis.place(51.0));
        let points = [(100.0, 5.0), (1_000.0, 5.0)];
        let svg = lines(
            &[Line {
                name: "a<b",
                points: &points,
            }],
            time,
        );
        assert!(svg.contains("a&lt;b") && svg.matches("<circle").count() == 2);
        assert!(lines(&[], time).ends_with("</svg>"));
    }
}
