//! That docs/alerts.md lists every kind of alert with its limits, and nothing else.

use super::Name;
use super::settings::Limit;

fn number(limit: Option<f64>) -> String {
    limit.map_or(String::new(), |limit| limit.to_string())
}

#[test]
fn every_kind_is_documented_with_its_limits() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/alerts.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let documented: Vec<[String; 4]> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [kind, _, _, warning, critical, hold, meaning] = cells[..] else {
                panic!("seven columns are expected: {row}");
            };
            assert!(meaning.len() > 40, "{row}");
            [kind, warning, critical, hold].map(|cell| cell.trim_matches('`').to_owned())
        })
        .collect();
    let kinds = Name::ALL.iter().filter(|name| **name != Name::Test);
    let known: Vec<[String; 4]> = kinds
        .map(|name| {
            let limit = Limit::of(*name);
            let hold = format!("{} s", limit.hold.as_secs());
            [
                name.to_string(),
                number(limit.warning),
                number(limit.critical),
                hold,
            ]
        })
        .collect();
    assert_eq!(documented, known);
}
