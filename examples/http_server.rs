//! An HTTP/1 server with hyper that serves a page and the files of a directory.
//!
//! It shows hyper on this runtime, large files sent by sendfile(2) and small ones read without a
//! thread where they are in memory, a graceful shutdown on Ctrl-C, and a server that keeps serving
//! when there are more clients than descriptors. It prints the address it listens on, the maximum
//! number of connections, and the progress of the shutdown.
//!
//! Run with:
//!
//!     cargo run --release --example http_server -- .
//!
//! and send requests:
//!
//!     curl http://127.0.0.1:8080/
//!     curl -r 0-99 http://127.0.0.1:8080/files/README.md
//!     wrk -c 256 -d 10 http://127.0.0.1:8080/        # also after `ulimit -n 64`

mod common;
mod http_server {
    pub(crate) mod files;
    pub(crate) mod open_files;
    pub(crate) mod send_limit;
}

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::process::{ExitCode, exit};
use std::rc::Rc;

use common::Arguments;
use http_server::files::{Content, Folder};
use http_server::send_limit::SendLimit;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use runtime::compat::hyper::{FileIo, Files, Timer};
use runtime::net::TcpStream;
use runtime::signal::ctrl_c;
use runtime::task::{CancellationToken, JoinSet};
use runtime::time::{Duration, timeout};
use runtime::{Runtime, io};
use rustix::process::{Resource, getrlimit};

/// The maximum time a client may take to send a request, the first or the next, and the maximum
/// time it may accept nothing of a response.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// The same limit while connections are scarce.
const IDLE_LIMIT_WHEN_CROWDED: Duration = Duration::from_secs(2);

/// The response to a client that has not sent its request in time.
const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// The maximum time that requests in progress get after Ctrl-C.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(60);

/// The maximum time that is left for jobs on files after all requests are complete.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(1);

/// The maximum number of threads that read files; more do not make the disk faster.
const MAX_FILE_THREADS: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::new("http_server [--listen ADDR] [DIR]");
    let address = arguments.address("--listen");
    let folder = match arguments.positional() {
        None => None,
        Some(path) => match Folder::open(&path, max_open_files()) {
            Ok(folder) => Some(folder),
            Err(e) => arguments.usage_error(format_args!("{path}: {e}")),
        },
    };
    arguments.finish();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());

    let runtime = Runtime::builder()
        .max_blocking_threads(MAX_FILE_THREADS)
        .build();
    let result = runtime.and_then(|runtime| {
        let result = runtime.block_on(serve(&address, folder));
        let report = runtime.shutdown(LEFTOVER_LIMIT);
        if !report.is_clean() {
            common::print_error(format_args!("{report}"));
        }
        result
    });
    common::report("http_server", result)
}

/// State shared by all connections. They run on one thread, so it needs no lock.
struct Server {
    folder: Option<Folder>,
    /// Set while more than three quarters of the allowed connections are in use. Each connection is
    /// then closed after one response, so that clients who keep connections open do not keep others
    /// out.
    crowded: Cell<bool>,
}

async fn serve(address: &str, folder: Option<Folder>) -> io::Result<()> {
    let mut interrupt = ctrl_c();
    let listener = common::listen(address).await?;
    let limit = max_connections();
    common::print_line(format_args!("serving up to {limit} connections at a time"));

    let server = Rc::new(Server {
        folder,
        crowded: Cell::new(false),
    });
    // Notifies all connections of the shutdown.
    let shutdown = CancellationToken::new();
    let mut connections = JoinSet::new();
    loop {
        // At the limit nothing is accepted until a connection ends. That takes no CPU time; new
        // clients wait in the backlog of the listener.
        runtime::select! {
            biased;
            result = &mut interrupt => break result?,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limit => {
                let (stream, _) = accepted?;
                connections.spawn(connection(stream, server.clone(), shutdown.clone()));
            }
        }
        server.crowded.set(connections.len() >= limit - limit / 4);
    }

    let mut second_interrupt = ctrl_c();
    drop(listener);
    shutdown.cancel();
    common::print_line(format_args!(
        "shutting down: {} connections finish their requests; press Ctrl-C again to close them now",
        connections.len()
    ));
    let all_finished = timeout(SHUTDOWN_LIMIT, async {
        while connections.join_next().await.is_some() {}
    });
    runtime::select! {
        finished = all_finished => finished.map_err(|_| {
            let text = format!("a request took over {SHUTDOWN_LIMIT:?} and was cut off");
            io::Error::new(io::ErrorKind::TimedOut, text)
        })?,
        Ok(()) = &mut second_interrupt => exit(130), // what shells report for an exit by SIGINT
    }
    common::print_line("all requests are complete");
    Ok(())
}

