//! A page that shows what a running program is doing.
//!
//! The page lists the tasks of a runtime with what each of them waits for, and shows how long polls
//! take, how late timers fire, the counters, and the utilization of the thread over time. It is
//! served by a task of the same runtime, without a thread. While no page is open, the task does
//! nothing.
//!
//! # Examples
//! ```no_run
//! use std::time::Duration;
//! use runtime::Runtime;
//! use runtime::insight::print_stall;
//! use runtime_console::StallLog;
//!
//! fn main() -> std::io::Result<()> {
//!     let stalls = StallLog::new();
//!     let log = stalls.clone();
//!     let runtime = Runtime::builder()
//!         .name("example")
//!         .track_tasks(true) // polls, ages and durations of each task
//!         .on_stall(Duration::from_millis(100), move |stall| {
//!             print_stall(stall);
//!             log.record(stall);
//!         })
//!         .build()?;
//!     runtime.block_on(async {
//!         let listener = runtime::net::TcpListener::bind("127.0.0.1:0").await?;
//!         println!("see http://{}/", listener.local_addr()?);
//!         runtime_console::Builder::new().stalls(stalls).spawn(listener)?;
//!         // the program
//!         # Ok(())
//!     })
//! }
//! ```
//! [`spawn`] does with default options what the last lines do.
//!
//! # What the page shows
//! A runtime that [tracks its tasks](runtime::Builder::track_tasks) has everything. Without that,
//! polls, ages, durations and histograms are missing, and the page says so. A task is marked as
//! slow if one of its polls has taken [10 milliseconds](Builder::slow_poll).
//!
//! While one poll keeps the thread from all other tasks, the page cannot be served either. It then
//! says how old its state is, and shows the task afterwards: by its longest poll, and in the list
//! of stalls, if the program keeps a [`StallLog`].
//!
//! With thousands of tasks the page lists 100: those with the longest polls, and those that have
//! waited longest. The rest is counted. The tasks that serve the page are left out of the list, but
//! the counters of the runtime include them.
//!
//! # Security
//! The page shows internals of the program, and everyone who can connect can read it. So a listener
//! that is not on loopback is refused, unless [`Builder::allow_remote`] permits it. Requests must
//! be for `localhost`, an IP address, or a name that [`Builder::allow_host`] permits: otherwise a
//! web site whose name resolves to a loopback address could read the page through the browser of
//! its visitor. The page contains no link to another server, and its content security policy
//! permits none.
//!
//! # Costs
//! An event is made once in each [period](Builder::period) for all open pages, and takes at most a
//! twentieth of the time of the thread: if listing the tasks takes longer, events come less often.
//! Pages and their events are bounded in size and number, and a page that stops reading is
//! disconnected.
//!
//! # The modules
//! `builder` has the options, `server` accepts and answers requests, `events` is the stream of
//! events and `snapshot` the content of one, `shared` what all connections know, `page` the page
//! itself, `host` checks to which name a request was sent, `send_limit` disconnects clients that do
//! not read, and `stalls` keeps long polls.

#![forbid(unsafe_code)]

mod builder;
mod events;
mod host;
mod page;
mod send_limit;
mod server;
mod shared;
mod snapshot;
mod stalls;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use runtime::net::TcpListener;

pub use builder::Builder;
pub use stalls::StallLog;

/// Serves the page of the runtime of this thread to the clients of `listener`, with the default
/// options of [`Builder`].
///
/// # Errors
/// Returns the errors that [`Builder::serve`] lists.
///
/// # Cancel safety
/// Dropping the future closes the connections of all pages.
///
/// # Examples
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let listener = runtime::net::TcpListener::bind("127.0.0.1:6669").await?;
/// runtime::spawn(runtime_console::serve(listener));
/// # Ok(())
/// # }
/// ```
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    Builder::new().serve(listener).await
}

/// Starts a task that serves the page on a port of 127.0.0.1, and returns the address. Port 0 is
/// replaced by a free one.
///
/// # Errors
/// Returns the error of [`TcpListener::bind`], such as `AddrInUse`.
///
/// # Examples
/// ```
/// # runtime::block_on(async {
/// let address = runtime_console::spawn(0).await?;
/// println!("see http://{address}/");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn spawn(port: u16) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    drop(Builder::new().spawn(listener)?);
    Ok(address)
}
