//! TCP.
//!
//! # Examples
//! A server that gives back what it gets, and a client of it, in one thread:
//! ```
//! use futures_lite::{AsyncReadExt, AsyncWriteExt, future, io};
//! use runtime_net::{TcpListener, TcpStream};
//!
//! # mod support { include!("../../tests/support/block_on.rs"); }
//! # support::block_on(async {
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

mod backoff;
mod listener;
mod race;
mod socket;
mod split;
mod stream;
mod transfer;

pub use listener::{Incoming, TcpListener};
pub use socket::TcpSocket;
pub use socket2::TcpKeepalive;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::TcpStream;
