//! The body of a response: a text, or the stream of events of an open page.
//!
//! An event is made when hyper asks for one, which it does only if it has room for it. So a page
//! that does not read has the events that fit into the buffers, and gets no others.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use runtime::time::{Interval, MissedTickBehavior, interval};

use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// The body of a response.
pub(crate) enum Content {
    /// A text, until it is taken.
    Whole(Option<Bytes>),
    /// The events of an open page.
    Events(Events),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Content::Whole(text) => text.take(),
            Content::Events(events) => Some(ready!(events.poll_next(cx))),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Content::Events(_) => SizeHint::default(),
        }
    }
}

/// The stream of events of an open page.
pub(crate) struct Events {
    shared: Rc<Shared>,
    interval: Interval,
    /// The number of the last event of this page.
    sent: u64,
}

impl Events {
    /// Opens a page; `None` if there are too many.
    pub(crate) fn open(shared: &Rc<Shared>) -> Option<Events> {
        let pages = shared.pages.get();
        if pages >= shared.options.max_pages {
            return None;
        }
        shared.pages.set(pages + 1);
        let mut interval = interval(shared.options.period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Events {
            shared: shared.clone(),
            interval,
            sent: 0,
        })
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            ready!(self.interval.poll_tick(cx));
            let (number, event) = latest(&self.shared);
            if number != self.sent {
                self.sent = number;
                return Poll::Ready(event);
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let pages = self.shared.pages.get() - 1;
        self.shared.pages.set(pages);
        if pages == 0 {
            self.shared.latest.borrow_mut().event = Bytes::new();
        }
    }
}

/// Returns the number of an event of the current period, and the event.
fn latest(shared: &Shared) -> (u64, Bytes) {
    if shared.latest.borrow().is_old(shared.options.period) {
        let begin = Instant::now();
        let snapshot = Snapshot::take(shared);
        // No value of a snapshot can fail to be written.
        let json = serde_json::to_string(&snapshot).unwrap_or_default();
        let event = Bytes::from(format!("data: {json}\n\n"));
        let mut latest = shared.latest.borrow_mut();
        latest.number += 1;
        latest.event = event;
        latest.made = Some(Instant::now());
        latest.cost = begin.elapsed();
    }
    let latest = shared.latest.borrow();
    (latest.number, latest.event.clone())
}
