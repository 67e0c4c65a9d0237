//! Which role a request needs. What is not listed needs the most.

use fleet_coordinator::access::Role;
use warp::http::Method;

/// Roles of which one is enough; none for what everybody may ask for. A path that no route has may
/// need anything: whoever has no role learns nothing of it.
pub(crate) fn needed(method: &Method, path: &str) -> &'static [Role] {
    let looks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (looks, parts.as_slice()) {
        (_, ["login" | "logout"]) | (true, ["livez" | "readyz"] | ["assets", _]) => &[],
        // What a bot asks while it works: how far the others are, and what of its own arrived.
        (
            true,
            ["api", "v1", "sessions", _, "progress" | "changed"]
            | ["api", "v1", "sessions", _, "producers", _],
        ) => &[Role::Ingest, Role::Read],
        (true, _) => &[Role::Read],
        (
            false,
            [
                "api",
                "v1",
                "bots" | "beat" | "sessions" | "transitions" | "push" | "ingest",
            ],
        ) => &[Role::Ingest],
        // It speaks to the outside.
        (false, ["api", "v1", "alerts", "test"]) => &[Role::Admin],
        (false, ["api", "v1", "alerts" | "silences" | "triage", ..] | ["alerts", "silences"]) => {
            &[Role::Triage]
        }
        (false, _) => &[Role::Admin],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_needs(request: &str, roles: &[Role]) {
        let (method, path) = request.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(needed(&method, path), roles, "{request}");
    }

    #[test]
    fn bots_bring_people_look_and_admins_command() {
        use Role::{Admin, Ingest, Read, Triage};
        for (request, roles) in [
            ("POST /api/v1/push", &[Ingest][..]),
            ("POST /api/v1/push/", &[Ingest]),
            ("POST /api/v1/ingest", &[Ingest]),
            ("GET /api/v1/sessions/p1-x/progress", &[Ingest, Read]),
            ("GET /api/v1/sessions/p1-x/producers/y", &[Ingest, Read]),
            ("GET /api/v1/sessions/p1-x/findings", &[Read]),
            ("GET /", &[Read]),
            ("GET /ws", &[Read]),
            ("GET /metrics", &[Read]),
            ("POST /api/v1/workers/w/command", &[Admin]),
            ("POST /api/v1/silences", &[Triage]),
            ("DELETE /api/v1/silences/x", &[Triage]),
            ("POST /api/v1/alerts/undelivered/x", &[Triage]),
            ("POST /api/v1/alerts/test", &[Admin]),
            ("POST /api/v1/alerts/test/", &[Admin]),
            ("POST /alerts/silences", &[Triage]),
            ("POST /alerts", &[Admin]),
            ("POST /", &[Admin]),
            ("BREW /api/v1/coffee", &[Admin]),
            ("POST /api/v1/push/more", &[Admin]),
            ("GET /livez", &[]),
            ("GET /assets/fleet.css", &[]),
            ("POST /livez", &[Admin]),
            ("GET /assets/../sessions", &[Read]),
            ("GET *", &[Read]),
        ] {
            assert_needs(request, roles);
        }
    }
}
