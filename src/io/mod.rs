//! Asynchronous reading and writing.
//!
//! The traits are those of futures-io, and the combinators those of futures-lite (feature
//! `io-util`, on by default), so that the types of the wider ecosystem fit. This module adds
//! [`copy`] and [`copy_bidirectional`], which hold no buffer while they wait; [`Async`], which
//! makes any pollable descriptor asynchronous; the standard streams ([`stdin`], [`stdout`],
//! [`stderr`]); and readers and writers in memory ([`Cursor`], [`empty`], [`repeat`], [`sink`]),
//! which yield after 128 operations in one poll so that other tasks run. Reading a `&[u8]` and
//! writing to a `Vec<u8>` are not counted, because futures-io implements its traits for them: use a
//! [`Cursor`], or call [`consume_budget`](crate::task::consume_budget), in a loop that does nothing
//! else.
//!
//! # Errors
//! The error of an operation that opens, binds, connects or starts something names its object, and
//! its [`raw_os_error`](Error::raw_os_error) is `None`: [`os_error`] returns the errno in it. An
//! operation on an open socket or pipe returns the system's error unchanged.
//!
//! # Platform-specific behavior
//! * [`Async`] lists the descriptors that can be waited for. Regular files and directories cannot
//!   be waited for on any platform.
//! * [`Interest::CLOSED`] is not supported by select, nor by poll on systems without POLLRDHUP.
//!   [`Interest::PRIORITY`] is supported by epoll and poll only. Waiting for an unsupported
//!   interest returns `Unsupported`.
//! * The standard streams are reopened on Linux and shared elsewhere; see [`stdin`] and [`stdout`].
//! * When several tasks write to one pipe, writes of up to PIPE_BUF bytes (4096 on Linux, 512
//!   elsewhere) are not interleaved.

mod any_fd;
pub(crate) mod copy;
pub(crate) mod copy_bidirectional;
mod memory;
pub(crate) mod scratch;
mod stdio;
mod write_queue;

pub use any_fd::{Async, TryNewError};
pub use copy::copy;
pub use copy_bidirectional::copy_bidirectional;
pub use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
#[cfg(feature = "io-util")]
pub use futures_lite::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufWriter,
};
pub use memory::{Cursor, Empty, Repeat, Sink, empty, repeat, sink};
pub use runtime_reactor::internal::os_error;
pub use runtime_reactor::{Direction, Interest, Readiness};
pub use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result, SeekFrom};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
