//! A request body that must keep coming.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// A body that fails when a piece of it is longer in coming than it may be.
pub(crate) struct Patient {
    body: Incoming,
    patience: Duration,
    /// Made when the first piece is waited for: most bodies are there with the head.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// `body`, whose pieces come at most `patience` apart.
    pub(crate) fn new(body: Incoming, patience: Duration) -> Self {
        Self {
            body,
            patience,
            waiting: None,
        }
    }
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Nothing came for too long.
    #[error("nothing of the body came for {} ms", .0.as_millis())]
    Stalled(Duration),
    /// The connection failed.
    #[error("the body was cut: {0}")]
    Cut(#[from] hyper::Error),
}

impl Body for Patient {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let patience = self.patience;
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(waiting) = &mut self.waiting {
                waiting.as_mut().reset(Instant::now() + patience);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Stalled(patience))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
