//! How cost grows: the same benchmark at several sizes.

use std::collections::BTreeMap;

use crate::measured::Measured;

/// A benchmark at several sizes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// Its id without the size.
    pub(crate) name: String,
    /// Size and nanoseconds, smallest first.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Series {
    /// What ten times the work takes, over the whole range: 10 is linear, 1 independent.
    pub(crate) fn by_ten(&self) -> Option<f64> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        let exponent = (last.1 / first.1).log10() / (last.0 / first.0).log10();
        Some(10f64.powf(exponent))
    }
}

/// Every benchmark that was measured at two sizes or more.
pub(crate) fn series(measured: &BTreeMap<String, Measured>) -> Vec<Series> {
    let mut all: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (id, measured) in measured {
        if let Some((name, size)) = id.rsplit_once('/')
            && let Ok(size) = size.parse::<f64>()
        {
            all.entry(name).or_default().push((size, measured.time));
        }
    }
    let grown = all.into_iter().filter(|(_, points)| points.len() > 1);
    let series = grown.map(|(name, mut points)| {
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Series {
            name: name.to_owned(),
            points,
        }
    });
    series.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_order_and_growth_is_for_ten_times_the_work() {
        let time = |time: f64| Measured {
            time,
            between: (time, time),
            throughput: None,
            before: None,
        };
        let ids = [
            ("add/100", 10.0),
            ("add/1000", 100.0),
            ("add/100000", 10_000.0),
            ("new", 1.0),
        ];
        let all = ids.map(|(id, ns)| (id.to_owned(), time(ns)));
        let series = series(&BTreeMap::from(all));
        assert_eq!(series.len(), 1);
        assert_eq!(
            series[0].points.iter().map(|p| p.0).collect::<Vec<_>>(),
            [100.0, 1_000.0, 100_000.0]
        );
        assert!((series[0].by_ten().unwrap() - 10.0).abs() < 1e-9);
    }
}
