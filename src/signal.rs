//! Being told that the program should end.

use std::future::Future;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime_reactor::{Direction, Source};
use signal_hook_registry::SigId;

/// SIGINT has this number on every Unix there is (signal(7), signal.h of POSIX).
const SIGINT: i32 = 2;

/// Waits for Ctrl-C, that is for the signal SIGINT.
///
/// It counts from this call on, not from the first poll: a signal in between is not lost. Any number
/// of tasks may wait; all are told.
///
/// # Errors
/// If the handler cannot be installed or no descriptor is left (two are needed); and when it has to
/// wait outside a runtime.
///
/// # Cancel safety
/// Dropping the future forgets the signals it has not told of.
///
/// # Platform notes
/// Once this was called, SIGINT no longer ends the process by itself, even if the future is dropped:
/// the handler stays, as that of tokio does.
///
/// # Examples
/// ```no_run
/// #[runtime::main]
/// async fn main() -> std::io::Result<()> {
///     runtime::signal::ctrl_c().await?;
///     println!("asked to end");
///     Ok(())
/// }
/// ```
pub fn ctrl_c() -> CtrlC {
    CtrlC {
        registered: Some(Registered::new()),
    }
}

/// The future of [`ctrl_c`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct CtrlC {
    /// An error that is not told yet, or how the signal is heard; `None` once it was ready.
    registered: Option<io::Result<Registered>>,
}

/// The self-pipe: the handler writes, the reactor waits for it.
#[derive(Debug)]
struct Registered {
    id: SigId,
    reader: Source<UnixStream>,
}

impl Registered {
    fn new() -> io::Result<Registered> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let notify = move || {
            // A full pipe says what is to be said already, and an error cannot be told here.
            let _ = (&writer).write(&[1]);
        };
        // SAFETY: the action may only do what is async-signal-safe: it makes one send(2) on a socket
        // it owns, without allocation, lock or panic. The registry saves errno around it.
        let id = unsafe { signal_hook_registry::register(SIGINT, notify) }?;
        Ok(Registered {
            id,
            reader: Source::new(reader).sole_owner(),
        })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        signal_hook_registry::unregister(self.id);
    }
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    /// # Panics
    /// If it is polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let registered = self
            .registered
            .as_mut()
            .expect("ctrl_c was polled after it was ready");
        let result = match registered {
            Ok(registered) => {
                let read = |mut stream: &UnixStream| stream.read(&mut [0]);
                ready!(registered.reader.poll_io(Direction::Read, cx, read)).map(drop)
            }
            Err(e) => Err(io::Error::new(e.kind(), format!("waiting for Ctrl-C: {e}"))),
        };
        self.registered = None;
        Poll::Ready(result)
    }
}
