//! A child process whose exit can be awaited.

use std::io;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll};

use super::exit::ExitWatch;

/// A child process, and the source of its exit notification.
#[derive(Debug)]
pub(super) struct Waitable {
    pub(super) std: Child,
    /// Created by the first wait that finds the process still running.
    watch: Option<ExitWatch>,
}

impl Waitable {
    pub(super) fn new(std: Child) -> Waitable {
        Waitable { std, watch: None }
    }

    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        if let Some(status) = self.std.try_wait()? {
            // The watch is no longer needed: std remembers the status.
            self.watch = None;
            return Poll::Ready(Ok(status));
        }
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => none.insert(ExitWatch::new(self.std.id())),
        };
        watch.poll_exit(&mut self.std, cx)
    }
}
