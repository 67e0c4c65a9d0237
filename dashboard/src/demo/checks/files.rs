//! Files that a project should have.

use fleet_worker_sdk::{Finding, Level, Tier};

use crate::demo::check::{Check, Found, Look, RuleText};

pub(super) const CHECK: Check = Check {
    bot: "project-files",
    tier: Tier::Verifier,
    category: "project",
    after: &["marker-scan"],
    description: "Verifies that a project has the files that others look for",
    rules: &[
        RuleText {
            id: "no-readme",
            text: "Nobody can tell what the project is",
        },
        RuleText {
            id: "no-licence",
            text: "Nobody may use the project",
        },
        RuleText {
            id: "no-security-policy",
            text: "Nobody knows where to report a weakness",
        },
        RuleText {
            id: "no-contributing-guide",
            text: "Nobody knows how to take part",
        },
    ],
    look: Look::Paths(look),
};

const WANTED: [(&str, Level, &[&str]); 4] = [
    ("no-readme", Level::Error, &["readme"]),
    (
        "no-licence",
        Level::Error,
        &["license", "licence", "copying", "unlicense"],
    ),
    ("no-security-policy", Level::Note, &["security"]),
    ("no-contributing-guide", Level::Note, &["contributing"]),
];

fn look(paths: &[String], found: &mut Found) {
    // A project under two licences has LICENSE-APACHE and LICENSE-MIT.
    let stem = |path: &str| {
        let name = path
            .strip_prefix(".github/")
            .or(path.strip_prefix("docs/"))
            .unwrap_or(path);
        let stem = name
            .split(['.', '-'])
            .next()
            .filter(|_| !name.contains('/'));
        stem.unwrap_or_default().to_lowercase()
    };
    for (rule, level, names) in WANTED {
        let there = paths
            .iter()
            .any(|path| names.contains(&stem(path).as_str()));
        if !there {
            let wanted = names.first().copied().unwrap_or_default().to_uppercase();
            let message = format!("there is no {wanted} file at the top");
            found.add(
                Finding::new(rule, message)
                    .level(level)
                    .category(found.category),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::broken;
    use super::*;

    #[test]
    fn a_file_counts_by_its_name_at_the_top() {
        let missing: Vec<_> = broken(&CHECK, "src/readme.md", "")
            .into_iter()
            .map(|(rule, _)| rule)
            .collect();
        assert_eq!(missing.len(), 4, "{missing:?}");
        let says = |path: &str, rule: &str| {
            broken(&CHECK, path, "")
                .iter()
                .any(|(broken, _)| broken == rule)
        };
        for licence in ["LICENSE", "LICENSE-MIT", "licence.md", "COPYING"] {
            assert!(!says(licence, "no-licence"), "{licence}");
        }
        for other in ["licensed.rs", "license-texts/mit.txt"] {
            assert!(says(other, "no-licence"), "{other}");
        }
        assert!(!says(".github/SECURITY.md", "no-security-policy"));
    }
}
