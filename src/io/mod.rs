//! Reading and writing without blocking.
//!
//! The traits are those of `futures-io`, the combinators (feature `io-util`, which is on unless
//! switched off) those of `futures-lite`, so that types of
//! the wider ecosystem fit. Ours are [`copy`] and [`copy_bidirectional`], which hold no buffer while
//! they wait, [`Async`], which waits for any descriptor, and the standard streams ([`stdin`], [`stdout`],
//! [`stderr`]).
//!
//! # Platform notes
//! What differs from one system to another, and shows:
//! * Which descriptors can be waited for: see [`Async`]. Regular files and directories nowhere.
//! * Whether the end of a peer can be told ([`Interest::CLOSED`]): not by select, nor by poll where it has no
//!   POLLRDHUP. Whether urgent data can ([`Interest::PRIORITY`]): by epoll and poll. Waiting for what
//!   cannot be told is `Unsupported`.
//! * The standard streams are opened anew on Linux, and shared elsewhere: see [`stdin`] and [`stdout`].
//! * How much of what several tasks write to a pipe stays together: PIPE_BUF bytes, 4096 on Linux, 512
//!   elsewhere.

mod any_fd;
mod copy;
mod copy_bidirectional;
pub(crate) mod scratch;
mod stdio;

pub use any_fd::Async;
pub use copy::copy;
pub use copy_bidirectional::copy_bidirectional;
pub use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
#[cfg(feature = "io-util")]
pub use futures_lite::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufWriter, Cursor,
    empty, repeat, sink,
};
pub use runtime_reactor::{Direction, Interest, Readiness};
pub use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result, SeekFrom};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
