//! The report as Markdown.

use std::fmt::Write as _;

use crate::Gathered;
use crate::chart::time;
use crate::load::Latency;
use crate::scale::{self, Scale};
use crate::targets::{Goal, Held};

/// Changes smaller than this are noise on a machine that does other things, too.
pub(crate) const NOISE: f64 = 0.05;

pub(crate) fn write(gathered: &Gathered) -> String {
    let mut out = String::from("# Measured\n\n");
    for (name, value) in &gathered.machine {
        let _ = writeln!(out, "- {name}: {value}");
    }
    out.push_str("\n## Targets against measured\n\n");
    out.push_str(
        "| work | measured | compared with | value | goal | |\n|---|---:|---:|---:|---:|---|\n",
    );
    for held in &gathered.held {
        let cells = target_cells(held);
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push_str(
        "\n## Growth\n\nWhat ten times the work takes: 10 is linear, 1 independent of it.\n\n",
    );
    out.push_str("| benchmark | from | to | ten times the work |\n|---|---:|---:|---:|\n");
    for series in &gathered.series {
        if let (Some(first), Some(last), Some(factor)) =
            (series.points.first(), series.points.last(), series.by_ten())
        {
            let (from, to) = (end(*first), end(*last));
            let _ = writeln!(out, "| {} | {from} | {to} | x {factor:.2} |", series.name);
        }
    }
    changes(&mut out, gathered);
    loads(&mut out, gathered);
    growing(&mut out, gathered);
    everything(&mut out, gathered);
    out
}

fn growing(out: &mut String, gathered: &Gathered) {
    let all = Scale::of(&gathered.loads);
    if all.is_empty() {
        return;
    }
    let columns = scale::columns();
    let _ = writeln!(out, "\n## Scale\n\n{}\n", scale::ABOUT);
    let _ = writeln!(out, "| {} |", columns.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(columns.len() - 1));
    for row in all.iter().flat_map(Scale::rows) {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}

fn end((size, ns): (f64, f64)) -> String {
    format!("{} in {}", crate::chart::count(size), time(ns))
}

/// A row of the table of targets.
pub(crate) fn target_cells(held: &Held) -> [String; 6] {
    let (value, goal) = match held.target.goal {
        Goal::Ratio(_, most) => (format!("{:.3}", held.value), format!("≤ {most:.3}")),
        Goal::Time(most) => (time(held.value), format!("≤ {}", time(most))),
        Goal::Bytes(least) => {
            let speed = |bytes: f64| format!("{:.0} MB/s", bytes / 1e6);
            (speed(held.value), format!("≥ {}", speed(least)))
        }
    };
    let other = held.other.map_or_else(String::new, time);
    let met = if held.met { "met" } else { "**missed**" };
    [
        held.target.work.to_owned(),
        time(held.time),
        other,
        value,
        goal,
        met.to_owned(),
    ]
}

fn changes(out: &mut String, gathered: &Gathered) {
    let changes = gathered.changes();
    if changes.is_empty() {
        return;
    }
    let name = &gathered.baseline;
    let _ = write!(
        out,
        "\n## Change against `{name}`\n\n| benchmark | before | now | change |\n|---|---:|---:|---:|\n"
    );
    for (id, before, now) in changes {
        let change = now / before - 1.0;
        let mark = if change.abs() < NOISE { "" } else { "**" };
        let (before, now) = (time(before), time(now));
        let _ = writeln!(
            out,
            "| {id} | {before} | {now} | {mark}{:+.1} %{mark} |",
            change * 100.0
        );
    }
}

fn loads(out: &mut String, gathered: &Gathered) {
    if gathered.loads.is_empty() {
        return;
    }
    out.push_str("\n## Under load\n\n| run | findings | workers | sessions | acknowledged/s | visible/s | acknowledged | visible | read |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for load in &gathered.loads {
        let spread = |latency: &Option<Latency>| {
            latency.as_ref().map_or_else(String::new, |l| {
                let us = |us: u64| time(us as f64 * 1e3);
                format!(
                    "p50 {}, p99 {}, max {}",
                    us(l.p50_us),
                    us(l.p99_us),
                    us(l.max_us)
                )
            })
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.0} | {:.0} | {} | {} | {} |",
            load.name,
            load.findings,
            load.workers,
            load.sessions,
            load.acknowledged_per_second,
            load.visible_per_second,
            spread(&load.acknowledged),
            spread(&load.visible),
            spread(&load.read),
        );
    }
}

fn everything(out: &mut String, gathered: &Gathered) {
    out.push_str(
        "\n## Everything measured\n\n| benchmark | time | 95 % between |\n|---|---:|---|\n",
    );
    for (id, measured) in &gathered.measured {
        let (low, high) = measured.between;
        let _ = writeln!(
            out,
            "| {id} | {} | {} and {} |",
            time(measured.time),
            time(low),
            time(high)
        );
    }
}
