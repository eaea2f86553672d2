//! A single-threaded async runtime for Unix.
//!
//! A reactor on epoll or kqueue (poll or select elsewhere) waits for sockets, pipes, timers,
//! signals and child processes. An executor polls tasks, on the thread that calls [`block_on`].
//! Tasks may be `!Send`, so their state may be [`Rc`](std::rc::Rc) and
//! [`RefCell`](std::cell::RefCell); sockets, timers and join handles are `Send + Sync`. A
//! descriptor is registered at most once, when it first has to wait. A wake on the runtime's thread
//! uses no lock, atomic operation or system call. No thread is started before the first blocking
//! job.
//!
//! # Examples
//! An echo server and a client of it:
//! ```
//! use runtime::io::{self, AsyncReadExt, AsyncWriteExt};
//! use runtime::net::{TcpListener, TcpStream};
//!
//! #[runtime::main]
//! async fn main() -> io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let mut client = TcpStream::connect(listener.local_addr()?).await?;
//!     let (stream, _) = listener.accept().await?;
//!     runtime::spawn(async move { // no Send bound
//!         let (reader, writer) = stream.split();
//!         io::copy(reader, writer).await
//!     });
//!
//!     client.write_all(b"hello").await?;
//!     let mut echo = [0; 5];
//!     client.read_exact(&mut echo).await?;
//!     assert_eq!(&echo, b"hello");
//!     Ok(())
//! }
//! ```
//!
//! # Modules and functions
//!
//! | for | items |
//! |---|---|
//! | starting a runtime | [`macro@main`], [`macro@test`], [`block_on`], [`Runtime`], [`Builder`] |
//! | tasks | [`spawn`], [`spawn_blocking`], [`task_local!`], [`task`] |
//! | futures that borrow | [`task::scope`](task::scope()), [`task::try_scope`] |
//! | waiting for several futures | [`select!`], [`join!`], [`try_join!`], [`time::timeout`] |
//! | timers | [`time`] |
//! | sockets, pipes, host names | [`net`] |
//! | reading and writing, standard streams, other descriptors | [`io`] |
//! | files and directories | [`fs`](mod@fs) |
//! | child processes | [`process`] |
//! | Ctrl-C and other signals | [`signal`](mod@signal) |
//! | other threads | [`Handle`] |
//! | tasks and what they wait for | [`task::all`], [`Handle::tasks`], [`Builder::dump_on`] |
//! | a graceful end | [`Runtime::shutdown`], [`task::CancellationToken`], [`task::Tracker`] |
//! | counters, long polls | [`Handle::metrics`], [`Builder::on_stall`], [`insight`] |
//! | several cores | [`per_core`] |
//! | tests | the [guide](guide::testing), [`time::pause`], `sim` |
//! | random numbers and an order of tasks from a seed | [`rng`](rng()), [`Builder::seed`] |
//! | another event loop on the same thread | [`Runtime::turn`] |
//! | adapters for hyper and tokio | [`compat`] |
//!
//! # Features
//!
//! | feature | default | adds | dependency |
//! |---|---|---|---|
//! | `io-util` | yes | combinators in [`io`]: `AsyncReadExt`, `BufReader`, ... | futures-lite |
//! | `parking_lot` | yes | the locks of parking_lot instead of std's | parking_lot |
//! | `process` | yes | [`process`] | the feature `signal` |
//! | `signal` | yes | [`signal`](mod@signal) | signal-hook-registry |
//! | `hyper` | no | [`compat::hyper`](compat) | hyper |
//! | `hyper-util` | no | a server and connectors: [`compat::hyper_util`](compat) | hyper-util |
//! | `quinn` | no | QUIC: [`compat::quinn`](compat) | quinn |
//! | `tokio-io` | no | tokio's traits for all streams: [`compat::tokio`](compat) | tokio |
//! | `sim` | no | simulated networks and virtual time: `sim` | none |
//! | `serde` | no | `Serialize` for the snapshots of [`insight`] | serde |
//! | `tracing` | no | a span for each task: `Builder::trace` | tracing |
//! | `tokio` | no | tokio's context for tasks: [`compat::tokio`](compat) | tokio, its reactor |
//! | `axum` | no | `axum::serve` on the listeners of [`net`] | axum, and the feature `tokio` |
//!
//! A server that uses [`io::copy`] or the `poll_` functions of the traits, and needs no signals,
//! has eleven fewer dependencies with `default-features = false`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

/// The items that macro expansions call. They are not part of the public interface.
#[doc(hidden)]
pub mod __macro {
    pub use crate::macro_support::{
        BranchOrder, Branches, MaybeDone, Orders, all_disabled, block_on_tokio, block_on_with,
        discard, identity, poll_branch,
    };
}

pub mod compat;
mod driver;
pub mod fs;
pub mod guide;
mod handle;
pub mod insight;
pub mod io;
mod macro_support;
mod macros;
pub mod net;
#[cfg(feature = "process")]
#[allow(unsafe_code, reason = "system calls, each with a SAFETY note")]
pub mod process;
mod rng;
mod runtime;
mod select_order;
#[cfg(feature = "signal")]
#[allow(unsafe_code, reason = "signal handlers, each with a SAFETY note")]
pub mod signal;
#[cfg(feature = "sim")]
pub mod sim;
#[allow(unsafe_code, reason = "system calls; each block has a SAFETY note")]
mod sys;
pub mod task;
pub mod time;

pub use handle::Handle;
pub use rng::{Rng, rng};
pub use runtime::{Builder, EnterGuard, PerCore, Runtime, block_on, per_core};
pub use runtime_executor::{HandleGuard, PanicPolicy, spawn, spawn_blocking, task_local};
pub use runtime_macros::{main, test};
pub use runtime_reactor::{Backend, Stats};

pub use task::{JoinError, JoinHandle};

/// Compiles the examples of README.md as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
