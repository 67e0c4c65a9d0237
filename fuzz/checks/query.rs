//! Query strings and path segments of the API and the pages: answered or refused, never a failure of
//! ours.

#[path = "site.rs"]
mod site;

use site::SITE;

const PATHS: [&str; 10] = [
    "/api/v1/sessions",
    "/api/v1/sessions/{session}/findings",
    "/api/v1/sessions/{session}/report",
    "/api/v1/sessions/{session}/health",
    "/api/v1/health/history",
    "/api/v1/anomalies",
    "/api/v1/workers",
    "/sessions/{session}",
    "/sessions",
    "/api/v1/bots/",
];

pub(crate) fn check(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    // What no HTTP parser lets through is no query.
    let text: String = rest
        .iter()
        .filter(|byte| byte.is_ascii_graphic() && **byte != b'#')
        .map(|byte| char::from(*byte))
        .collect();
    let path = PATHS[usize::from(*which) % PATHS.len()];
    SITE.with(|site| {
        let path = path.replace("{session}", &site.session);
        let separator = if path.ends_with('/') { "" } else { "?" };
        let address = format!("{path}{separator}{text}");
        if address.parse::<warp::http::Uri>().is_ok() {
            let status = site.ask("GET", &address, "text/plain", &[]);
            assert!(status < 500, "{address}: {status}");
        }
    });
}
