//! The behavior of `select!`, `join!`, `try_join!` and the attributes.

#![deny(unsafe_code)]

mod attributes;
mod join;
mod select;
mod sizes;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::marker::PhantomPinned;
use std::pin::pin;
use std::process::{ExitCode, Termination};
use std::rc::Rc;
use std::task::Poll;

use runtime::{join, select, try_join};

/// Is pending once, then ready.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Is pending `turns` times, then ready with `value`.
async fn after<T>(turns: usize, value: T) -> T {
    for _ in 0..turns {
        yield_now().await;
    }
    value
}

/// Pushes its name to the log on drop.
struct Noted<'a>(&'a RefCell<Vec<&'static str>>, &'static str);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}
