//! Fetches a page with hyper's client. It prints the body to stdout, and the status and the times
//! the steps took to stderr.
//!
//! Run with:
//!
//!     cargo run --example http_get -- http://127.0.0.1:8080/
//!
//! while the example `http_server` runs. `--timeout` limits the whole exchange; the default is 10
//! seconds. Exit codes: 0 after a successful response, 1 after a network error or a status of 400
//! and above, 2 for an invalid command line or URL.

mod common;

use std::io::Write;
use std::process::ExitCode;

use common::Arguments;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Uri};
use runtime::compat::hyper::Io;
use runtime::io;
use runtime::net::TcpStream;
use runtime::time::{Duration, Instant, timeout};

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("http_get [--timeout SECONDS] URL");
    let seconds = arguments.option("--timeout").unwrap_or(10.0);
    let Ok(limit) = Duration::try_from_secs_f64(seconds) else {
        arguments.usage_error(format_args!("--timeout {seconds}: not a valid duration"));
    };
    let Some(url) = arguments.positional() else {
        arguments.usage_error("the URL is missing");
    };
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(e) => arguments.usage_error(format_args!("{url}: {e}")),
    };
    match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(host)) if !host.is_empty() => {
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            // For example http://host:99999/: the text has a port, but it is not a `u16`.
            if uri.port_u16().is_none() && !authority.ends_with(host) {
                arguments.usage_error(format_args!(
                    "{url}: the port must be a number from 0 to 65535"
                ));
            }
        }
        (Some("https"), _) => {
            arguments.usage_error(format_args!("{url}: https is not supported, only http"))
        }
        _ => arguments.usage_error(format_args!("{url}: expected http://HOST[:PORT]/PATH")),
    }
    arguments.finish();

    let result = match timeout(limit, get(&uri)).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::other(format!("not complete within {seconds} s"))),
    };
    let result = result.map_err(|e| io::Error::other(format!("{url}: {e}")));
    common::report("http_get", result)
}

async fn get(uri: &Uri) -> io::Result<()> {
    let start = Instant::now();
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(format!("{host}:{port}")).await?;
    let connected = start.elapsed();

    // The connection is a separate future that transfers the bytes of the requests made by
    // `sender`.
    let (mut sender, connection) = http1::handshake(Io::new(stream)).await.map_err(reason)?;
    runtime::spawn(connection);

    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host_header = authority.rsplit('@').next().unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, host_header)
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let mut response = sender.send_request(request).await.map_err(reason)?;
    let (status, answered) = (response.status(), start.elapsed());
    common::print_error(format_args!("{:?} {status}", response.version()));

    let mut length = 0;
    while let Some(frame) = response.frame().await {
        if let Some(bytes) = frame.map_err(reason)?.data_ref() {
            // This may block the thread while the reader of stdout is slow. No other task is
            // delayed.
            std::io::stdout().write_all(bytes)?;
            length += bytes.len();
        }
    }
    std::io::stdout().flush()?;
    common::print_error(format_args!(
        "{length} bytes; connected after {connected:.1?}, answered after {answered:.1?}, complete \
         after {:.1?}",
        start.elapsed()
    ));
    if status.is_client_error() || status.is_server_error() {
        return Err(io::Error::other(format!("the server returned {status}")));
    }
    Ok(())
}

fn reason(error: hyper::Error) -> io::Error {
    io::Error::other(common::with_cause(&error))
}
