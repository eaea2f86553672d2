//! `io::copy_bidirectional` between two streams that return few bytes, wait, end and fail.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use runtime::io::{AsyncRead, AsyncWrite, copy_bidirectional};

/// The effect of an operation: it moves a number of bytes, waits, or fails.
#[derive(Clone, Copy)]
enum Step {
    Move(usize),
    Wait,
    Fail,
}

/// A stream whose operations follow a script.
struct Scripted {
    steps: VecDeque<Step>,
    input: VecDeque<u8>,
    output: Vec<u8>,
    closed: bool,
}

impl Scripted {
    fn new(script: &[u8], input: Vec<u8>) -> Scripted {
        let step = |byte: &u8| match byte {
            0..=1 => Step::Fail,
            2..=80 => Step::Wait,
            byte => Step::Move(usize::from(*byte)),
        };
        Scripted {
            steps: script.iter().map(step).collect(),
            input: input.into(),
            output: Vec::new(),
            closed: false,
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.steps.pop_front().unwrap_or(Step::Move(usize::MAX)) {
            Step::Move(n) => Poll::Ready(Ok(n)),
            Step::Fail => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Step::Wait => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.step(cx).map_ok(|n| {
            let n = n.min(buf.len()).min(self.input.len());
            for (to, from) in buf.iter_mut().zip(self.input.drain(..n)) {
                *to = from;
            }
            n
        })
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!self.closed, "written after the close");
        assert!(!buf.is_empty(), "a write of nothing");
        self.step(cx).map_ok(|n| {
            let n = n.min(buf.len());
            self.output.extend(&buf[..n]);
            n
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.step(cx).map_ok(drop)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        assert!(!self.closed, "closed twice");
        self.step(cx).map_ok(|_| self.closed = true)
    }
}

/// Copies between streams with scripts that are parts of `data`. The first two bytes are the
/// lengths of the inputs, in units of 100 bytes.
pub fn copying(data: &[u8]) {
    let [a, b, script @ ..] = data else { return };
    let input = |units: &u8, first: u8| {
        let bytes = (0..usize::from(*units) * 100).map(|i| first.wrapping_add(i as u8));
        bytes.collect::<Vec<u8>>()
    };
    let (from_a, from_b) = (input(a, 0), input(b, 77));
    let (script_a, script_b) = script.split_at(script.len() / 2);
    let mut a = Scripted::new(script_a, from_a.clone());
    let mut b = Scripted::new(script_b, from_b.clone());

    let result = {
        let mut copying = pin!(copy_bidirectional(&mut a, &mut b));
        let mut cx = Context::from_waker(Waker::noop());
        // Each poll takes a step, or was interrupted to let other tasks run.
        let polls = 10 + 4 * (data.len() + from_a.len() + from_b.len());
        let mut polls = 0..polls;
        loop {
            match copying.as_mut().poll(&mut cx) {
                Poll::Ready(result) => break result,
                Poll::Pending => assert!(polls.next().is_some(), "the copy does not end"),
            }
        }
    };
    assert!(from_a.starts_with(&b.output));
    assert!(from_b.starts_with(&a.output));
    match result {
        Ok(counts) => {
            assert_eq!(counts, (from_a.len() as u64, from_b.len() as u64));
            assert_eq!(
                (b.output.len(), a.output.len()),
                (from_a.len(), from_b.len())
            );
            assert!(a.closed && b.closed);
        }
        Err(error) => {
            assert!(matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::WriteZero
            ));
        }
    }
}
