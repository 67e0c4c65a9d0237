//! Puts what criterion and `fleet-load` measured into a report: `bench-report --help`.

mod measured;

mod load;

mod machine;

mod targets;

mod growth;

mod scale;

mod chart;

mod markdown;

mod html;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use growth::Series;
use load::Load;
use measured::Measured;
use targets::Held;

/// Writes `report.md` and `report.html` about what was measured.
#[derive(Parser)]
#[command(name = "bench-report", version)]
struct Cli {
    /// Criterion's folder.
    #[arg(long, default_value = "target/criterion")]
    criterion: PathBuf,
    /// Where the report goes; what `fleet-load` wrote is read from `load/` there.
    #[arg(long, default_value = "benchmark-results")]
    results: PathBuf,
    /// The saved baseline to compare with.
    #[arg(long, default_value = "base")]
    baseline: String,
    /// Ends with 1 when a target is missed.
    #[arg(long)]
    strict: bool,
}

/// Everything a report shows.
struct Gathered {
    machine: Vec<(&'static str, String)>,
    measured: BTreeMap<String, Measured>,
    held: Vec<Held>,
    series: Vec<Series>,
    loads: Vec<Load>,
    baseline: String,
}

impl Gathered {
    /// Benchmarks that the baseline has, too: id, before and now.
    fn changes(&self) -> Vec<(&str, f64, f64)> {
        let both = self
            .measured
            .iter()
            .filter_map(|(id, measured)| Some((id.as_str(), measured.before?, measured.time)));
        both.collect()
    }
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let measured = measured::read(&cli.criterion, &cli.baseline)?;
    ensure!(
        !measured.is_empty(),
        "{} has no measurement; run `scripts/bench-fleet.sh run` first",
        cli.criterion.display()
    );
    let gathered = Gathered {
        machine: machine::facts(),
        held: targets::held(&measured),
        series: growth::series(&measured),
        loads: load::read(&cli.results.join("load"))?,
        baseline: cli.baseline,
        measured,
    };
    fs::create_dir_all(&cli.results)?;
    for (name, text) in [
        ("report.md", markdown::write(&gathered)),
        ("report.html", html::write(&gathered)),
    ] {
        let path = cli.results.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        say(&format!("wrote {}", path.display()))?;
    }
    let missed = gathered.held.iter().filter(|held| !held.met);
    let missed: Vec<&str> = missed.map(|held| held.target.work).collect();
    let all = gathered.held.len();
    say(&format!("{} of {all} targets are met", all - missed.len()))?;
    for work in &missed {
        say(&format!("missed: {work}"))?;
    }
    ensure!(
        !cli.strict || missed.is_empty(),
        "{} targets are missed",
        missed.len()
    );
    Ok(())
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("standard output")
}
