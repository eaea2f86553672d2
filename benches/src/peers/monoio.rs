//! monoio, on epoll (its `LegacyDriver`) and on io_uring.

use std::future::Future;
use std::net;
use std::time::Duration;

use ::monoio::blocking::DefaultThreadPool;
use ::monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use ::monoio::net::{TcpListener, TcpStream};
use ::monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use hyper_util::rt::TokioIo;
use monoio_compat::StreamWrapper;

use super::{BUFFER, Peer, Service, Tasks};
use crate::hello;

pub(crate) struct Epoll;
pub(crate) struct Uring;

impl Tasks for Epoll {
    fn block_on<F: Future>(future: F) -> F::Output {
        let builder = RuntimeBuilder::<LegacyDriver>::new().enable_timer();
        let pool = Box::new(DefaultThreadPool::new(4));
        let runtime = builder.attach_thread_pool(pool).build();
        runtime.unwrap().block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        ::monoio::spawn(future)
    }
}

impl Tasks for Uring {
    fn block_on<F: Future>(future: F) -> F::Output {
        let builder = RuntimeBuilder::<IoUringDriver>::new().enable_timer();
        let pool = Box::new(DefaultThreadPool::new(4));
        let runtime = builder.attach_thread_pool(pool).build();
        runtime.unwrap().block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        ::monoio::spawn(future)
    }
}

impl Peer for Epoll {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        ::monoio::time::sleep(duration)
    }

    async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
        ::monoio::time::timeout(limit, future).await.ok()
    }

    async fn spawn_blocking(job: fn() -> u64) -> u64 {
        match ::monoio::spawn_blocking(job).await {
            Ok(output) => output,
            Err(_) => unreachable!("the job was canceled"),
        }
    }

    fn serve(listener: net::TcpListener, service: Service) {
        Self::block_on(serve(listener, service));
    }
}

impl Peer for Uring {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        Epoll::sleep(duration)
    }

    fn timeout<F: Future>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
        Epoll::timeout(limit, future)
    }

    fn spawn_blocking(job: fn() -> u64) -> impl Future<Output = u64> {
        Epoll::spawn_blocking(job)
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
            Service::Echo => drop(::monoio::spawn(echo(stream))),
            Service::Once => drop(::monoio::spawn(once(stream))),
            Service::HelloTimed => unreachable!("not in HAVE_HEADER_TIMER"),
            Service::Hello => {
                // monoio's adapter to tokio's traits, then hyper-util's from those to hyper's. A
                // direct adapter to hyper's needs monoio's feature `poll-io`, which changes its
                // drivers.
                let stream = TokioIo::new(StreamWrapper::new(stream));
                drop(::monoio::spawn(hello::serve(stream)));
            }
        }
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (read, filled) = stream.read(buffer).await;
        match read {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let (written, mut emptied) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        emptied.clear();
        buffer = emptied;
    }
}

async fn once(mut stream: TcpStream) {
    let (read, buffer) = stream.read(Vec::with_capacity(BUFFER)).await;
    if read.is_ok() {
        let _ = stream.write_all(buffer).await;
    }
}
