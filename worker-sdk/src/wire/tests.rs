use super::*;
use proptest::prelude::*;

fn typical() -> Identified {
    let mut finding = Finding::new("generic.secrets.aws-key", "AWS key in `config.py`")
        .level(Level::Error)
        .category("security")
        .at("src/app/config.py", 12)
        .snippet("KEY = \"AKIA...\"");
    finding.security_severity = Some(9.1);
    finding.confidence = Some(0.9);
    finding.fixable = true;
    finding.suppressions.push(Suppression::default());
    finding
        .properties
        .insert("cwe".to_owned(), serde_json::json!(["CWE-798"]));
    finding
        .partial_fingerprints
        .insert("hash/v1".to_owned(), "abc".to_owned());
    Identified {
        fingerprint: Fingerprint([7; 16]),
        finding,
    }
}

#[test]
fn a_finding_survives_the_wire() {
    let identified = typical();
    let body = encode(&identified).unwrap();
    assert_eq!(decode(&body).unwrap(), identified);
}

#[track_caller]
fn assert_agrees(columns: &Columns<'_>, whole: &Identified) {
    let finding = &whole.finding;
    assert_eq!(columns.fingerprint, whole.fingerprint);
    assert_eq!(
        (columns.rule_id, columns.category, columns.message),
        (
            finding.rule_id.as_str(),
            finding.category.as_str(),
            finding.message.as_str()
        )
    );
    assert_eq!((columns.level, columns.kind), (finding.level, finding.kind));
    assert_eq!(columns.severity(), finding.severity());
    assert_eq!(columns.weight_class(), finding.weight_class());
    assert_eq!(
        (columns.uri, columns.region),
        (finding.path(), finding.region())
    );
    assert_eq!(columns.element, finding.element.as_deref());
    assert_eq!(columns.security_severity, finding.security_severity);
    assert_eq!(columns.confidence, finding.confidence);
    assert_eq!(columns.suppressed, finding.is_suppressed());
    assert_eq!(columns.fixable, finding.fixable);
    assert_eq!(columns.occurrence_count, finding.occurrence_count);
}

#[test]
fn columns_agree_with_the_whole() {
    let identified = typical();
    let body = encode(&identified).unwrap();
    assert_agrees(&columns(&body).unwrap(), &identified);
}

