//! axum's trait for listeners (feature `axum`).

use std::io;
use std::net;
use std::os::unix;

use axum::serve::Listener;

use crate::tcp::{TcpListener, TcpStream};
use crate::unix::{UnixListener, UnixStream};

macro_rules! listener {
    ($type:ident accepts $stream:ident from $addr:ty) => {
        /// The listener of `axum::serve` (feature `axum`).
        ///
        /// A connection belongs to the runtime in which it was accepted, also where its task runs
        /// on another thread: see [`attach`]. Set options of connections, and obtain `ConnectInfo`,
        /// through axum's `ListenerExt::tap_io`.
        ///
        /// # Panics
        /// `accept` panics with the errors of [`accept`](Self::accept), since axum's trait has no
        /// way to return them: on a thread that no runtime drives, or if the runtime was dropped.
        ///
        #[doc = concat!("[`attach`]: ", stringify!($stream), "::attach")]
        impl Listener for $type {
            type Io = $stream;
            type Addr = $addr;

            async fn accept(&mut self) -> ($stream, $addr) {
                let accepted = $type::accept(self).await.and_then(|(stream, peer)| {
                    stream.attach()?;
                    Ok((stream, peer))
                });
                match accepted {
                    Ok(accepted) => accepted,
                    Err(e) => panic!("accept for axum::serve: {e}"),
                }
            }

            fn local_addr(&self) -> io::Result<$addr> {
                $type::local_addr(self)
            }
        }
    };
}

listener!(TcpListener accepts TcpStream from net::SocketAddr);
listener!(UnixListener accepts UnixStream from unix::net::SocketAddr);
