//! Libraries that expect tokio (feature `tokio-io`).
//!
//! With the feature `tokio-io` every stream of this crate is tokio's [`AsyncRead`] and
//! [`AsyncWrite`] as well: TCP and Unix streams and their halves, pipes, files, the standard
//! streams, those of child processes, and [`io::Async`](crate::io::Async). Sockets and pipes read
//! straight into the caller's memory; the others read into a buffer of the thread, from which the
//! bytes are copied. [`Compat`] carries streams of other libraries over, in both directions.
//!
//! `TcpStream` and `UnixStream` have a method `shutdown` of their own, as std's have, which takes a
//! direction; that of tokio is called as in the example below.
//!
//! The feature brings the traits of tokio and nothing else of it: one crate, no thread, no reactor.
//!
//! # Examples
//! ```
//! use runtime::net::{TcpListener, TcpStream};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # runtime::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let mut client = TcpStream::connect(listener.local_addr()?).await?;
//! let (mut server, _) = listener.accept().await?;
//! client.write_all(b"hello").await?;
//! AsyncWriteExt::shutdown(&mut client).await?;
//! let mut text = String::new();
//! server.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```
//!
//! [`AsyncRead`]: ::tokio::io::AsyncRead
//! [`AsyncWrite`]: ::tokio::io::AsyncWrite

mod compat;
mod streams;

pub use compat::Compat;
