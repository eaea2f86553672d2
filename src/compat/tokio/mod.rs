//! Libraries that expect tokio: its traits (feature `tokio-io`) and its context (feature `tokio`).
//!
//! # Streams
//!
//! With the feature `tokio-io` every stream of this crate also implements tokio's [`AsyncRead`] and
//! [`AsyncWrite`]: TCP and Unix streams and their halves, pipes, files, the standard streams, those
//! of child processes, and [`io::Async`](crate::io::Async). Sockets and pipes read straight into
//! the caller's memory, initialized or not; the others read into a buffer of the thread, from which
//! the bytes are copied. To read 64 bytes with room for 8 KiB takes 578 instructions the first way
//! and 635 the second (callgrind); an adapter that clears the room first takes 8,799. [`Compat`]
//! adapts streams of other libraries, in both directions.
//!
//! `TcpStream` and `UnixStream` have an inherent method `shutdown`, as in std, which takes a
//! direction; the example below calls tokio's.
//!
//! The feature adds only tokio's traits: one crate, no thread, no reactor.
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
//! # Context
//! A library that panics with *there is no reactor running* calls `tokio::spawn`, or uses tokio's
//! timers, sockets or files. The feature `tokio` lets such a library work unchanged, in all tasks
//! of a runtime that is built with tokio's context:
//!
//! ```ignore
//! #[runtime::main(tokio)] // or Runtime::builder().tokio(true).build()
//! async fn main() {
//!     let stopwatch = std::rc::Rc::new(tokio::time::Instant::now()); // not Send
//!     runtime::spawn(async move {
//!         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
//!         println!("{:?}", stopwatch.elapsed());
//!     })
//!     .await
//!     .unwrap();
//! }
//! ```
//!
//! The other direction works too: a task that was spawned by `tokio::spawn` uses the sockets,
//! timers, files and [`spawn`](crate::spawn) of this crate. [`Handle::current`] and
//! `tokio::runtime::Handle::current` both succeed in both kinds of task, and
//! `Runtime::tokio_handle` returns tokio's handle outside of them.
//!
//! There is one thread, and none is started before the first blocking job of either side. tokio's
//! `current_thread` runtime drives this runtime as one of its futures: it watches the reactor's
//! descriptor, and its timer waits for the earliest deadline. What this costs and changes:
//! * Each wait is two system calls instead of one, and goes through tokio's scheduler. A round trip
//!   of 64 bytes between two tasks by TCP, where each message is waited for, takes 5,500
//!   instructions instead of 2,360 (callgrind). What needs no wait costs the same.
//! * Timers have tokio's resolution of a millisecond. They are never early.
//! * A wake of a task of this crate by a task, timer or socket of tokio takes a lock, as one from
//!   another thread does.
//! * tokio's cooperative budget does not apply to tasks of this crate: yield in a loop that takes
//!   ready items from a channel.
//! * `tokio::task::block_in_place` panics, as in every `current_thread` runtime, and tasks of
//!   `tokio::task::spawn_local` need a `LocalSet`.
//! * The blocking jobs of each side run on threads of their own pool. Those of
//!   [`spawn_blocking`](crate::spawn_blocking) do not find tokio's context.
//! * [`Runtime::turn`](crate::Runtime::turn), [`pollable_fd`](crate::Runtime::pollable_fd) and
//!   [`after_fork_child`](crate::Runtime::after_fork_child) return `Unsupported`.
//! * With the backends poll and select, building the runtime returns `Unsupported`: they have no
//!   descriptor that tokio could watch.
//!
//! When the runtime is dropped, its tasks are dropped first and find both contexts. Then tokio's
//! runtime is dropped, with its tasks; it waits for blocking jobs of tokio that have begun.
//!
//! [`Handle::current`]: crate::Handle::current
//! [`AsyncRead`]: ::tokio::io::AsyncRead
//! [`AsyncWrite`]: ::tokio::io::AsyncWrite

mod compat;
mod streams;

pub use compat::Compat;
