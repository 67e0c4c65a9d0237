//! The terminal while it shows the fleet: taken, listened to, and given back however it ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use fleet_coordinator::client::Reader;
use futures_util::StreamExt;
use jiff::Timestamp;
use ratatui::DefaultTerminal;
use tokio::time::{MissedTickBehavior, interval};

use super::draw::{Frame, Pane, View};
use super::eye::Eye;
use crate::exit::Stop;

/// How often times such as "5 s ago" are written anew.
const TICK: Duration = Duration::from_secs(1);
/// Rows that a page key scrolls.
const PAGE: usize = 10;

/// The terminal, taken; given back when dropped, and by a hook when a thread panics.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where it fails the terminal is gone, and nobody is left to tell.
        let _ = ratatui::try_restore();
    }
}

/// Shows the fleet until a key or a signal ends it.
pub(super) async fn run(reader: Arc<dyn Reader>, colour: bool) -> Result<(), Stop> {
    let address = reader.address();
    let mut eye = Eye::open(reader);
    let mut view = View::default();
    let mut screen = Screen::take()?;
    let mut keys = EventStream::new();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended = std::pin::pin!(told_to_end());
    loop {
        let sight = eye.sight.borrow_and_update().clone();
        let frame = Frame {
            address: &address,
            sight: sight.as_ref(),
            now: Timestamp::now(),
            colour,
        };
        screen.0.draw(|to| frame.draw(to, &mut view))?;
        tokio::select! {
            () = &mut ended => return Ok(()),
            _ = tick.tick() => {}
            changed = eye.sight.changed() => if changed.is_err() {
                return Ok(());
            },
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) if obey(key, &mut view) => return Ok(()),
                Some(Ok(_)) => {} // of another size, too: it is drawn anew
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}

/// Does what a key asks; says whether it asks for the end.
fn obey(key: KeyEvent, view: &mut View) -> bool {
    if key.kind == KeyEventKind::Release {
        return false;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => return true,
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Tab | KeyCode::Right => view.focus(Pane::next),
        KeyCode::BackTab | KeyCode::Left => view.focus(Pane::previous),
        KeyCode::Up | KeyCode::Char('k') => view.scroll(|at| at.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => view.scroll(|at| at.saturating_add(1)),
        KeyCode::PageUp => view.scroll(|at| at.saturating_sub(PAGE)),
        KeyCode::PageDown => view.scroll(|at| at.saturating_add(PAGE)),
        KeyCode::Home => view.scroll(|_| 0),
        KeyCode::End => view.scroll(|_| usize::MAX),
        _ => {}
    }
    false
}

/// Waits for SIGTERM or SIGHUP. Without signals to listen to it waits for ever: keys end it.
#[cfg(unix)]
async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).ok();
    let (Some(mut term), Some(mut hangup)) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = hangup.recv() => {}
    }
}

#[cfg(not(unix))]
async fn told_to_end() {
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_scroll_the_pane_in_focus_and_q_ends() {
        let mut view = View::default();
        let mut press = |code| obey(KeyEvent::new(code, KeyModifiers::NONE), &mut view);
        assert!(!press(KeyCode::Down));
        assert!(!press(KeyCode::Tab));
        assert!(!press(KeyCode::PageDown));
        assert!(press(KeyCode::Char('q')));
        assert!(press(KeyCode::Esc));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(obey(interrupt, &mut view));
        assert_eq!(view.offsets(), [1, PAGE, 0]);
    }
}
