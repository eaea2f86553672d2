//! A server for HTTP/1 and HTTP/2.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::server::conn::auto;
use hyper_util::server::conn::auto::HttpServerConnExec;

use super::send_timeout::SendTimeout;
use crate::compat::hyper::{Executor, Io, Timer};
use crate::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use crate::task::JoinSet;

type BoxError = Box<dyn Error + Send + Sync>;

/// A source of connections for [`serve`].
pub trait Listener {
    /// The type of connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for a connection.
    ///
    /// # Errors
    /// Returns an error if no further connection will come. [`Server`] ends with it.
    ///
    /// # Cancel safety
    /// Dropping the future must lose no connection: the server does so when it stops and
    /// when another connection ends.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>>;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Reading from a connection that the peer has closed in the meantime returns the error.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<UnixStream> {
        UnixListener::accept(self).await.map(|(stream, _)| stream)
    }
}

/// Returns a server of `service` for the connections of `listener`.
///
/// The server supports HTTP/1, HTTP/2 (with prior knowledge) and upgrades. Each connection is a
/// task with a clone of the service.
///
/// # Examples
/// See [the module](super).
pub fn serve<L, S>(listener: L, service: S) -> Server<L, S> {
    Server {
        listener,
        service,
        http: auto::Builder::new(Executor),
        max_connections: usize::MAX,
        header_timeout: Duration::from_secs(30),
        send_timeout: None,
    }
}

/// A server created by [`serve`], with its limits.
#[must_use = "a server does nothing unless it is run"]
pub struct Server<L, S> {
    listener: L,
    service: S,
    http: auto::Builder<Executor>,
    max_connections: usize,
    header_timeout: Duration,
    send_timeout: Option<Duration>,
}

impl<L, S> Server<L, S> {
    /// Sets the maximum number of connections; further ones wait in the listener's queue. Minimum
    /// 1, default unlimited.
    pub fn max_connections(mut self, connections: usize) -> Server<L, S> {
        self.max_connections = connections.max(1);
        self
    }

    /// Sets how long the head of an HTTP/1 request may take. Default 30 seconds.
    ///
    /// The limit also applies to idle connections.
    pub fn header_timeout(mut self, limit: Duration) -> Server<L, S> {
        self.header_timeout = limit;
        self
    }

    /// Sets how long a connection is kept if the peer accepts no data. Default unlimited.
    pub fn send_timeout(mut self, limit: Duration) -> Server<L, S> {
        self.send_timeout = Some(limit);
        self
    }

    /// Returns the options of hyper-util, for those that have no method here.
    ///
    /// The timer and the header timeout of HTTP/1 are set by this server.
    pub fn http(&mut self) -> &mut auto::Builder<Executor> {
        &mut self.http
    }
}

impl<L, S, B> Server<L, S>
where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + 'static,
    S::Future: 'static,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Data: 'static,
    B::Error: Into<BoxError>,
    Executor: HttpServerConnExec<S::Future, B>,
{
    /// Serves until the listener fails.
    ///
    /// # Errors
    /// Returns the error of the listener. The error of a connection ends that connection alone.
    ///
    /// # Cancel safety
    /// Dropping the future aborts all connections.
    pub async fn run(self) -> io::Result<()> {
        self.with_graceful_shutdown(pending()).await
    }

    /// Serves until `signal` completes, and then until the requests that have begun are answered.
    ///
    /// The listener is closed when `signal` completes, and so are idle connections. Wrap the future
    /// in a [`timeout`](crate::time::timeout) to limit the rest.
    ///
    /// # Errors
    /// Returns the error of the listener. The error of a connection ends that connection alone.
    ///
    /// # Cancel safety
    /// Dropping the future aborts all connections.
    pub async fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()>,
    ) -> io::Result<()> {
        self.http
            .http1()
            .timer(Timer)
            .header_read_timeout(self.header_timeout);
        self.http.http2().timer(Timer);
        let Server {
            mut listener,
            service,
            http,
            max_connections,
            send_timeout,
            ..
        } = self;
        let stop = Rc::new(Stop::default());
        let mut connections = JoinSet::new();
        let mut signal = pin!(signal);
        loop {
            while let Some(ended) = connections.try_join_next() {
                // The panic of a service is reported by the hook, and ends its connection.
                drop(ended);
            }
            let is_full = connections.len() >= max_connections;
            #[allow(unused_mut, reason = "`select!` declares its outputs mutable")]
            let stream = crate::select! {
                () = &mut signal => break,
                accepted = listener.accept(), if !is_full => accepted?,
                _ = connections.join_next(), if is_full => continue,
            };
            let io = SendTimeout::new(Io::new(stream), send_timeout);
            let connection = http
                .serve_connection_with_upgrades(io, service.clone())
                .into_owned();
            let stop = stop.listener();
            connections.spawn(async move {
                let mut connection = pin!(connection);
                let mut is_stopping = false;
                // An error of a connection is not reported, because the peer notices it.
                let _ = poll_fn(|cx| {
                    if !is_stopping && stop.poll(cx).is_ready() {
                        is_stopping = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    connection.as_mut().poll(cx)
                })
                .await;
            });
        }
        drop(listener);
        stop.request();
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

impl<L: fmt::Debug, S> fmt::Debug for Server<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("max_connections", &self.max_connections)
            .field("header_timeout", &self.header_timeout)
            .field("send_timeout", &self.send_timeout)
            .finish_non_exhaustive()
    }
}

/// The request to the connections to end.
#[derive(Default)]
struct Stop {
    requested: Cell<bool>,
    next_id: Cell<u64>,
    /// The wakers of the connections that wait.
    wakers: RefCell<BTreeMap<u64, Waker>>,
}

impl Stop {
    /// Returns the end of one connection.
    fn listener(self: &Rc<Stop>) -> StopListener {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        StopListener {
            stop: self.clone(),
            id,
        }
    }

    fn request(&self) {
        self.requested.set(true);
        self.wakers.take().into_values().for_each(Waker::wake);
    }
}

struct StopListener {
    stop: Rc<Stop>,
    id: u64,
}

impl StopListener {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let Stop {
            requested, wakers, ..
        } = &*self.stop;
        if requested.get() {
            return Poll::Ready(());
        }
        let is_known = |known: &Waker| known.will_wake(cx.waker());
        if !wakers.borrow().get(&self.id).is_some_and(is_known) {
            // Cloned and dropped while nothing is borrowed.
            let waker = cx.waker().clone();
            let before = wakers.borrow_mut().insert(self.id, waker);
            drop(before);
        }
        Poll::Pending
    }
}

impl Drop for StopListener {
    fn drop(&mut self) {
        let waker = self.stop.wakers.borrow_mut().remove(&self.id);
        drop(waker);
    }
}
