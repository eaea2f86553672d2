//! An HTTP/1 server with hyper, for a page and the files of a directory.
//!
//! What it shows: hyper on this runtime, files read on other threads piece by piece, an orderly end
//! on Ctrl-C, and how a server stays useful when there are more clients than descriptors.
//!
//! Run with:
//!
//!     cargo run --release --example http_server -- .
//!
//! and ask it:
//!
//!     curl http://127.0.0.1:8080/
//!     curl -r 0-99 http://127.0.0.1:8080/files/README.md
//!     wrk -c 256 -d 10 http://127.0.0.1:8080/        # also after `ulimit -n 64`

mod common;
mod http_server {
    pub(crate) mod files;
}

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::process::{ExitCode, exit};
use std::rc::Rc;

use common::Arguments;
use http_server::files::{Content, Folder};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use runtime::compat::hyper::{Io, Timer};
use runtime::net::TcpStream;
use runtime::signal::ctrl_c;
use runtime::task::JoinSet;
use runtime::time::{Duration, timeout};
use runtime::{Runtime, io};
use rustix::process::{Resource, getrlimit};

/// A client may be silent for so long before it sends a request, the first or the next; and for so
/// long when others wait for its place.
const SILENCE: Duration = Duration::from_secs(30);
const SILENCE_WHEN_CROWDED: Duration = Duration::from_secs(2);

/// After Ctrl-C, requests that were begun get so long.
const LAST_REQUESTS: Duration = Duration::from_secs(60);

/// The threads that read files: the disk does not get faster by more of them.
const FILE_THREADS: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::new("http_server [--listen ADDR] [DIR]");
    let address = arguments.address("--listen");
    let folder = match arguments.word() {
        None => None,
        Some(path) => match Folder::open(&path) {
            Ok(folder) => Some(folder),
            Err(e) => arguments.wrong(format_args!("{path}: {e}")),
        },
    };
    arguments.finish();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());

    let runtime = Runtime::builder()
        .max_blocking_threads(FILE_THREADS)
        .build();
    let result = runtime.and_then(|runtime| runtime.block_on(serve(&address, folder)));
    common::report("http_server", result)
}

/// What the connections share. They are all on this thread, so there is nothing to lock.
struct Server {
    folder: Option<Folder>,
    /// Whether places run short. Then every answer is the last one of its connection, so that
    /// clients take turns: who keeps its connection would keep others out.
    crowded: Cell<bool>,
}

async fn serve(address: &str, folder: Option<Folder>) -> io::Result<()> {
    let mut end = ctrl_c();
    let listener = common::listen(address).await?;
    let places = places();
    common::say(format_args!("there are places for {places} connections"));

    let server = Rc::new(Server {
        folder,
        crowded: Cell::new(false),
    });
    // Nothing is ever sent: it is closed, and so everybody is told.
    let (ending, told) = async_channel::bounded::<Infallible>(1);
    let mut connections = JoinSet::new();
    loop {
        // When all places are taken nobody is accepted until one is free. That takes no processor
        // time; new clients wait in the listener's queue.
        runtime::select! {
            biased;
            result = &mut end => break result?,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < places => {
                let (stream, _) = accepted?;
                connections.spawn(connection(stream, server.clone(), told.clone()));
            }
        }
        server.crowded.set(connections.len() >= places - places / 4);
    }

    let mut end_at_once = ctrl_c();
    drop(listener);
    drop(ending);
    common::say(format_args!(
        "ending: {} connections finish what they have begun, Ctrl-C ends them at once",
        connections.len()
    ));
    let all_finished = timeout(LAST_REQUESTS, async {
        while connections.join_next().await.is_some() {}
    });
    runtime::select! {
        finished = all_finished => finished.map_err(|_| {
            let text = format!("a request has taken more than {LAST_REQUESTS:?}: cut off");
            io::Error::new(io::ErrorKind::TimedOut, text)
        })?,
        Ok(()) = &mut end_at_once => exit(130), // as shells call the end by SIGINT
    }
    common::say("all requests are finished");
    Ok(())
}

/// So many connections are held at once: what the limit of descriptors (`ulimit -n`) leaves after
/// the few that are something else, and a quarter of that for the files to send.
fn places() -> usize {
    const SOMETHING_ELSE: usize = 16;
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|n| n.try_into().ok()).unwrap_or(usize::MAX);
    let free = limit.saturating_sub(SOMETHING_ELSE);
    (free - free / 4).max(1)
}

/// Serves one client, until it leaves, has been silent for too long, or the server ends.
async fn connection(
    stream: TcpStream,
    server: Rc<Server>,
    told: async_channel::Receiver<Infallible>,
) {
    // Without this the last, short packet of an answer may wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let silence = if server.crowded.get() {
        SILENCE_WHEN_CROWDED
    } else {
        SILENCE
    };
    let service = service_fn(|request| answer(&server, request));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(Timer)
            .header_read_timeout(silence)
            .serve_connection(Io::new(stream), service)
    );
    let result = runtime::select! {
        biased;
        result = connection.as_mut() => result,
        _ = told.recv() => {
            // An idle connection is closed, a busy one after the answer that it owes.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // That clients leave in the middle or are silent is their way, and not worth a line.
    match result {
        Err(e) if e.is_user() => eprintln!("an answer failed: {}", common::with_cause(&e)),
        _ => {}
    }
}

async fn answer(
    server: &Server,
    request: Request<Incoming>,
) -> Result<Response<Content>, Infallible> {
    let mut response = match *request.method() {
        // The answer to HEAD is the same; hyper leaves the body out, and so it is never read.
        Method::GET | Method::HEAD => page(server, &request).await,
        _ => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
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

async fn page(server: &Server, request: &Request<Incoming>) -> Response<Content> {
    let path = request.uri().path();
    match (path.strip_prefix("/files/"), &server.folder) {
        (Some(name), Some(folder)) => folder.answer(name, request.headers()).await,
        (Some(_), None) => text(
            StatusCode::NOT_FOUND,
            "This server was started without a directory to serve.\n",
        ),
        (None, folder) if path == "/" => welcome(folder.is_some()),
        (None, _) => text(StatusCode::NOT_FOUND, "There is no such page.\n"),
    }
}

fn welcome(has_files: bool) -> Response<Content> {
    let page = if has_files {
        "<!doctype html><title>runtime</title><p>It works. Files are at /files/NAME.\n"
    } else {
        "<!doctype html><title>runtime</title><p>It works. There is nothing at /files/, since the \
         server was started without a directory.\n"
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
