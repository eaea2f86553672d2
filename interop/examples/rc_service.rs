//! A store of values by name, served by hyper without tokio: state in `Rc` and `RefCell`, limits,
//! and a graceful shutdown on Ctrl-C.
//!
//! All connections are tasks of one thread, so the state needs no lock, and a handler may keep a
//! reference to it as long as it does not wait.
//!
//! Run with:
//!
//!     cargo run --example rc_service
//!
//! and send requests, by HTTP/1 or HTTP/2:
//!
//!     curl -T README.md http://127.0.0.1:8080/readme
//!     curl --http2-prior-knowledge http://127.0.0.1:8080/readme

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use interop::Arguments;
use runtime::compat::hyper_util::serve;
use runtime::io;
use runtime::net::TcpListener;
use runtime::signal::ctrl_c;
use runtime::time::{Duration, timeout};

/// The longest value.
const MAX_VALUE: usize = 1 << 20;

/// The maximum time that requests in progress get after Ctrl-C.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

type Values = Rc<RefCell<BTreeMap<String, Bytes>>>;

#[runtime::main]
async fn main() -> io::Result<()> {
    let mut arguments = Arguments::new("rc_service [--listen ADDR]");
    let address: Option<String> = arguments.option("--listen");
    arguments.finish();
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    // From here on Ctrl-C is noticed, also if it comes as soon as the address is printed.
    let interrupt = ctrl_c();
    println!("listening on {}", listener.local_addr()?);

    let values = Values::default();
    let service = service_fn(move |request| handle(request, values.clone()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = serve(listener, service)
        .max_connections(1_000)
        .header_timeout(Duration::from_secs(10))
        .send_timeout(Duration::from_secs(30))
        .with_graceful_shutdown(async {
            // Resolves, with an error, when the sender is dropped.
            let _ = stopped.await;
        });
    let server = runtime::spawn(server);
    interrupt.await?;
    println!("shutting down");
    drop(stop);
    match timeout(SHUTDOWN_LIMIT, server).await {
        Ok(ended) => ended.map_err(io::Error::other)?,
        Err(_) => {
            println!("giving up the requests that are left");
            Ok(())
        }
    }
}

async fn handle(
    request: Request<Incoming>,
    values: Values,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = request.uri().path().trim_start_matches('/').to_owned();
    let (status, body) = match *request.method() {
        Method::GET => match values.borrow().get(&name) {
            Some(value) => (StatusCode::OK, value.clone()),
            None => (StatusCode::NOT_FOUND, Bytes::from("no such value\n")),
        },
        Method::PUT => match Limited::new(request.into_body(), MAX_VALUE).collect().await {
            Ok(value) => {
                values.borrow_mut().insert(name, value.to_bytes());
                (StatusCode::CREATED, Bytes::new())
            }
            Err(e) => (StatusCode::BAD_REQUEST, Bytes::from(format!("{e}\n"))),
        },
        Method::DELETE => {
            values.borrow_mut().remove(&name);
            (StatusCode::NO_CONTENT, Bytes::new())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    Ok(response)
}
