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

#[test]
fn columns_agree_with_the_whole() {
    let identified = typical();
    let body = encode(&identified).unwrap();
    let columns = columns(&body).unwrap();
    assert_eq!(columns.severity(), identified.finding.severity());
    assert_eq!(columns.weight_class(), identified.finding.weight_class());
    assert_eq!(columns.uri, identified.finding.path());
    assert_eq!(columns.region, identified.finding.region());
    assert!(columns.suppressed && columns.fixable);
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
    fn a_damaged_finding_never_panics(at in 0usize..200, with in any::<u8>()) {
        let mut body = encode(&typical()).unwrap();
        let at = at % body.len();
        body[at] = with;
        let _ = decode(&body);
        let _ = columns(&body);
    }

    #[test]
    fn joined_parts_come_apart(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let joined = join(parts.iter().map(Vec::as_slice));
        let apart: Vec<Vec<u8>> = split(&joined).unwrap().into_iter().map(<[u8]>::to_vec).collect();
        prop_assert_eq!(apart, parts);
    }
}
