use fleet_worker_sdk::WorkerState;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::seen::tests::Fleet;
use super::*;

fn drawn(sight: Option<&Sight>, now: Timestamp, view: &mut View, size: (u16, u16)) -> String {
    draw(sight, now, view, size).to_string()
}

fn draw(sight: Option<&Sight>, now: Timestamp, view: &mut View, size: (u16, u16)) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let frame = Frame {
        address: "http://127.0.0.1:8080",
        sight,
        now,
        colour: true,
    };
    terminal.draw(|to| frame.draw(to, view)).unwrap();
    terminal.backend().clone()
}

/// A fleet of which everything is shown, at a fixed moment.
async fn busy() -> (Sight, Timestamp) {
    let fleet = Fleet::new();
    for bot in ["gosec", "semgrep", "trivy"] {
        fleet.bot(bot).await;
    }
    for number in 0..9 {
        fleet.start(&format!("acme/shop-{number}"), "gosec").await;
    }
    fleet.start("acme/shop-3", "semgrep").await;
    for number in 0..3 {
        let worker = format!("gosec:build-{number}:7:boot");
        fleet.beat(&worker, WorkerState::Running).await;
    }
    let mut seen = fleet.look().await;
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    seen.fleet.computed_at = now;
    // Sessions that changed within one millisecond are listed in order of random ids.
    seen.sessions
        .sort_by_key(|session| session.repository.to_string());
    for (number, session) in (0..).zip(seen.sessions.iter_mut()) {
        session.changed = now - jiff::SignedDuration::from_mins(number);
    }
    if let Some(session) = seen.sessions.first_mut() {
        session.total = 12;
        session.tally.error = 5;
        session.executions[0].state = ExecutionState::Failed;
    }
    let mut sight = Sight::after(None, Ok(seen), now);
    let first = sight.seen.as_ref().unwrap().sessions[0].id.clone();
    sight.began.insert(first, 9);
    (sight, now)
}

#[tokio::test]
async fn a_wide_terminal_shows_all_beside_each_other() {
    let (sight, now) = busy().await;
    let text = drawn(Some(&sight), now, &mut View::default(), (140, 24));
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_narrow_terminal_shows_one_below_the_other_and_says_since_when_it_is_away() {
    let (mut sight, now) = busy().await;
    let since = now - jiff::SignedDuration::from_secs(25);
    sight.away = Some((since, "redis://h:1 is unreachable".to_owned()));
    let text = drawn(Some(&sight), now, &mut View::default(), (80, 24));
    let clock = clock(since); // of the zone the test runs in
    assert!(
        text.contains(&format!("AWAY since {clock} (25 s ago): redis://h:1")),
        "{text}"
    );
    insta::assert_snapshot!(text.replace(&clock, "hh:mm:ss"));
}

#[tokio::test]
async fn scrolling_ends_at_the_end() {
    let (sight, now) = busy().await;
    let mut view = View::default();
    view.scroll(|_| usize::MAX);
    let text = drawn(Some(&sight), now, &mut view, (80, 24));
    assert!(
        text.contains("of 9)") && text.contains("acme/shop-8"),
        "{text}"
    );
    let [at, ..] = view.offsets();
    assert!(at > 0 && at < 9, "{at}");
}

#[tokio::test]
async fn no_size_of_terminal_is_too_small() {
    let (sight, now) = busy().await;
    for width in [0, 1, 2, 7, 30, 109, 110, 300] {
        for height in [0, 1, 2, 3, 5, 9, 12, 60] {
            for sight in [None, Some(&sight)] {
                draw(sight, now, &mut View::default(), (width, height));
            }
        }
    }
}
