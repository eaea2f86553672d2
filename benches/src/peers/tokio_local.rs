//! tokio, `LocalRuntime`, tasks that are not `Send`.

use std::future::Future;
use std::net;
use std::time::Duration;

use ::tokio::net::TcpListener;
use ::tokio::task::spawn_local;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::tokio::{Tokio, echo, once};
use super::{Map, Peer, Service, Tasks};
use crate::hello;

pub(crate) struct TokioLocal;

impl Tasks for TokioLocal {
    fn block_on<F: Future>(future: F) -> F::Output {
        let mut builder = ::tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(Default::default());
        runtime.unwrap().block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Map(spawn_local(future), |joined: Result<_, _>| joined.unwrap())
    }
}

impl Peer for TokioLocal {
    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        Tokio::sleep(duration)
    }

    fn timeout<F: Future>(limit: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
        Tokio::timeout(limit, future)
    }

    fn spawn_blocking(job: fn() -> u64) -> impl Future<Output = u64> {
        Tokio::spawn_blocking(job)
    }

    fn serve(listener: net::TcpListener, service: Service) {
        Self::block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match service {
                    Service::Echo => drop(spawn_local(echo(stream))),
                    Service::Once => drop(spawn_local(once(stream))),
                    Service::Hello => drop(spawn_local(hello::serve(TokioIo::new(stream)))),
                    Service::HelloTimed => {
                        let serve =
                            hello::serve_with_timer(TokioIo::new(stream), TokioTimer::new());
                        drop(spawn_local(serve));
                    }
                }
            }
        });
    }
}
