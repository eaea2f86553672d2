//! A listener of connections that have completed a handshake.

use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

use super::serve::Listener;
use crate::task::JoinSet;
use crate::time::timeout;

/// A listener whose connections have completed a handshake, such as that of TLS.
///
/// Each handshake is a task, so a client that never completes one does not delay others. A
/// connection whose handshake fails, panics or takes too long is closed. The error is not reported:
/// a function that wants it reported does so itself.
///
/// # Examples
/// A server with tokio-rustls. [`Compat`](crate::compat::tokio::Compat) is part of the feature
/// `tokio-io`.
/// ```ignore
/// let acceptor = tokio_rustls::TlsAcceptor::from(config);
/// let listener = Handshakes::new(listener, move |stream| {
///     let handshake = acceptor.accept(stream);
///     async move { Ok(Compat::new(handshake.await?)) }
/// });
/// serve(listener, service).run().await?;
/// ```
#[must_use = "a listener does nothing unless it is served"]
pub struct Handshakes<L, F, S> {
    listener: L,
    handshake: F,
    running: JoinSet<Option<S>>,
    max_handshakes: usize,
    limit: Duration,
}

impl<L, F, S, R> Handshakes<L, F, S>
where
    L: Listener,
    F: FnMut(L::Stream) -> R,
    R: Future<Output = io::Result<S>> + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Creates a listener that calls `handshake` for each connection of another.
    ///
    /// Dropping the future of that listener's `accept` must lose no connection.
    pub fn new(listener: L, handshake: F) -> Handshakes<L, F, S> {
        Handshakes {
            listener,
            handshake,
            running: JoinSet::new(),
            max_handshakes: 256,
            limit: Duration::from_secs(10),
        }
    }

    /// Sets the maximum number of handshakes at a time; further connections wait in the listener's
    /// queue. Minimum 1, default 256.
    ///
    /// A connection counts until the server takes it.
    pub fn max_handshakes(mut self, handshakes: usize) -> Handshakes<L, F, S> {
        self.max_handshakes = handshakes.max(1);
        self
    }

    /// Sets how long a handshake may take. Default 10 seconds.
    pub fn handshake_timeout(mut self, limit: Duration) -> Handshakes<L, F, S> {
        self.limit = limit;
        self
    }
}

impl<L, F, S, R> Listener for Handshakes<L, F, S>
where
    L: Listener,
    F: FnMut(L::Stream) -> R,
    R: Future<Output = io::Result<S>> + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = S;

    async fn accept(&mut self) -> io::Result<S> {
        loop {
            let has_room = self.running.len() < self.max_handshakes;
            #[allow(unused_mut, reason = "`select!` declares its outputs mutable")]
            let ended = crate::select! {
                accepted = self.listener.accept(), if has_room => {
                    let handshake = timeout(self.limit, (self.handshake)(accepted?));
                    self.running.spawn(async move { handshake.await.ok()?.ok() });
                    continue;
                }
                Some(ended) = self.running.join_next() => ended,
            };
            if let Ok(Some(stream)) = ended {
                return Ok(stream);
            }
        }
    }
}

impl<L: fmt::Debug, F, S> fmt::Debug for Handshakes<L, F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes")
            .field("listener", &self.listener)
            .field("running", &self.running.len())
            .field("max_handshakes", &self.max_handshakes)
            .field("handshake_timeout", &self.limit)
            .finish_non_exhaustive()
    }
}
