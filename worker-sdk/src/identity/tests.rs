use proptest::prelude::*;

use super::*;
use crate::finding::Location;
use crate::severity::Level;

fn repository() -> Repository {
    Repository::new("acme/shop").unwrap()
}

fn finding() -> Finding {
    Finding::new("rule", "a message of 3 words")
        .at("src/a.rs", 7)
        .snippet("let x = y;")
}

fn fingerprint_of(finding: Finding) -> Fingerprint {
    match Fingerprinter::new(&repository(), "tool").observe(finding) {
        Observed::New(identified) => identified.fingerprint,
        Observed::Again(_) => panic!("the first finding is new"),
    }
}

/// The formula is kept for ever: another value would lose people's triage.
#[test]
fn the_formula_is_pinned() {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"v1\0acme/shop\0tool\0rule\0src/a.rs\0snippet\x01letx=y;");
    let mut expected = [0; 16];
    expected.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    assert_eq!(fingerprint_of(finding()), Fingerprint(expected));
}

#[test]
fn what_moves_is_no_part_of_it() {
    let base = fingerprint_of(finding());
    let mut moved = finding().level(Level::Error).confidence(0.3);
    moved.locations[0].region = Some(Region {
        start_line: 99,
        start_column: 4,
        ..Region::default()
    });
    moved.locations[0].snippet = Some("  let x\n = y; ".to_owned());
    moved.message = "another message".to_owned();
    assert_eq!(fingerprint_of(moved), base);
}

#[test]
fn what_makes_it_another_finding_is() {
    let base = fingerprint_of(finding());
    let mut other_rule = finding();
    other_rule.rule_id = "rule2".to_owned();
    let mut other_path = finding();
    other_path.locations[0].uri = "src/b.rs".to_owned();
    let other_snippet = finding().snippet("let x = z;");
    for other in [other_rule, other_path, other_snippet] {
        assert_ne!(fingerprint_of(other), base);
    }
    let elsewhere =
        Fingerprinter::new(&Repository::new("acme/web").unwrap(), "tool").observe(finding());
    let Observed::New(elsewhere) = elsewhere else {
        panic!("the first finding is new")
    };
    assert_ne!(elsewhere.fingerprint, base);
}

#[test]
fn anchors_are_taken_in_order() {
    let mut with_all = finding();
    with_all.element = Some("shop::pay".to_owned());
    with_all
        .fingerprints
        .insert("hash/v1".to_owned(), "old".to_owned());
    with_all
        .fingerprints
        .insert("hash/v2".to_owned(), "new".to_owned());
    with_all
        .partial_fingerprints
        .insert("line".to_owned(), "p".to_owned());
    let base = fingerprint_of(with_all.clone());
    with_all
        .partial_fingerprints
        .insert("line".to_owned(), "q".to_owned());
    with_all
        .fingerprints
        .insert("hash/v1".to_owned(), "other".to_owned());
    let with_all = with_all.snippet("else");
    assert_eq!(
        fingerprint_of(with_all.clone()),
        base,
        "the highest fingerprint decides"
    );
    let mut changed = with_all;
    changed
        .fingerprints
        .insert("hash/v10".to_owned(), "newest".to_owned());
    assert_ne!(fingerprint_of(changed), base, "10 is higher than 2");
}

#[test]
fn without_a_place_the_message_decides_without_its_numbers() {
    let of = |message: &str| fingerprint_of(Finding::new("rule", message));
    assert_eq!(of("19 days old"), of("20 days old"));
    assert_eq!(of("in /home/ci/1/a.rs: bad"), of("in /tmp/build/a.rs: bad"));
    assert_eq!(
        of("id 5f0c3de2-7a11-7000-8000-000000000000"),
        of("id 00000000-7a11-7000-8000-5f0c3de25f0c")
    );
    assert_eq!(of("at 2026-01-02T03:04:05Z"), of("at 2027-11-12 13:14"));
    assert_eq!(
        of("commit 6d127980966808f7"),
        of("commit 0d127980966808f74135")
    );
    assert_ne!(of("in src/pay/a.rs: bad"), of("in src/login/a.rs: bad"));
    assert_ne!(of("unused variable `x`"), of("unused variable `y`"));
}

#[test]
fn the_same_place_again_is_a_repeat_and_another_is_another() {
    let mut stream = Fingerprinter::new(&repository(), "tool");
    let Observed::New(first) = stream.observe(finding()) else {
        panic!("the first is new")
    };
    let again = stream.observe(finding());
    assert_eq!(
        again,
        Observed::Again(Again {
            fingerprint: first.fingerprint,
            occurrences: 2
        })
    );
    let mut lower = finding();
    lower.locations[0].region = Some(Region {
        start_line: 70,
        ..Region::default()
    });
    let Observed::New(second) = stream.observe(lower) else {
        panic!("another place is new")
    };
    assert_ne!(second.fingerprint, first.fingerprint);
    let third = stream.observe(finding());
    assert_eq!(
        third,
        Observed::Again(Again {
            fingerprint: first.fingerprint,
            occurrences: 3
        })
    );
}