/// Returns the maximum number of simultaneous connections: three quarters of the descriptors that
/// `ulimit -n` allows, after a reserve. The remaining quarter is for the files being sent.
fn max_connections() -> usize {
    let free = free_descriptors();
    (free - free / 4).max(1)
}

/// Returns the maximum number of files that stay open for the next request: a small part of the
/// descriptors for files.
fn max_open_files() -> usize {
    const MAX_USEFUL: usize = 256;
    (free_descriptors() / 16).min(MAX_USEFUL)
}

fn free_descriptors() -> usize {
    const RESERVE: usize = 16;
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|n| n.try_into().ok()).unwrap_or(usize::MAX);
    limit.saturating_sub(RESERVE)
}

/// Serves one client until it disconnects, exceeds the idle limit, or the server shuts down.
async fn connection(stream: TcpStream, server: Rc<Server>, shutdown: CancellationToken) {
    // Nagle's algorithm may hold back the last, short segment of a response until an
    // acknowledgment.
    let _ = stream.set_nodelay(true);
    let idle_limit = if server.crowded.get() {
        IDLE_LIMIT_WHEN_CROWDED
    } else {
        IDLE_LIMIT
    };
    let stream = FileIo::new(stream);
    let files = stream.files();
    let answered = Cell::new(false);
    let service = service_fn(|request| {
        answered.set(true);
        answer(&server, &files, request)
    });
    // A client may close its half after the request and still wait for the response.
    let mut connection = http1::Builder::new()
        .timer(Timer)
        .header_read_timeout(idle_limit)
        .half_close(true)
        .serve_connection(SendLimit::new(stream, idle_limit), service);
    let result = runtime::select! {
        biased;
        result = &mut connection => result,
        () = shutdown.cancelled() => {
            // An idle connection is closed now, a busy one after its current response.
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    match result {
        Err(e) if e.is_user() => {
            common::print_error(format_args!(
                "a response failed: {}",
                common::with_cause(&e)
            ));
        }
        // A connection that stays idle after a response is closed without a response, as clients
        // expect.
        Err(e) if e.is_timeout() => {
            let parts = connection.into_parts();
            if !answered.get() || !parts.read_buf.is_empty() {
                let stream = parts.io.into_inner().into_inner();
                let _ = stream.try_write(REQUEST_TIMEOUT);
            }
        }
        // Disconnects of clients are ordinary and are not reported.
        _ => {}
    }
}

async fn answer(
    server: &Server,
    files: &Files,
    request: Request<Incoming>,
) -> Result<Response<Content>, Infallible> {
    let mut response = match *request.method() {
        // The response to HEAD is the same; hyper omits the body, which is therefore never read.
        Method::GET | Method::HEAD => page(server, files, &request).await,
        _ => {
            let mut response = text(
                StatusCode::METHOD_NOT_ALLOWED,
                "Only GET and HEAD are allowed.\n",
            );
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            response
        }
    };
    if server.crowded.get() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

async fn page(server: &Server, files: &Files, request: &Request<Incoming>) -> Response<Content> {
    let path = request.uri().path();
    match (path.strip_prefix("/files/"), &server.folder) {
        (Some(name), Some(folder)) => folder.answer(name, request, files).await,
        (Some(_), None) => text(
            StatusCode::NOT_FOUND,
            "This server was started without a directory.\n",
        ),
        (None, folder) if path == "/" => welcome(folder.is_some()),
        (None, _) => text(StatusCode::NOT_FOUND, "Page not found.\n"),
    }
}

fn welcome(has_files: bool) -> Response<Content> {
    let page = if has_files {
        "<!doctype html><title>runtime</title><p>It works. Files are at /files/NAME.\n"
    } else {
        "<!doctype html><title>runtime</title><p>It works. /files/ is empty because the server was \
         started without a directory.\n"
    };
    let mut response = text(StatusCode::OK, page);
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Content> {
    let mut response = Response::new(Content::text(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
