//! TCP.
//!
//! # What differs between platforms
//! * Listeners that [share an address](TcpListener::bind_shared) are dealt the clients by Linux,
//!   DragonFly and FreeBSD; elsewhere one of them gets all.
//! * Linux tells `accept` of errors that belong to a single connection (accept(2)), the others of
//!   ECONNABORTED alone. Neither is seen here: the next connection is accepted.
//! * An attempt to connect without an answer is given up after some two minutes on Linux
//!   (`net.ipv4.tcp_syn_retries`) and after 75 seconds on the BSDs and macOS (tcp(4)).
//! * [Lingering](TcpStream::set_linger) blocks the thread on Linux, though the socket is non-blocking.
//! * Linux doubles the buffer sizes that are set, and tells the double.
//! * [Binding to an interface](TcpSocket::bind_device) exists on Linux and Android only.
//! * SIGPIPE is kept away by each call, but on macOS by the socket (`SO_NOSIGPIPE`): one that comes
//!   from elsewhere keeps what it has.
//! * What holds for [all sockets](crate#what-differs-between-platforms).
//!
//! # Examples
//! A server that gives back what it gets, and a client of it, in one thread:
//! ```
//! use futures_lite::{AsyncReadExt, AsyncWriteExt, future, io};
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
//!     stream.close().await?; // our half; the other one still speaks
//!     let mut answer = String::new();
//!     stream.read_to_string(&mut answer).await?;
//!     Ok(answer)
//! };
//! let (copied, answer) = future::try_zip(server, client).await?;
//! assert_eq!((copied, &*answer), (5, "hello"));
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod connect;
mod listener;
mod race;
mod socket;
mod stream;

pub use listener::{Incoming, TcpListener};
pub use socket::TcpSocket;
pub use socket2::TcpKeepalive;
pub use stream::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf};
