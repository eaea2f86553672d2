//! Accepting and answering requests.

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::rc::Rc;

use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use runtime::compat::hyper::{Io, Timer};
use runtime::net::{TcpListener, TcpStream};
use runtime::task::JoinSet;
use runtime::{Handle, JoinHandle, select};

use crate::builder::Builder;
use crate::events::{Content, Events};
use crate::send_limit::SendLimit;
use crate::shared::{OwnTask, Shared};
use crate::{host, page};

/// The number of connections beside those of open pages. All of them end within the limits.
const MAX_REQUESTS: usize = 16;

/// The size up to which hyper collects what the client does not accept, beside the last event.
const MAX_UNSENT: usize = 64 << 10;

impl Builder {
    /// Serves the page of the runtime of this thread to the clients of `listener`.
    ///
    /// # Errors
    /// Returns `PermissionDenied` if the listener is not on loopback and
    /// [`allow_remote`](Builder::allow_remote) was not set. Returns the error of the listener if it
    /// fails for good; the error of a connection ends that connection alone.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connections of all pages.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        self.check(&listener)?;
        run(self, listener).await
    }

    /// Starts a task of the runtime of this thread that serves its page to the clients of
    /// `listener`.
    ///
    /// Dropping the handle detaches the task; [`abort`](JoinHandle::abort) ends it.
    ///
    /// # Errors
    /// Returns `PermissionDenied` if the listener is not on loopback and
    /// [`allow_remote`](Builder::allow_remote) was not set.
    ///
    /// # Panics
    /// Panics if no runtime runs on this thread.
    pub fn spawn(self, listener: TcpListener) -> io::Result<JoinHandle<io::Result<()>>> {
        self.check(&listener)?;
        let task = runtime::task::Builder::new().name("runtime-console");
        Ok(task.spawn(run(self, listener)))
    }

    fn check(&self, listener: &TcpListener) -> io::Result<()> {
        let address = listener.local_addr()?;
        if self.allow_remote || address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let text = format!(
            "the console listens on {address}, which other machines may reach, and its page shows \
             internals of the program: bind the listener to 127.0.0.1, or set \
             Builder::allow_remote"
        );
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }
}

/// Serves the page until the listener fails.
async fn run(options: Builder, listener: TcpListener) -> io::Result<()> {
    let max_connections = options.max_pages.saturating_add(MAX_REQUESTS);
    let shared = Rc::new(Shared::new(options));
    let _own = OwnTask::note(&shared);
    let mut connections = JoinSet::new();
    loop {
        // At the limit nothing is accepted until a connection ends.
        select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < max_connections => {
                let (stream, _) = accepted?;
                connections.spawn(connection(stream, shared.clone()));
            }
        }
    }
}

/// Answers one request.
async fn connection(stream: TcpStream, shared: Rc<Shared>) {
    let _own = OwnTask::note(&shared);
    // Nagle's algorithm would hold back the end of an event.
    let _ = stream.set_nodelay(true);
    let options = &shared.options;
    let stream = Io::new(SendLimit::new(stream, options.send_timeout));
    let service = service_fn(|request| ready(Ok::<_, Infallible>(answer(&shared, &request))));
    // An error is that of the client, which notices it.
    let _ = http1::Builder::new()
        .timer(Timer)
        .header_read_timeout(options.header_timeout)
        .keep_alive(false)
        .max_buf_size(MAX_UNSENT)
        .serve_connection(stream, service)
        .await;
}

fn answer(shared: &Rc<Shared>, request: &Request<Incoming>) -> Response<Content> {
    if !host::is_allowed(request, &shared.options.hosts) {
        let text = "The page is served to requests for localhost or an IP address. \
                    runtime_console::Builder::allow_host permits other names.\n";
        return plain(StatusCode::MISDIRECTED_REQUEST, text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "Only GET and HEAD are allowed.\n";
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, text);
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    match request.uri().path() {
        "/" => whole_page(),
        "/events" => events(shared, request),
        _ => plain(StatusCode::NOT_FOUND, "The page is at /.\n"),
    }
}

fn whole_page() -> Response<Content> {
    let handle = Handle::current();
    let (html, policy) = page::render(handle.name());
    let html = Content::Whole(Some(Bytes::from(html)));
    let mut response = response(StatusCode::OK, "text/html; charset=utf-8", html);
    if let Ok(policy) = HeaderValue::try_from(policy) {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn events(shared: &Rc<Shared>, request: &Request<Incoming>) -> Response<Content> {
    // Browsers say so if another site opens the stream. It could not read the events, but use up
    // the number of pages.
    let site = request.headers().get("sec-fetch-site");
    if site.is_some_and(|site| site == "cross-site" || site == "same-site") {
        let text = "The events are for the page of this server.\n";
        return plain(StatusCode::FORBIDDEN, text);
    }
    let content = if request.method() == Method::HEAD {
        Content::Whole(None)
    } else {
        match Events::open(shared) {
            Some(events) => Content::Events(events),
            None => return too_many_pages(shared.options.max_pages),
        }
    };
    response(StatusCode::OK, "text/event-stream", content)
}

fn too_many_pages(limit: usize) -> Response<Content> {
    let text = format!("There are {limit} open pages already, which is the maximum.\n");
    let text = Content::Whole(Some(Bytes::from(text)));
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut response = response(status, "text/plain; charset=utf-8", text);
    let seconds = HeaderValue::from_static("5");
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Content> {
    let text = Content::Whole(Some(Bytes::from_static(text.as_bytes())));
    response(status, "text/plain; charset=utf-8", text)
}

fn response(status: StatusCode, kind: &'static str, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
