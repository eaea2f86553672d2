//! smol: `async-executor`'s `LocalExecutor`, `async-io`, `async-net`, `blocking`.

use std::cell::OnceCell;
use std::future::Future;
use std::net;
use std::time::Duration;

use async_executor::LocalExecutor;
use async_io::{Async, Timer};
use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use smol_hyper::rt::FuturesIo;

use super::{BUFFER, Peer, Service, Tasks};
use crate::hello;

pub(crate) struct Smol;

thread_local! {
    static EXECUTOR: OnceCell<&'static LocalExecutor<'static>> = const { OnceCell::new() };
}

fn executor() -> &'static LocalExecutor<'static> {
    EXECUTOR.with(|it| *it.get_or_init(|| Box::leak(Box::default())))
}

impl Tasks for Smol {
    fn block_on<F: Future>(future: F) -> F::Output {
        async_io::block_on(executor().run(future))
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        executor().spawn(future)
    }
}

impl Peer for Smol {
    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    fn timeout<F: Future>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
        async { Some(future.await) }.or(async move {
            Timer::after(limit).await;
            None
        })
    }

    fn spawn_blocking(job: fn() -> u64) -> impl Future<Output = u64> {
        blocking::unblock(job)
    }

    fn serve(listener: net::TcpListener, service: Service) {
        Self::block_on(async {
            let listener = TcpListener::from(Async::new(listener).unwrap());
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match service {
                    Service::Echo => executor().spawn(echo(stream)).detach(),
                    Service::Once => executor().spawn(once(stream)).detach(),
                    Service::Hello => {
                        let served = hello::serve(FuturesIo::new(stream));
                        executor().spawn(served).detach();
                    }
                    Service::HelloTimed => unreachable!("not in HAVE_HEADER_TIMER"),
                }
            }
        });
    }
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
