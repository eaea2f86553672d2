//! A service and its client, as tonic-build would generate them.

use std::convert::Infallible;
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::{self, uri::PathAndQuery};
use tonic::server::{Grpc, NamedService};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use tower::{Service, service_fn};

/// Messages that are texts in UTF-8.
#[derive(Clone, Copy, Default)]
pub(super) struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Text;
    type Decoder = Text;

    fn encoder(&mut self) -> Text {
        Text
    }

    fn decoder(&mut self) -> Text {
        Text
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buf.copy_to_bytes(buf.remaining());
        let text = String::from_utf8(bytes.to_vec());
        text.map(Some).map_err(|e| Status::internal(e.to_string()))
    }
}

/// The service.
#[derive(Clone)]
pub(super) struct Echo {
    /// Gets a permit for each call of `unary` and each stream of numbers that is dropped early.
    pub(super) dropped: Arc<Semaphore>,
}

impl Default for Echo {
    fn default() -> Echo {
        Echo {
            dropped: Arc::new(Semaphore::new(0)),
        }
    }
}

/// Adds a permit when it is dropped.
struct Guard(Arc<Semaphore>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let dropped = self.dropped.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Text);
            let path = request.uri().path().to_owned();
            Ok(match path.as_str() {
                "/test.Echo/Unary" => {
                    let unary = |request| unary(request, dropped.clone());
                    grpc.unary(service_fn(unary), request).await
                }
                "/test.Echo/ServerStreaming" => {
                    let numbers = |request| numbers(request, dropped.clone());
                    grpc.server_streaming(service_fn(numbers), request).await
                }
                "/test.Echo/Bidi" => grpc.streaming(service_fn(bidi), request).await,
                _ => Status::unimplemented(path).into_http(),
            })
        })
    }
}

async fn unary(
    request: Request<String>,
    dropped: Arc<Semaphore>,
) -> Result<Response<String>, Status> {
    match request.into_inner().as_str() {
        "error" => Err(Status::invalid_argument("an error")),
        "wait" => {
            let _guard = Guard(dropped);
            future::pending().await
        }
        name => {
            // A timer of ours in a task of tonic's.
            runtime::time::sleep(Duration::from_millis(1)).await;
            Ok(Response::new(format!("hello {name}")))
        }
    }
}

/// The message for a number. It is long: h2 ends a connection on which too many short messages wait
/// to be taken, be it on this runtime or on tokio.
pub(super) fn number(n: u32) -> String {
    format!("{n:300}")
}

async fn numbers(
    request: Request<String>,
    dropped: Arc<Semaphore>,
) -> Result<Response<impl Stream<Item = Result<String, Status>>>, Status> {
    let count: u32 = request.into_inner().parse().unwrap();
    let guard = Guard(dropped);
    Ok(Response::new(stream::iter(0..count).map(move |n| {
        let _guard = &guard;
        Ok(number(n))
    })))
}

async fn bidi(
    request: Request<Streaming<String>>,
) -> Result<Response<impl Stream<Item = Result<String, Status>>>, Status> {
    let echo = |text: Result<String, Status>| Ok(format!("echo {}", text?));
    Ok(Response::new(request.into_inner().map(echo)))
}

/// The client.
#[derive(Clone)]
pub(super) struct Client(pub(super) Channel);

impl Client {
    async fn ready(&self) -> Result<tonic::client::Grpc<Channel>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        let ready = grpc.ready().await;
        ready.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(grpc)
    }

    pub(super) async fn call(&self, request: Request<String>) -> Result<String, Status> {
        let path = PathAndQuery::from_static("/test.Echo/Unary");
        let response = self.ready().await?.unary(request, path, Text).await?;
        Ok(response.into_inner())
    }

    pub(super) async fn unary(&self, text: String) -> Result<String, Status> {
        self.call(Request::new(text)).await
    }

    pub(super) async fn server_streaming(&self, text: String) -> Result<Streaming<String>, Status> {
        let path = PathAndQuery::from_static("/test.Echo/ServerStreaming");
        let mut grpc = self.ready().await?;
        let response = grpc
            .server_streaming(Request::new(text), path, Text)
            .await?;
        Ok(response.into_inner())
    }

    pub(super) async fn bidi(
        &self,
        texts: impl Stream<Item = String> + Send + 'static,
    ) -> Result<Streaming<String>, Status> {
        let path = PathAndQuery::from_static("/test.Echo/Bidi");
        let mut grpc = self.ready().await?;
        let response = grpc.streaming(Request::new(texts), path, Text).await?;
        Ok(response.into_inner())
    }
}
