//! How the cost of the whole fleet grows: the same load at several sizes.

use std::collections::BTreeMap;

use crate::load::Load;

/// What the names of such runs begin with: `scale-<what grows>-<size>`.
pub(crate) const PREFIX: &str = "scale-";

/// Runs of one load at several sizes, smallest first.
pub(crate) struct Scale<'a> {
    /// What grows.
    pub(crate) what: &'a str,
    /// Its size, and the run.
    pub(crate) runs: Vec<(f64, &'a Load)>,
}

/// What one run cost, each finding's share of it.
type Cost = fn(&Load) -> Option<f64>;

/// Columns: a name, and the cost.
const COSTS: [(&str, Cost); 5] = [
    ("time, us", |load| Some(1e6 / load.visible_per_second)),
    ("Redis, us", |load| load.cpu_us("redis")),
    ("coordinator, us", |load| load.cpu_us("coordinator")),
    ("dashboard, us", |load| load.cpu_us("dashboard")),
    ("Redis memory, bytes", |load| load.bytes("redis")),
];

impl<'a> Scale<'a> {
    /// Every load that was measured at two sizes or more.
    pub(crate) fn of(loads: &'a [Load]) -> Vec<Self> {
        let mut all: BTreeMap<&str, Vec<(f64, &Load)>> = BTreeMap::new();
        for load in loads {
            let named = load.name.strip_prefix(PREFIX);
            if let Some((what, size)) = named.and_then(|name| name.rsplit_once('-'))
                && let Ok(size) = size.parse()
            {
                all.entry(what).or_default().push((size, load));
            }
        }
        let grown = all.into_iter().filter(|(_, runs)| runs.len() > 1);
        grown
            .map(|(what, mut runs)| {
                runs.sort_by(|one, other| one.0.total_cmp(&other.0));
                Self { what, runs }
            })
            .collect()
    }

    /// What a finding's share becomes when the size is ten times as large: 1 where it stays the same.
    fn by_ten(&self, cost: Cost) -> Option<f64> {
        let (first, last) = (self.runs.first()?, self.runs.last()?);
        let ratio = cost(last.1)? / cost(first.1)?;
        let factor = 10f64.powf(ratio.log10() / (last.0 / first.0).log10());
        factor.is_finite().then_some(factor)
    }

    /// A row for each size, and one with what ten times the size makes of each column.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let some = |value: Option<String>| value.unwrap_or_default();
        let row = |(size, load): &(f64, &Load)| {
            let costs = COSTS.map(|(_, cost)| some(cost(load).map(|cost| format!("{cost:.2}"))));
            let visible = load.visible.as_ref();
            let visible = visible.map(|visible| format!("{:.1} ms", visible.p99_us as f64 / 1e3));
            let mut row = vec![self.what.to_owned(), size.to_string()];
            row.extend(costs);
            row.push(some(visible));
            row
        };
        let mut rows: Vec<Vec<String>> = self.runs.iter().map(row).collect();
        let mut growth = vec![self.what.to_owned(), "x 10".to_owned()];
        let factors = COSTS.map(|(_, cost)| self.by_ten(cost));
        growth.extend(factors.map(|factor| some(factor.map(|factor| format!("x {factor:.2}")))));
        growth.push(String::new());
        rows.push(growth);
        rows
    }
}

/// Names of the columns.
pub(crate) fn columns() -> Vec<&'static str> {
    let mut columns = vec!["what grows", "size"];
    columns.extend(COSTS.map(|(name, _)| name));
    columns.push("visible, p99");
    columns
}

/// What the table says.
pub(crate) const ABOUT: &str = "What a finding takes of the whole fleet as one thing grows, and what ten times the size makes of that: 1 where it costs the same.";

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, each_second: f64, redis_seconds: f64) -> Load {
        let json = format!(
            r#"{{"findings": 1000, "workers": 1, "sessions": 1, "acknowledged_per_second": 1.0,
            "visible_per_second": {each_second}, "used": {{"redis-server": {{"cpu_seconds": {redis_seconds}, "grown_bytes": 414000}}}}}}"#
        );
        let mut load: Load = serde_json::from_str(&json).unwrap();
        name.clone_into(&mut load.name);
        load
    }

    #[test]
    fn growth_is_that_of_a_finding_s_share() {
        let loads = [
            load("scale-findings-1000", 1_000.0, 0.01),
            load("scale-findings-100000", 1_000.0, 0.04),
            load("flood", 5.0, 1.0),
            load("scale-alone-10", 5.0, 1.0),
        ];
        let all = Scale::of(&loads);
        assert_eq!(all.len(), 1, "one size shows no growth");
        assert_eq!(all[0].what, "findings");
        let rows = all[0].rows();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0][6], "414.00");
        assert_eq!(rows[2][..4], ["findings", "x 10", "x 1.00", "x 2.00"]);
        assert!(rows.iter().all(|row| row.len() == columns().len()));
    }
}
