/// Runs a future on a reactor of its own: the smallest runtime there is, for examples and tests.
#[allow(dead_code)]
fn block_on<F: std::future::Future>(future: F) -> F::Output {
    struct Flag(std::sync::atomic::AtomicBool, runtime_reactor::Notifier);
    impl std::task::Wake for Flag {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            self.1.notify();
        }
    }
    let reactor = runtime_reactor::Reactor::new().unwrap();
    let _entered = reactor.enter();
    let flag = std::sync::Arc::new(Flag(true.into(), reactor.notifier()));
    let waker = std::task::Waker::from(flag.clone());
    let mut future = std::pin::pin!(future);
    loop {
        if flag.0.swap(false, std::sync::atomic::Ordering::SeqCst) {
            let mut cx = std::task::Context::from_waker(&waker);
            if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
        }
        reactor.turn(None).unwrap();
    }
}
