//! Bodies of the API's writes: taken or refused, never a failure of ours.

#[path = "site.rs"]
mod site;

use site::SITE;

const PATHS: [&str; 6] = [
    "/api/v1/sessions",
    "/api/v1/push",
    "/api/v1/transitions",
    "/api/v1/beat",
    "/api/v1/bots",
    "/api/v1/ingest?repository=acme/shop",
];

pub(crate) fn check(data: &[u8]) {
    let Some((which, body)) = data.split_first() else {
        return;
    };
    let path = PATHS[usize::from(*which) % PATHS.len()];
    SITE.with(|site| {
        // A seed cannot know what the session is called that it is to reach.
        let text = String::from_utf8_lossy(body).replace("{session}", &site.session);
        let body = if text.contains(&site.session) {
            text.as_bytes()
        } else {
            body
        };
        let status = site.ask("POST", path, "application/json", body);
        assert!(status < 500, "{path}: {status}");
    });
}
