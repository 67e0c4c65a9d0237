//! The report as one HTML page with its charts, without scripts or anything to load.

use std::fmt::Write as _;

use crate::Gathered;
use crate::chart::{self, Line, time};
use crate::growth::Series;
use crate::markdown::{NOISE, target_cells};
use crate::scale::{self, Scale};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
table{border-collapse:collapse;width:100%}.share{white-space:nowrap}td,th{padding:.25rem .6rem;border-bottom:1px solid #d8dee4;text-align:left}\
.bar{background:#d8dee4;width:9rem;height:.7rem;display:inline-block}.bar i{display:block;height:100%;background:#1a7f37}\
.missed .bar i{background:#cf222e}.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(24rem,1fr));gap:1rem}\
figure{margin:0}svg{width:100%}svg text{font-size:11px;fill:currentColor}.grid{stroke:#d8dee4;fill:none}\
.line0 path{stroke:#0969da;fill:none;stroke-width:2}.line0 circle{fill:#0969da}\
.line1 path{stroke:#bc4c00;fill:none;stroke-width:2;stroke-dasharray:5 3}.line1 circle{fill:#bc4c00}\
.worse{color:#cf222e}.better{color:#1a7f37}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}td,th{border-color:#30363d}.grid{stroke:#30363d}.bar{background:#30363d}}";

pub(crate) fn write(gathered: &Gathered) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Measured</title><style>{STYLE}</style></head><body><h1>Measured</h1><ul>"
    );
    for (name, value) in &gathered.machine {
        let _ = write!(out, "<li>{name}: {}</li>", escaped(value));
    }
    out.push_str("</ul>");
    targets(&mut out, gathered);
    growth(&mut out, &gathered.series);
    changes(&mut out, gathered);
    loads(&mut out, gathered);
    growing(&mut out, gathered);
    out.push_str("</body></html>\n");
    out
}

/// Text as HTML shows it.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

fn targets(out: &mut String, gathered: &Gathered) {
    out.push_str("<h2>Targets against measured</h2><table><thead><tr><th>Work<th>Measured<th>Compared with<th>Value<th>Goal<th>Of the goal</tr></thead><tbody>");
    for held in &gathered.held {
        let [work, measured, other, value, goal, _] = target_cells(held);
        let class = if held.met { "met" } else { "missed" };
        let used = held.used() * 100.0;
        let wide = used.clamp(1.0, 100.0);
        let _ = write!(
            out,
            "<tr class=\"{class}\"><td>{}<td>{measured}<td>{other}<td>{value}<td>{goal}<td class=\"share\"><span class=\"bar\"><i style=\"width:{wide:.0}%\"></i></span> {used:.0} %, {class}</tr>",
            escaped(&work)
        );
    }
    out.push_str("</tbody></table>");
}

fn growth(out: &mut String, all: &[Series]) {
    out.push_str("<h2>Growth</h2><p>Time against the number of findings; dashed is the reference. x is what ten times the work takes: 10 is linear, 1 independent of it.</p><div class=\"charts\">");
    for series in all.iter().filter(|series| !is_reference(&series.name)) {
        let reference = series
            .name
            .split_once('/')
            .map(|(group, name)| format!("{group}/reference/{name}"));
        let reference = all
            .iter()
            .find(|other| Some(&other.name) == reference.as_ref());
        let both = [Some(series), reference];
        let lines: Vec<Line<'_>> = both.into_iter().flatten().map(line).collect();
        let factor = |series: Option<&Series>| {
            series
                .and_then(Series::by_ten)
                .map_or_else(String::new, |x| format!(" x {x:.1}"))
        };
        let name = escaped(&series.name);
        let mut caption = format!("{name}{}", factor(Some(series)));
        if reference.is_some() {
            let _ = write!(caption, "; reference{}", factor(reference));
        }
        let chart = chart::lines(&lines, time);
        let _ = write!(
            out,
            "<figure><figcaption>{caption}</figcaption>{chart}</figure>"
        );
    }
    out.push_str("</div>");
}

fn is_reference(name: &str) -> bool {
    name.split('/').any(|part| part == "reference")
}

fn line(series: &Series) -> Line<'_> {
    Line {
        name: &series.name,
        points: &series.points,
    }
}

fn changes(out: &mut String, gathered: &Gathered) {
    let changes = gathered.changes();
    if changes.is_empty() {
        return;
    }
    let name = escaped(&gathered.baseline);
    let _ = write!(
        out,
        "<h2>Change against {name}</h2><table><thead><tr><th>Benchmark<th>Before<th>Now<th>Change</tr></thead><tbody>"
    );
    for (id, before, now) in changes {
        let change = now / before - 1.0;
        let class = match change {
            NOISE.. => "worse",
            change if change < -NOISE => "better",
            _ => "same",
        };
        let (before, now) = (time(before), time(now));
        let _ = write!(
            out,
            "<tr><td>{}<td>{before}<td>{now}<td class=\"{class}\">{:+.1} %</tr>",
            escaped(id),
            change * 100.0
        );
    }
    out.push_str("</tbody></table>");
}

fn growing(out: &mut String, gathered: &Gathered) {
    let all = Scale::of(&gathered.loads);
    if all.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<h2>Scale</h2><p>{}</p><table><thead><tr>",
        scale::ABOUT
    );
    for column in scale::columns() {
        let _ = write!(out, "<th>{}", escaped(column));
    }
    out.push_str("</tr></thead><tbody>");
    for row in all.iter().flat_map(Scale::rows) {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}", escaped(&cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
}

fn loads(out: &mut String, gathered: &Gathered) {
    if gathered.loads.is_empty() {
        return;
    }
    out.push_str("<h2>Under load</h2><div class=\"charts\">");
    let alone = gathered.loads.iter();
    for load in alone.filter(|load| !load.name.starts_with(scale::PREFIX)) {
        let kinds = [
            ("acknowledged", &load.acknowledged),
            ("visible", &load.visible),
            ("read", &load.read),
        ];
        for (kind, latency) in kinds {
            let Some(latency) = latency else { continue };
            // Over 1 / (1 - percentile), so that the rare slow ones have room.
            let rare = latency
                .curve
                .iter()
                .filter(|(percentile, _)| *percentile < 100.0);
            let points: Vec<(f64, f64)> = rare
                .map(|(p, us)| (100.0 / (100.0 - p), *us as f64 * 1e3))
                .collect();
            let chart = chart::lines(
                &[Line {
                    name: kind,
                    points: &points,
                }],
                time,
            );
            let (p50, p99) = (
                time(latency.p50_us as f64 * 1e3),
                time(latency.p99_us as f64 * 1e3),
            );
            let name = escaped(&load.name);
            let _ = write!(
                out,
                "<figure><figcaption>{name}, {kind}: p50 {p50}, p99 {p99}; across, one in so many</figcaption>{chart}</figure>"
            );
        }
    }
    out.push_str("</div>");
}
