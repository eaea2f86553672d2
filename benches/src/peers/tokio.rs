//! tokio, `current_thread`, tasks that are `Send`.

use std::future::Future;
use std::net;
use std::time::Duration;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::{TcpListener, TcpStream};
use hyper_util::rt::TokioIo;

use super::{AssertSend, BUFFER, Map, Peer, Service, Tasks};
use crate::hello;

pub(crate) struct Tokio;

impl Tasks for Tokio {
    fn block_on<F: Future>(future: F) -> F::Output {
        let mut builder = ::tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Map(
            ::tokio::spawn(AssertSend::new(future)),
            |joined: Result<AssertSend<_>, _>| joined.unwrap().into_inner(),
        )
    }
}

impl Peer for Tokio {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        ::tokio::time::sleep(duration)
    }

    async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        ::tokio::time::timeout(limit, future).await.ok()
    }

    async fn spawn_blocking(job: fn() -> u64) -> u64 {
        ::tokio::task::spawn_blocking(job).await.unwrap()
    }

    fn serve(listener: net::TcpListener, service: Service) {
        Self::block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match service {
                    Service::Echo => drop(::tokio::spawn(echo(stream))),
                    Service::Once => drop(::tokio::spawn(once(stream))),
                    Service::Hello => drop(::tokio::spawn(hello::serve(TokioIo::new(stream)))),
                    Service::HelloTimed => {
                        let serve = hello::serve_with_timer(
                            TokioIo::new(stream),
                            hyper_util::rt::TokioTimer::new(),
                        );
                        drop(::tokio::spawn(serve));
                    }
                }
            }
        });
    }
}

pub(super) async fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; BUFFER];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => match stream.write_all(&buffer[..read]).await {
                Ok(()) => {}
                Err(_) => return,
            },
        }
    }
}

pub(super) async fn once(mut stream: TcpStream) {
    let mut buffer = vec![0; BUFFER];
    if let Ok(read) = stream.read(&mut buffer).await {
        let _ = stream.write_all(&buffer[..read]).await;
    }
}
