//! Asking again until a deadline.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Error, Result};
use crate::retry::Backoff;

/// Calls until the answer is final or `limit` from now has passed; then the last error.
/// A single call is cut at the limit too, whatever the transport's own timeouts are.
pub(crate) async fn within<T, F, Fut>(limit: Duration, mut call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + limit;
    let mut backoff = Backoff::new();
    let mut last = None;
    loop {
        match timeout_at(deadline, call()).await {
            Ok(Err(error)) if error.is_retryable() => last = Some(error),
            Ok(done) => return done,
            Err(_) => return Err(last.unwrap_or_else(|| unanswered(limit))),
        }
        let wait = backoff.next_wait();
        if Instant::now() + wait >= deadline {
            return Err(last.unwrap_or_else(|| unanswered(limit)));
        }
        sleep(wait).await;
    }
}

/// No answer came, and nothing is known about why.
pub(crate) fn unanswered(limit: Duration) -> Error {
    Error::Unavailable {
        store: "the fleet's store".to_owned(),
        why: format!("no answer within {limit:?}; check that it is up"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn full() -> Error {
        Error::Full {
            why: "test".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_retryable_error_is_asked_again_and_a_final_one_is_not() {
        let calls = Cell::new(0);
        let answer = within(Duration::from_mins(1), || async {
            calls.set(calls.get() + 1);
            if calls.get() < 5 {
                Err(full())
            } else {
                Ok(calls.get())
            }
        });
        assert_eq!(answer.await, Ok(5));
        let refused = within(Duration::from_mins(1), || async {
            Err::<(), _>(Error::conflict("x"))
        });
        assert_eq!(refused.await, Err(Error::conflict("x")));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_it_with_the_last_error() {
        let begun = Instant::now();
        let refused = within(Duration::from_secs(3), || async { Err::<(), _>(full()) });
        assert_eq!(refused.await, Err(full()));
        assert!(begun.elapsed() <= Duration::from_secs(3));
        let hung = within(Duration::from_secs(3), std::future::pending::<Result<()>>);
        assert!(hung.await.unwrap_err().is_retryable());
    }
}