#[test]
fn what_is_no_finding_is_refused_with_the_reason() {
    let mut body = encode(&typical()).unwrap();
    for (wrong, why) in [
        (&b"no finding"[..], "invalid type"),
        (b"\x81\xa1r\xa1r", "missing field"),
    ] {
        let error = columns(wrong).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    body.extend(b"\xa1r\xa1r");
    body[0] += 1;
    let error = columns(&body).unwrap_err().to_string();
    assert!(error.contains("duplicate field `r`"), "{error}");
}

#[test]
fn a_reader_skips_names_it_does_not_know() {
    let later = serde_json::json!({
        "r": "rule", "l": 1, "m": "text", "c": "style", "zz": {"new": [1, 2]}
    });
    let object = later.as_object().unwrap();
    let mut body = vec![0x80 + (object.len() as u8) + 1];
    body.extend(rmp_serde::to_vec("f").unwrap());
    body.extend([0xc4, 16]);
    body.extend([9; 16]);
    for (name, value) in object {
        body.extend(rmp_serde::to_vec(name).unwrap());
        body.extend(rmp_serde::to_vec(value).unwrap());
    }
    let identified = decode(&body).unwrap();
    assert_eq!(identified.finding.rule_id, "rule");
    assert_eq!(identified.fingerprint, Fingerprint([9; 16]));
}

#[test]
fn versions_beside_ours_are_read_and_others_are_not() {
    assert!(accepts(WIRE_VERSION) && accepts(WIRE_VERSION + 1));
    assert!(!accepts(0) && !accepts(WIRE_VERSION + 2));
}

#[test]
fn an_oversized_finding_is_refused() {
    let mut identified = typical();
    identified.finding.message = "x".repeat(MAX_FINDING_BYTES);
    assert!(matches!(encode(&identified), Err(Error::TooLarge { .. })));
}

#[test]
fn findings_are_joined_as_they_are_encoded_and_a_refused_one_leaves_nothing() {
    let (identified, mut oversized) = (typical(), typical());
    oversized.finding.message = "x".repeat(MAX_FINDING_BYTES);
    let mut joined = Vec::new();
    join_encoded(&identified, &mut joined).unwrap();
    assert!(join_encoded(&oversized, &mut joined).is_err());
    join_encoded(&identified, &mut joined).unwrap();
    let body = encode(&identified).unwrap();
    assert_eq!(joined, join([body.as_slice(), body.as_slice()]));
}

fn location() -> impl Strategy<Value = crate::Location> {
    let text = || proptest::option::of(".{0,300}");
    (".{0,70}", any::<Option<[u32; 4]>>(), text(), text()).prop_map(
        |(uri, region, snippet, message)| crate::Location {
            uri,
            region: region.map(|[start_line, start_column, end_line, end_column]| Region {
                start_line,
                start_column,
                end_line,
                end_column,
            }),
            snippet,
            message,
        },
    )
}

fn suppression() -> impl Strategy<Value = Suppression> {
    let status = prop::sample::select(vec!["accepted", "rejected", "underReview"]);
    status.prop_map(|status| Suppression {
        status: status.to_owned(),
        ..Suppression::default()
    })
}

fn identified() -> impl Strategy<Value = Identified> {
    use proptest::collection::{btree_map, vec};
    let texts = (
        ".{0,40}",
        ".{0,400}",
        ".{0,20}",
        proptest::option::of(".{0,20}"),
    );
    let numbers = (
        prop::sample::select(Level::ALL),
        prop::sample::select(Kind::ALL),
        any::<Option<u16>>(),
        any::<Option<u16>>(),
        any::<u32>(),
    );
    let lists = (
        vec(location(), 0..4),
        vec(location(), 0..3),
        vec(suppression(), 0..3),
        btree_map(".{0,4}", ".{0,8}", 0..3),
    );
    let others = (
        any::<[u8; 16]>(),
        any::<bool>(),
        any::<bool>(),
        vec(".{0,9}", 0..3),
    );
    (texts, numbers, lists, others).prop_map(|(texts, numbers, lists, others)| Identified {
        fingerprint: Fingerprint(others.0),
        finding: Finding {
            rule_id: texts.0,
            message: texts.1,
            category: texts.2,
            element: texts.3,
            level: numbers.0,
            kind: numbers.1,
            security_severity: numbers.2.map(f32::from),
            confidence: numbers.3.map(|n| f32::from(n) / 65_536.0),
            occurrence_count: numbers.4,
            locations: lists.0,
            related: lists.1,
            suppressions: lists.2,
            properties: lists.3.into_iter().map(|(k, v)| (k, v.into())).collect(),
            fixable: others.1,
            fixed: others.2,
            fixes: others.3,
            ..Finding::default()
        },
    })
}

proptest! {
    #[test]
    fn an_estimated_size_is_never_less_than_half(texts in proptest::collection::vec(".{0,40}", 12), many in 0usize..20) {
        let mut identified = typical();
        let finding = &mut identified.finding;
        finding.rule_id.clone_from(&texts[0]);
        finding.message.clone_from(&texts[1]);
        finding.category.clone_from(&texts[2]);
        finding.element = Some(texts[3].clone());
        finding.guid = Some(texts[4].clone());
        for number in 0..many {
            let place = crate::Location { uri: texts[5].clone(), message: Some(texts[6].clone()), ..finding.locations[0].clone() };
            finding.related.push(place);
            let by = Some(texts[7].clone());
            finding.suppressions.push(Suppression { justification: Some(texts[8].clone()), by, ..Suppression::default() });
            finding.fixes.push(texts[9].clone());
            finding.fingerprints.insert(number.to_string(), texts[10].clone());
            finding.properties.insert(format!("p{number}"), serde_json::json!(texts[11]));
        }
        let (estimated, exact) = (about(&identified.finding), encode(&identified).unwrap().len());
        prop_assert!(2 * estimated >= exact, "{estimated} for {exact}");
        prop_assert!(estimated <= 2 * exact, "{estimated} for {exact}");
    }

    #[test]
    fn no_bytes_make_a_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&body);
        let _ = columns(&body);
        let _ = split(&body);
        let _ = decode_again(&body);
    }

    #[test]
    fn a_damaged_finding_never_panics_and_is_read_one_way(at in 0usize..200, with in any::<u8>()) {
        let mut body = encode(&typical()).unwrap();
        let at = at % body.len();
        body[at] = with;
        if let (Ok(whole), Ok(columns)) = (decode(&body), columns(&body)) {
            assert_agrees(&columns, &whole);
        }
    }

    #[test]
    fn columns_are_those_of_every_finding(identified in identified()) {
        let body = encode(&identified).unwrap();
        let columns = columns(&body);
        assert_agrees(&columns.unwrap(), &identified);
        prop_assert_eq!(decode(&body).unwrap(), identified);
    }

    #[test]
    fn joined_parts_come_apart(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let joined = join(parts.iter().map(Vec::as_slice));
        let apart: Vec<Vec<u8>> = split(&joined).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        prop_assert_eq!(apart, parts);
    }
}
