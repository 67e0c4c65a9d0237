//! Pages: complete without JavaScript, inert whatever a scanner or a visitor writes.

use fleet_worker_sdk::{Finding, OpenSession, Suppression};

use crate::support::{Site, varied};

/// Text that would run, break out or mislead if anything forgot to escape it.
pub(crate) const HOSTILE: &str =
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}&amp;";

#[track_caller]
pub(crate) fn assert_inert(html: &str) {
    let own = ["theme", "live", "filters", "detail"]
        .map(|name| format!("src=\"/assets/{name}.js\"></script>"));
    for script in html.split("<script").skip(1) {
        let tag = script.lines().next().unwrap();
        assert!(
            own.iter().any(|own| tag.contains(own.as_str())),
            "not the page's own: {tag}"
        );
    }
    for inline in ["<img", "<style", " style=", "href=\"javascript:"] {
        assert!(!html.contains(inline), "{inline} in {html}");
    }
    for tag in html.split('<').skip(1) {
        let inside = tag.split('>').next().unwrap();
        let unquoted: String = inside.split('"').step_by(2).collect();
        assert!(!unquoted.contains(" on"), "a handler in <{inside}>");
    }
}

#[tokio::test]
async fn an_empty_fleet_says_how_to_push_a_first_report() {
    let site = Site::new();
    let page = site.get("/").await.ok();
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let command = "cargo run --release --bin fleet -- push --store http://fleet.test:8080 --repository acme/shop report.sarif";
    assert!(page.text.contains(command), "{}", page.text);
    assert!(page.text.contains("curl --data-binary @report.sarif"));
    assert_inert(&page.text);
}

#[tokio::test]
async fn the_first_page_lists_sessions_with_their_findings() {
    let site = Site::new();
    let session = site.session("scan", varied(20)).await;
    let page = site.get("/").await.ok();
    assert!(page.text.contains(&format!("href=\"/sessions/{session}\"")));
    assert!(
        page.text.contains("acme/shop")
            && page
                .text
                .contains("<code title=\"0123456789abcdef\">01234567</code>")
    );
    assert!(!page.text.contains("report.sarif"), "no empty state");
    assert_inert(&page.text);
}

/// The tally of open findings on the first page, and whether it says that a repository is at its first scan.
async fn open_findings(site: &Site) -> (String, bool) {
    let page = site.get("/").await.ok().text;
    let section = page.split("id=\"open\"").nth(1).unwrap();
    let section = section.split("</section>").next().unwrap();
    let tally = section.split("class=\"tally\">").nth(1).unwrap();
    let tally = tally.split("</dl>").next().unwrap().to_owned();
    (tally, section.contains("1 still at the first"))
}

#[tokio::test]
async fn a_scan_that_has_just_begun_does_not_empty_the_tally_of_open_findings() {
    let site = Site::new();
    let first = site.open("acme/shop").await;
    let mut hand = site.start(&first, "scan").await;
    let (none, at_first) = open_findings(&site).await;
    assert!(at_first);
    site.finish(&mut hand, varied(20)).await;
    let (found, at_first) = open_findings(&site).await;
    assert!(found != none && !at_first);

    let again = OpenSession::new("acme/shop").unwrap().run("2");
    let again = site.post("/api/v1/sessions", &again).await.ok().json();
    let again = again["session"].as_str().unwrap().parse().unwrap();
    let mut hand = site.start(&again, "scan").await;
    assert_eq!(open_findings(&site).await, (found.clone(), false));
    site.finish(&mut hand, varied(1)).await;
    assert_ne!(open_findings(&site).await.0, found);
}

