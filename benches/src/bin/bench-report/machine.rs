//! What was measured on, and with what.

use std::fs;
use std::process::Command;

/// Names and values, in the order shown; what cannot be found out is left out.
pub(crate) fn facts() -> Vec<(&'static str, String)> {
    let known = [
        ("Processor", processor()),
        ("Memory", memory()),
        ("System", first_line("uname", &["-srm"])),
        ("Compiler", first_line("rustc", &["--version"])),
        ("Redis", first_line("redis-server", &["--version"])),
        (
            "Revision",
            first_line("git", &["describe", "--always", "--dirty"]),
        ),
    ];
    let known = known.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"))?;
    let cores = std::thread::available_parallelism().ok()?;
    Some(format!(
        "{}, {cores} cores",
        model.trim_start_matches([' ', '\t', ':'])
    ))
}

fn memory() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = total.trim().trim_end_matches(" kB").parse().ok()?;
    Some(format!("{:.1} GiB", kib / 1_048_576.0))
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
