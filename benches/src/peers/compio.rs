//! compio, on its polling driver and on io_uring.

use std::future::Future;
use std::net;
use std::time::Duration;

use ::compio::BufResult;
use ::compio::driver::{DriverType, ProactorBuilder};
use ::compio::io::compat::AsyncStream;
use ::compio::io::{AsyncRead, AsyncWriteExt};
use ::compio::net::{TcpListener, TcpStream};
use ::compio::runtime::{JoinError, Runtime, RuntimeBuilder};
use smol_hyper::rt::FuturesIo;

use super::{BUFFER, Map, Peer, Service, Tasks};
use crate::hello;

pub(crate) struct Polling;
pub(crate) struct Uring;

fn runtime(driver: DriverType) -> Runtime {
    let mut proactor = ProactorBuilder::new();
    proactor.driver_type(driver);
    let mut builder = RuntimeBuilder::new();
    let runtime = builder.with_proactor(proactor).build().unwrap();
    assert_eq!(runtime.driver_type(), driver);
    runtime
}

fn spawn<F: Future + 'static>(future: F) -> impl Future<Output = F::Output> + Unpin {
    Map(
        ::compio::runtime::spawn(future),
        |joined: Result<_, JoinError>| match joined {
            Ok(output) => output,
            Err(_) => unreachable!("a task failed"),
        },
    )
}

impl Tasks for Polling {
    fn block_on<F: Future>(future: F) -> F::Output {
        runtime(DriverType::Poll).block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn(future)
    }
}

impl Tasks for Uring {
    fn block_on<F: Future>(future: F) -> F::Output {
        runtime(DriverType::IoUring).block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn(future)
    }
}

impl Peer for Polling {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        ::compio::time::sleep(duration)
    }

    async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        ::compio::time::timeout(limit, future).await.ok()
    }

    async fn spawn_blocking(job: fn() -> u64) -> u64 {
        match ::compio::runtime::spawn_blocking(job).await {
            Ok(output) => output,
            Err(_) => unreachable!("the job failed"),
        }
    }

    fn serve(listener: net::TcpListener, service: Service) {
        Self::block_on(serve(listener, service));
    }
}

impl Peer for Uring {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        Polling::sleep(duration)
    }

    fn timeout<F: Future>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
        Polling::timeout(limit, future)
    }

    fn spawn_blocking(job: fn() -> u64) -> impl Future<Output = u64> {
        Polling::spawn_blocking(job)
    }

    fn serve(listener: net::TcpListener, service: Service) {
        Self::block_on(serve(listener, service));
    }
}

async fn serve(listener: net::TcpListener, service: Service) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        match service {
            Service::Echo => ::compio::runtime::spawn(echo(stream)).detach(),
            Service::Once => ::compio::runtime::spawn(once(stream)).detach(),
            Service::HelloTimed => unreachable!("not in HAVE_HEADER_TIMER"),
            Service::Hello => {
                // compio's adapter to the traits of futures-io, then smol's from those to hyper's.
                let stream = FuturesIo::new(Box::pin(AsyncStream::new(stream)));
                ::compio::runtime::spawn(hello::serve(stream)).detach();
            }
        }
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let BufResult(read, filled) = stream.read(buffer).await;
        match read {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let BufResult(written, mut emptied) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        emptied.clear();
        buffer = emptied;
    }
}

async fn once(mut stream: TcpStream) {
    let BufResult(read, buffer) = stream.read(Vec::with_capacity(BUFFER)).await;
    if read.is_ok() {
        let _ = stream.write_all(buffer).await;
    }
}
