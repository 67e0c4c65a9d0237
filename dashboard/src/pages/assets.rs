//! `GET /assets/{file}`: files built into the binary, revalidated by content hash.

use rust_embed::{Embed, EmbeddedFile};
use warp::filters::BoxedFilter;
use warp::http::header::{CONTENT_TYPE, ETAG};
use warp::http::{HeaderValue, StatusCode};
use warp::reject::Rejection;
use warp::reply::{Reply, Response};
use warp::{Filter, path};

use crate::api::{method, secure};

/// Names carry no hash, so a browser may keep a file for a minute only, then asks by `ETag`: after
/// an upgrade no page runs on the former release's script for longer.
const CACHE: &str = "public, max-age=60, must-revalidate";

#[derive(Embed)]
#[folder = "assets"]
struct Assets;

pub(crate) fn routes() -> BoxedFilter<(Response,)> {
    path!("assets" / String)
        .and(method("GET"))
        .and(warp::header::optional::<String>("if-none-match"))
        .and_then(|name: String, known: Option<String>| async move {
            let file = Assets::get(&name).ok_or_else(warp::reject::not_found)?;
            Ok::<_, Rejection>(answer(file, known.as_deref()))
        })
        .boxed()
}

fn answer(file: EmbeddedFile, known: Option<&str>) -> Response {
    let tag = etag(&file);
    let is_known = known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(file.data.into_owned().into());
        if let Ok(kind) = HeaderValue::from_str(&kind(file.metadata.mimetype())) {
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        response
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    secure::asset(response, CACHE)
}

fn kind(mime: &str) -> String {
    if mime.starts_with("text/") {
        format!("{mime}; charset=utf-8")
    } else {
        mime.to_owned()
    }
}

/// The first 8 bytes of the content's SHA-256.
fn etag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let start = hash.first_chunk().copied().map_or(0, u64::from_be_bytes);
    format!("\"{start:016x}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_asset_is_sent_once_and_revalidated_after() {
        let routes = routes();
        let first = warp::test::request()
            .path("/assets/fleet.css")
            .reply(&routes)
            .await;
        assert_eq!(first.status(), 200);
        assert_eq!(first.headers()["content-type"], "text/css; charset=utf-8");
        let tag = first.headers()["etag"].to_str().unwrap();
        let again = warp::test::request()
            .path("/assets/fleet.css")
            .header("if-none-match", tag)
            .reply(&routes)
            .await;
        assert_eq!(again.status(), 304);
        assert!(again.body().is_empty());
    }

    #[tokio::test]
    async fn only_assets_are_served() {
        for path in [
            "/assets/",
            "/assets/nothing.css",
            "/assets/..%2fCargo.toml",
            "/assets/../Cargo.toml",
        ] {
            let response = warp::test::request().path(path).filter(&routes()).await;
            assert!(response.is_err(), "{path}");
        }
    }

    #[test]
    fn what_a_first_view_loads_is_small() {
        let size: usize = Assets::iter()
            .filter_map(|name| Assets::get(&name))
            .map(|file| file.data.len())
            .sum();
        assert!(size < 40_000, "{size} bytes of assets");
    }
}
