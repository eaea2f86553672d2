//! `runtime`.

use std::future::Future;
use std::net;
use std::time::Duration;

use ::runtime::compat::hyper::Io;
use ::runtime::io::{AsyncReadExt, AsyncWriteExt};
use ::runtime::net::{TcpListener, TcpStream};

use super::{BUFFER, Map, Peer, Service, Tasks};
use crate::hello;

pub(crate) struct Ours;

impl Tasks for Ours {
    fn block_on<F: Future>(future: F) -> F::Output {
        ::runtime::block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Map(::runtime::spawn(future), |joined: Result<_, _>| {
            joined.unwrap()
        })
    }
}

impl Peer for Ours {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        ::runtime::time::sleep(duration)
    }

    fn sleep_with_slack(duration: Duration, slack: Duration) -> impl Future<Output = ()> {
        ::runtime::time::sleep(duration).slack(slack)
    }

    async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        ::runtime::time::timeout(limit, future).await.ok()
    }

    async fn spawn_blocking(job: fn() -> u64) -> u64 {
        ::runtime::spawn_blocking(job).await.unwrap()
    }

    fn serve(listener: net::TcpListener, service: Service) {
        serve_on(::runtime::Runtime::builder(), listener, service);
    }
}

/// Serves with a runtime that polls for a second before it sleeps.
pub(crate) fn serve_busy(listener: net::TcpListener, service: Service) {
    let builder = ::runtime::Runtime::builder().busy_poll(Duration::from_secs(1));
    serve_on(builder, listener, service);
}

fn serve_on(builder: ::runtime::Builder, listener: net::TcpListener, service: Service) {
    builder.build().unwrap().block_on(async {
        let listener = TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match service {
                Service::Echo => drop(::runtime::spawn(echo(stream))),
                Service::Once => drop(::runtime::spawn(once(stream))),
                Service::Hello => drop(::runtime::spawn(hello::serve(Io::new(stream)))),
                Service::HelloTimed => {
                    let serve =
                        hello::serve_with_timer(Io::new(stream), ::runtime::compat::hyper::Timer);
                    drop(::runtime::spawn(serve));
                }
            }
        }
    });
}

async fn echo(mut stream: TcpStream) {
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

async fn once(mut stream: TcpStream) {
    let mut buffer = vec![0; BUFFER];
    if let Ok(read) = stream.read(&mut buffer).await {
        let _ = stream.write_all(&buffer[..read]).await;
    }
}