#[tokio::test]
async fn a_first_view_is_small() {
    let site = Site::new();
    for n in 0..60 {
        let session = site
            .open(&format!("acme/a-repository-with-a-long-name-{n}"))
            .await;
        site.start(&session, "scan").await;
    }
    let mut size = site.get("/").await.ok().text.len();
    for asset in [
        "fleet.css",
        "icon.svg",
        "theme.js",
        "live.js",
        "refresh.js",
        "morph.js",
        "ages.js",
        "filters.js",
    ] {
        size += site.get(&format!("/assets/{asset}")).await.ok().text.len();
    }
    assert!(size < 120_000, "{size} bytes");
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let site = Site::new();
    let mut finding = Finding::new(HOSTILE, HOSTILE)
        .category("<script>")
        .at(HOSTILE, 3)
        .snippet(HOSTILE);
    finding.element = Some(HOSTILE.to_owned());
    let mut suppressed = Finding::new("rule", HOSTILE);
    suppressed.suppressions.push(Suppression {
        justification: Some(HOSTILE.to_owned()),
        ..Suppression::default()
    });
    let open = OpenSession::new("acme/shop")
        .unwrap()
        .git_ref(HOSTILE)
        .commit("\"'><script>");
    let opened = site.post("/api/v1/sessions", &open).await.ok().json();
    let session = opened["session"].as_str().unwrap().parse().unwrap();
    let mut hand = site.start(&session, "scan").await;
    site.finish(&mut hand, vec![finding, suppressed]).await;
    let encoded = "%3Cscript%3E%22%27%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E";
    for path in [
        "/".to_owned(),
        format!("/sessions/{session}?suppression=all"),
        format!(
            "/sessions/{session}?text={encoded}&rule={encoded}&file={encoded}&category={encoded}"
        ),
        format!("/sessions/{encoded}"),
        format!("/?repository={encoded}"),
        format!("/?cursor={encoded}"),
        format!("/sessions/{session}?{encoded}=1"),
        format!("/sessions?repository={encoded}&state={encoded}"),
        format!("/bots/{encoded}"),
        format!("/repositories/{encoded}"),
        format!("/workers?bot={encoded}"),
        "/bots".to_owned(),
        "/workers".to_owned(),
    ] {
        assert_inert(&site.get(&path).await.text);
    }
    let report = site
        .get(&format!(
            "/api/v1/sessions/{session}/report?format=html&suppression=all"
        ))
        .await
        .ok();
    assert!(
        !report.text.contains("<script") && !report.text.contains("<img"),
        "{}",
        report.text
    );
}

#[tokio::test]
async fn the_form_keeps_what_was_asked_and_pages_keep_the_filter() {
    let site = Site::new();
    let session = site.session("scan", varied(300)).await;
    let page = site
        .get(&format!(
            "/sessions/{session}?severity=error&text=number&sort=path&rule="
        ))
        .await
        .ok();
    assert!(page.text.contains("value=\"error\" checked"));
    assert!(page.text.contains("name=\"text\" value=\"number\""));
    assert!(page.text.contains("<option selected>path</option>"));
    let next = page.text.split("rel=\"next\" href=\"").nth(1).unwrap();
    let next = next
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    assert!(
        next.contains("severity=error") && next.contains("sort=path"),
        "{next}"
    );
    let second = site.get(&format!("/sessions/{session}{next}")).await.ok();
    assert!(second.text.contains("value=\"error\" checked"));
    assert!(
        !second.text.contains("rel=\"next\""),
        "75 errors, less the suppressed, are two pages"
    );
    assert_inert(&second.text);
}

#[tokio::test]
async fn what_goes_wrong_on_a_page_is_told_on_a_page() {
    let site = Site::new();
    for (path, status, needle) in [
        (
            "/sessions/p3-0190b3c6-7a11-7000-8000-000000000000",
            404,
            "there is no session",
        ),
        (
            "/sessions/nonsense",
            400,
            "p&#60;partition&#62;-&#60;uuid&#62;",
        ),
        ("/?colour=red", 400, "unknown parameter"),
    ] {
        let page = site.get(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.text.contains(needle), "{path}: {}", page.text);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    }
}

#[tokio::test]
async fn every_table_names_its_columns() {
    let site = Site::new();
    let session = site.session("scan", varied(5)).await;
    let bot = fleet_worker_sdk::Bot::new("scan").unwrap();
    site.post("/api/v1/bots", &bot).await.ok();
    for path in [
        "/".to_owned(),
        "/sessions".to_owned(),
        "/bots".to_owned(),
        "/bots/scan".to_owned(),
        format!("/sessions/{session}"),
    ] {
        let html = site.get(&path).await.ok().text;
        let headers = html.matches("<th ").count();
        assert!(
            headers > 0 && !html.contains("<th>"),
            "{path}: every th has a scope"
        );
        assert_eq!(headers, html.matches("<th scope=").count(), "{path}");
        assert_eq!(
            html.matches("<table").count(),
            html.matches("<caption").count(),
            "{path}"
        );
    }
}
