//! hyper-util on the sockets, tasks and timers of this crate (feature `hyper-util`).
//!
//! * [`serve`] creates a server for HTTP/1 and HTTP/2, with limits and a graceful shutdown.
//! * [`Handshakes`] is a listener for it that does a handshake on each connection, as TLS needs.
//! * [`Connector`] and [`UnixConnector`] connect for hyper-util's pooled client.
//!
//! Services, bodies and their futures need not be `Send`. [`compat::hyper`](super::hyper) has
//! further adapters.
//!
//! # Examples
//! ```
//! use std::convert::Infallible;
//! use http_body_util::{BodyExt, Empty, Full};
//! use hyper::body::{Bytes, Incoming};
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use hyper_util::client::legacy::Client;
//! use runtime::compat::hyper::Executor;
//! use runtime::compat::hyper_util::{Connector, serve};
//! use runtime::net::TcpListener;
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from("hello")))
//! }
//!
//! # runtime::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
//! let uri = format!("http://{}/", listener.local_addr().unwrap());
//! let server = runtime::spawn(serve(listener, service_fn(hello)).run());
//!
//! let client = Client::builder(Executor).build::<_, Empty<Bytes>>(Connector::new());
//! let response = client.get(uri.parse().unwrap()).await.unwrap();
//! let body = response.into_body().collect().await.unwrap().to_bytes();
//! assert_eq!(body, "hello");
//! # server.abort();
//! # });
//! ```

mod connector;
mod handshakes;
mod send_timeout;
mod serve;

pub use connector::{Connector, UnixConnector};
pub use handshakes::Handshakes;
pub use serve::{Listener, Server, serve};
