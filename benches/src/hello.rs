//! The HTTP server: a constant response, through hyper, on any stream.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(
        b"Hello, world!",
    ))))
}

pub(crate) async fn serve<T>(stream: T)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    // It returns an error when the client disconnects.
    let _ = http1::Builder::new()
        .serve_connection(stream, service_fn(hello))
        .await;
}

/// Serves with hyper's limit of 30 s for the headers of each request.
pub(crate) async fn serve_with_timer<T, M>(stream: T, timer: M)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    M: hyper::rt::Timer + Send + Sync + 'static,
{
    let _ = http1::Builder::new()
        .timer(timer)
        .serve_connection(stream, service_fn(hello))
        .await;
}
