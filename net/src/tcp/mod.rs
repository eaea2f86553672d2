//! TCP sockets.
//!
//! * [`TcpListener`] accepts connections.
//! * [`TcpStream`] is a connection, which [splits](TcpStream::split) into a reader and a writer.
//! * [`TcpSocket`] is neither yet: it sets options before it becomes one of them.
//!
//! # Platform-specific behavior
//! * The [behavior of all sockets](crate#platform-specific-behavior) applies.
//! * Clients are distributed over listeners that [share an address](TcpListener::bind_shared) by
//!   Linux, DragonFly and FreeBSD; elsewhere one of the listeners gets all clients.
//! * Linux reports errors of a single connection to `accept` (accept(2)), other systems
//!   ECONNABORTED alone. Neither is returned: the next connection is accepted.
//! * An attempt to connect without an answer fails after about two minutes on Linux
//!   (`net.ipv4.tcp_syn_retries`) and after 75 seconds on the BSDs and macOS (tcp(4)).
//! * [Lingering](TcpStream::set_linger) blocks the thread on Linux, though the socket is
//!   non-blocking.
//! * Linux doubles the buffer sizes that are set, and returns the double.
//! * [Binding to an interface](TcpSocket::bind_device) is possible on Linux, Android and Apple's
//!   systems, [TCP_QUICKACK](TcpStream::set_quickack) on Linux and Android only.
//! * SIGPIPE is suppressed by each call, on macOS by an option of the socket (`SO_NOSIGPIPE`),
//!   which is left unchanged on a socket that was created elsewhere.
//! * A [keepalive schedule](TcpStream::set_tcp_keepalive) of one connection does not exist on
//!   OpenBSD.
//!
//! # Examples
//! A server that echoes, and a client of it, in one thread:
//! ```
//! use runtime::io::{self, AsyncReadExt, AsyncWriteExt};
//! use runtime::net::{TcpListener, TcpStream};
//!
//! # runtime::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let server = async {
//!     let (stream, _) = listener.accept().await?;
//!     let (reader, writer) = stream.split();
//!     io::copy(reader, writer).await
//! };
//! let client = async {
//!     let mut stream = TcpStream::connect(address).await?;
//!     stream.write_all(b"hello").await?;
//!     stream.close().await?; // shuts down writing; the echo can still be read
//!     let mut echo = String::new();
//!     stream.read_to_string(&mut echo).await?;
//!     io::Result::Ok(echo)
//! };
//! let (copied, echo) = runtime::try_join!(server, client)?;
//! assert_eq!((copied, &*echo), (5, "hello"));
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod connect;
pub(crate) mod keepalive;
mod listener;
mod race;
mod socket;
mod stream;

pub use keepalive::TcpKeepalive;
pub use listener::{Incoming, TcpListener};
pub use socket::TcpSocket;
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf};
