//! What is kept in files, and what is not read.

use std::io::ErrorKind;
use std::path::Path;

use super::{at, error, with_bots};
use crate::context::{Context, End};

fn example() -> Context {
    let (mut context, bots) = with_bots(2);
    context.start(bots[0], at(1)).unwrap();
    context
        .add(bots[0], &error("one").at("src/é.rs", 3), at(2))
        .unwrap();
    context
        .end(bots[0], End::Failed("no memory"), at(3))
        .unwrap();
    context.add(bots[1], &error("two"), at(4)).unwrap();
    context
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn what_was_saved_is_loaded_and_nothing_is_left_beside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("context.json");
    std::fs::write(&path, "what was there before").unwrap();
    let context = example();
    context.save(&path).await.unwrap();
    assert_eq!(names(folder.path()), ["context.json"]);
    let loaded = Context::load(&path).await.unwrap();
    assert_eq!(loaded.to_json().unwrap(), context.to_json().unwrap());
}

#[tokio::test]
async fn a_save_that_fails_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("a-folder");
    std::fs::create_dir_all(taken.join("inside")).unwrap();
    let error = example().save(&taken).await.unwrap_err();
    assert!(error.to_string().contains("a-folder"), "{error}");
    assert_eq!(names(folder.path()), ["a-folder"]);
    let nowhere = folder.path().join("absent/context.json");
    let error = example().save(&nowhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn files_that_are_no_context_are_refused_with_name_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("context.json");
    assert_eq!(
        Context::load(&path).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let whole = example().to_json().unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = Context::load(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let text = error.to_string();
    assert!(
        text.contains("context.json") && text.contains("line"),
        "{text}"
    );
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    let error = Context::load(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

/// The example with `from` replaced by `to`, which must be there.
fn changed(from: &str, to: &str) -> String {
    let text = example().to_json().unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    text.replacen(from, to, 1)
}

#[test]
fn documents_that_do_not_fit_together_are_refused_with_the_reason() {
    let last = "\"bot\":1,\"severity\"";
    for (from, to, reason) in [
        ("\"version\":1", "\"version\":2", "version 2"),
        ("\"id\":\"b\"", "\"id\":\"a\"", "2 bots, 1 different"),
        ("\"runs\":[", "\"runs\":[{\"state\":\"pending\"},", "3 runs"),
        (last, "\"bot\":2,\"severity\"", "of bot 2"),
        (last, "\"bot\":4000000000,\"severity\"", "of bot 4000000000"),
        ("\"times\":[[0,", "\"times\":[[1,", "times"),
        ("[1,", "[0,", "times"),
        ("\"rule\":\"one\"", "\"rule\":\"\"", "rule"),
        ("\"severity\":\"error\"", "\"severity\":\"worst\"", "line 2"),
        ("acme/shop", "", "repository"),
    ] {
        let refused = Context::from_json(&changed(from, to)).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(reason), "{from} -> {to}: {text}");
    }
    let id = example().id().to_string();
    let finding = format!("{}1\"", &id[..id.len() - 1]);
    let text = example().to_json().unwrap();
    let from = text
        .split("\"id\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let bad = text.replacen(&format!("{from}\""), &finding, 1);
    assert!(
        Context::from_json(&bad).is_err(),
        "a finding's id is no context's"
    );
}