#[test]
fn paths_come_out_as_the_repository_names_them() {
    for (given, expected) in [
        ("src/a.rs", "src/a.rs"),
        ("./src//a.rs", "src/a.rs"),
        ("src\\win\\a.rs", "src/win/a.rs"),
        ("a/../../../etc/passwd", "etc/passwd"),
        ("my%20file.rs", "my file.rs"),
        ("file:///srv/a.rs", "srv/a.rs"),
        ("FILE://localhost/srv/a.rs", "srv/a.rs"),
        ("file:/srv/a.rs", "srv/a.rs"),
        ("Src/A.rs", "Src/A.rs"),
        ("e\u{301}.rs", "\u{e9}.rs"),
        ("100%.txt", "100%.txt"),
    ] {
        assert_eq!(normalise_path(given), expected, "{given}");
    }
}

#[test]
fn the_checkout_root_is_no_part_of_it() {
    let of = |root: &str, uri: &str| {
        let mut finding = finding();
        finding.locations[0].uri = uri.to_owned();
        match Fingerprinter::new(&repository(), "tool")
            .root(root)
            .observe(finding)
        {
            Observed::New(identified) => {
                (identified.fingerprint, identified.finding.path().to_owned())
            }
            Observed::Again(_) => panic!("the first finding is new"),
        }
    };
    let expected = (fingerprint_of(finding()), "src/a.rs".to_owned());
    for (root, uri) in [
        ("/home/ci/1/shop", "/home/ci/1/shop/src/a.rs"),
        ("/home/ci/2/shop/", "file:///home/ci/2/shop/src/a.rs"),
        (
            "file:///w/my%20shop",
            "file://localhost/w/my%20shop/src/a.rs",
        ),
        ("C:\\ws", "file:///C:/ws/src/a.rs"),
        ("/home/ci/1/shop", "src/a.rs"),
    ] {
        assert_eq!(of(root, uri), expected, "{uri} below {root}");
    }
    assert_eq!(of("/w/shop", "/w/shop2/a.rs").1, "w/shop2/a.rs");
    assert_eq!(of("/src", "src/a.rs").1, "src/a.rs", "not below the root");
}

fn marks() -> impl Strategy<Value = Vec<(u8, u32)>> {
    proptest::collection::vec((0u8..4, 1u32..5), 0..40)
}

fn placed(anchor: u8, line: u32) -> Finding {
    let mut finding = Finding::new("rule", "message");
    finding.locations.push(Location {
        uri: "a.rs".to_owned(),
        region: Some(Region {
            start_line: line,
            ..Region::default()
        }),
        snippet: Some(format!("snippet{anchor}")),
        message: None,
    });
    finding
}

proptest! {
    #[test]
    fn the_order_of_a_whole_scan_never_matters(scan in marks()) {
        let of = |scan: &[(u8, u32)]| {
            let fingerprinter = Fingerprinter::new(&repository(), "tool");
            let marks: Vec<Mark> = scan.iter().map(|(a, l)| fingerprinter.mark(&mut placed(*a, *l))).collect();
            let mut identities: Vec<_> = scan.iter().zip(Fingerprinter::identify_all(&marks))
                .filter_map(|(place, identity)| Some((*place, identity?))).collect();
            identities.sort_unstable();
            identities
        };
        let mut reversed = scan.clone();
        reversed.reverse();
        prop_assert_eq!(of(&scan), of(&reversed));
        let total: u32 = of(&scan).iter().map(|(_, (_, occurrences))| occurrences).sum();
        prop_assert_eq!(total as usize, scan.len());
    }

    #[test]
    fn distinct_findings_have_distinct_fingerprints(scan in marks()) {
        let mut stream = Fingerprinter::new(&repository(), "tool");
        let mut new = Vec::new();
        for (anchor, line) in &scan {
            if let Observed::New(identified) = stream.observe(placed(*anchor, *line)) {
                new.push(identified.fingerprint);
            }
        }
        let distinct: std::collections::HashSet<_> = scan.iter().collect();
        prop_assert_eq!(new.len(), distinct.len());
        let unique: std::collections::HashSet<_> = new.iter().collect();
        prop_assert_eq!(unique.len(), new.len());
    }

    #[test]
    fn normalising_a_path_twice_changes_nothing(path in "[ -~]{0,40}") {
        // A decoded percent sign may decode again; paths of tools are decoded once.
        prop_assume!(!path.contains('%'));
        let once = normalise_path(&path);
        prop_assume!(!once.starts_with("file:"));
        prop_assert_eq!(normalise_path(&once), once.clone());
    }

    #[test]
    fn which_digits_a_message_has_never_matters(message in "[ -~]{0,60}") {
        let sevens: String = message.chars().map(|c| if c.is_ascii_digit() { '7' } else { c }).collect();
        prop_assert_eq!(normalise_message(&message), normalise_message(&sevens));
    }
}
