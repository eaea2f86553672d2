//! Reading and writing without blocking.
//!
//! The traits are those of `futures-io`, the combinators (feature `io-util`, which is on unless
//! switched off) those of `futures-lite`, so that types of
//! the wider ecosystem fit. Ours are [`copy`] and [`copy_bidirectional`], which hold no buffer while
//! they wait, [`Async`], which waits for any descriptor, and the standard streams ([`stdin`], [`stdout`],
//! [`stderr`]).

mod any_fd;
mod copy;
mod copy_bidirectional;
pub(crate) mod lend;
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
