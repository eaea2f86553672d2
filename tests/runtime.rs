//! `Runtime`: tasks, handles, the blocking pool, and dropping it.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use runtime::io::AsyncReadExt;
use runtime::net::{TcpListener, TcpStream};
use runtime::{PanicPolicy, Runtime};

fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("the panic has a text")).to_owned(),
    }
}

#[test]
fn tasks_need_not_be_send() {
    let sum = Rc::new(Cell::new(0));
    runtime::block_on(async {
        let tasks: Vec<_> = (1..=3)
            .map(|n| {
                let sum = sum.clone();
                runtime::spawn(async move {
                    runtime::task::yield_now().await;
                    sum.set(sum.get() + n);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(sum.get(), 6);
}

#[test]
fn tasks_stay_suspended_between_two_calls_of_block_on() {
    let runtime = Runtime::new().unwrap();
    let steps = Rc::new(Cell::new(0));
    let task = {
        let steps = steps.clone();
        runtime.spawn(async move {
            loop {
                steps.set(steps.get() + 1);
                runtime::task::yield_now().await;
            }
        })
    };
    runtime.block_on(runtime::task::yield_now());
    let so_far = steps.get();
    assert!(so_far > 0);
    assert_eq!(steps.get(), so_far);
    runtime.block_on(runtime::task::yield_now());
    assert!(steps.get() > so_far);
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn block_on_inside_a_runtime_panics_with_the_reason() {
    runtime::block_on(async {
        let nested = catch_unwind(|| runtime::block_on(async {}));
        let text = panic_text(nested.unwrap_err());
        assert!(
            text.contains("block_on was called at tests/runtime.rs"),
            "{text}"
        );
        assert!(text.contains("inside a runtime"), "{text}");
        // The outer runtime still works.
        runtime::spawn(async {}).await.unwrap();
    });
}

#[test]
fn a_panic_of_the_root_future_leaves_the_runtime_usable() {
    let runtime = Runtime::new().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { panic!("root") })
    }));
    assert_eq!(panic_text(panicked.unwrap_err()), "root");
    assert_eq!(runtime.block_on(async { 1 }), 1);
}

#[test]
fn dropping_a_runtime_drops_its_tasks_on_this_thread_in_spawn_order() {
    struct Noted(u32, Rc<RefCell<Vec<u32>>>, thread::ThreadId);
    impl Drop for Noted {
        fn drop(&mut self) {
            assert_eq!(thread::current().id(), self.2);
            // Destructors may use the runtime that is being dropped.
            drop(runtime::spawn(async {}));
            self.1.borrow_mut().push(self.0);
        }
    }
    let order = Rc::new(RefCell::new(Vec::new()));
    let runtime = Runtime::new().unwrap();
    for n in 0..4 {
        let noted = Noted(n, order.clone(), thread::current().id());
        runtime.spawn(async move {
            let _noted = noted;
            pending::<()>().await;
        });
    }
    runtime.block_on(runtime::task::yield_now());
    drop(runtime);
    assert_eq!(*order.borrow(), [0, 1, 2, 3]);
}

#[test]
fn wakers_of_a_dropped_runtime_do_nothing_on_any_thread() {
    let kept: Rc<RefCell<Vec<Waker>>> = Rc::default();
    let runtime = Runtime::new().unwrap();
    let task_kept = kept.clone();
    let root = runtime.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
    let task = runtime.spawn(async move {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        task_kept.borrow_mut().push(waker);
        pending::<()>().await;
    });
    runtime.block_on(runtime::task::yield_now());
    kept.borrow_mut().push(root);
    drop(runtime);
    let wakers = kept.take();
    assert_eq!(wakers.len(), 2);
    for waker in &wakers {
        waker.wake_by_ref();
    }
    thread::spawn(move || wakers.into_iter().for_each(Waker::wake))
        .join()
        .unwrap();
    assert!(runtime::block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn two_runtimes_on_one_thread_one_after_the_other_share_nothing() {
    let first = Runtime::new().unwrap();
    let second = Runtime::new().unwrap();
    let task = first.spawn(async { 1 });
    second.block_on(runtime::task::yield_now());
    assert!(!task.is_finished() || first.stats().waits == 0);
    assert_eq!(first.block_on(task).unwrap(), 1);
}

/// Returns a connection whose first stream has waited in `runtime`.
fn waited_in(runtime: &Runtime) -> (TcpStream, TcpStream) {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut byte = [0];
        poll_fn(|cx| {
            assert!(std::pin::pin!(stream.read(&mut byte)).poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        (stream, peer)
    })
}

#[test]
fn a_socket_that_waited_in_a_dropped_runtime_waits_in_another() {
    let (mut stream, peer) = waited_in(&Runtime::new().unwrap());
    let other = Runtime::new().unwrap();
    let read = other.block_on(async {
        let task = runtime::spawn(async move { stream.read(&mut [0]).await });
        runtime::task::yield_now().await; // it waits
        peer.try_write(b"x").unwrap();
        task.await.unwrap()
    });
    assert_eq!(read.unwrap(), 1);
    assert_eq!(other.stats().registrations, 1);
}

#[test]
fn a_thread_that_waits_for_a_socket_of_a_dropped_runtime_goes_on_in_its_own() {
    let runtime = Runtime::new().unwrap();
    let (mut stream, peer) = waited_in(&runtime);
    let (waiting, is_waiting) = mpsc::channel();
    let other = thread::spawn(move || {
        runtime::block_on(async move {
            let mut byte = [0];
            let mut read = std::pin::pin!(stream.read(&mut byte));
            let mut sent = false;
            poll_fn(move |cx| {
                let polled = read.as_mut().poll(cx);
                if !sent {
                    sent = true;
                    waiting.send(()).unwrap();
                }
                polled
            })
            .await
        })
    });
    is_waiting.recv().unwrap();
    drop(runtime);
    peer.try_write(b"x").unwrap();
    assert_eq!(other.join().unwrap().unwrap(), 1);
}

#[test]
fn a_handle_spawns_from_other_threads_and_ends_the_wait() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let (done, when_done) = mpsc::channel();
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let task_waker = waker.clone();
    let other = thread::spawn(move || {
        let task = handle.spawn(async move {
            done.send(thread::current().id()).unwrap();
            if let Some(root) = task_waker.lock().unwrap().take() {
                root.wake();
            }
            7
        });
        runtime::block_on(task).unwrap()
    });
    // There is no timer and no socket: only the message ends the wait.
    let ran_on = runtime.block_on(poll_fn(|cx| {
        *waker.lock().unwrap() = Some(cx.waker().clone());
        when_done.try_recv().map_or(Poll::Pending, Poll::Ready)
    }));
    assert_eq!(ran_on, thread::current().id());
    // The output is sent to the other thread by a message, which this thread still has to send.
    while !other.is_finished() {
        runtime.block_on(runtime::task::yield_now());
    }
    assert_eq!(other.join().unwrap(), 7);
}

#[test]
fn spawn_blocking_returns_the_output_or_the_panic() {
    runtime::block_on(async {
        let this_thread = thread::current().id();
        let pool_thread = runtime::spawn_blocking(|| thread::current().id())
            .await
            .unwrap();
        assert_ne!(this_thread, pool_thread);
        let error = runtime::spawn_blocking(|| panic!("in the pool"))
            .await
            .unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("in the pool"));
    });
}

#[test]
fn dropping_a_runtime_does_not_wait_for_blocking_jobs() {
    let (begin, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let runtime = Runtime::builder().max_blocking_threads(1).build().unwrap();
    let handle = runtime.handle();
    let running = handle.spawn_blocking(move || {
        begin.send(()).unwrap();
        ended.recv().unwrap();
        1
    });
    let queued = handle.spawn_blocking(|| 2);
    begun.recv().unwrap();
    drop(runtime); // would hang here
    end.send(()).unwrap();
    assert_eq!(runtime::block_on(running).unwrap(), 1);
    assert!(runtime::block_on(queued).unwrap_err().is_cancelled());
}

#[test]
fn the_panic_of_a_detached_task_ends_block_on_if_the_policy_says_so() {
    for policy in [PanicPolicy::Propagate, PanicPolicy::ShutDown] {
        let runtime = Runtime::builder().panic_policy(policy).build().unwrap();
        let other = runtime.spawn(pending::<()>());
        drop(runtime.spawn(async { panic!("detached") }));
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(pending::<()>())));
        assert_eq!(panic_text(ended.unwrap_err()), "detached");
        assert_eq!(
            other.is_finished(),
            policy == PanicPolicy::ShutDown,
            "{policy:?}"
        );
    }
}

#[test]
fn an_unknown_backend_is_an_error_that_names_the_available_ones() {
    let error = "abacus".parse::<runtime::Backend>().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.contains("abacus") && text.contains(runtime::Backend::available()[0].name()));
}

#[test]
fn a_runtime_shut_down_by_a_panic_panics_with_the_reason_when_used_again() {
    let runtime = Runtime::builder()
        .panic_policy(PanicPolicy::ShutDown)
        .build()
        .unwrap();
    drop(runtime.spawn(async { panic!("detached") }));
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(pending::<()>())));
    assert_eq!(panic_text(ended.unwrap_err()), "detached");
    let again = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async {})));
    assert!(panic_text(again.unwrap_err()).contains("PanicPolicy::ShutDown"));
}

#[test]
fn a_runtime_in_a_thread_local_is_dropped_with_its_thread() {
    thread_local! {
        static RUNTIME: Runtime = Runtime::new().unwrap();
    }
    let (dropped, when_dropped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        RUNTIME.with(|runtime| {
            runtime.spawn(async move {
                let _dropped = dropped;
                pending::<()>().await;
            });
            runtime.block_on(runtime::task::yield_now());
        });
    });
    thread.join().unwrap();
    assert!(when_dropped.recv().is_err(), "its tasks were dropped");
}

#[test]
fn an_entered_runtime_is_the_one_that_spawn_finds() {
    let (outer, inner) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let _outer = outer.enter();
    let first = runtime::spawn(async { runtime::task::yield_now().await });
    let guard = inner.enter();
    let second = runtime::spawn(async { 2 });
    let job = runtime::spawn_blocking(|| 3);
    assert_eq!(
        inner.block_on(second).unwrap(),
        2,
        "it runs while it is entered"
    );
    assert_eq!(inner.block_on(job).unwrap(), 3);
    drop(guard);
    let third = runtime::spawn(async { 4 });
    outer.block_on(first).unwrap();
    assert_eq!(
        outer.block_on(third).unwrap(),
        4,
        "the outer one is restored"
    );
}

#[test]
fn a_timer_and_a_socket_may_be_polled_where_a_runtime_is_entered() {
    let runtime = Runtime::new().unwrap();
    let mut sleep = Box::pin(runtime::time::sleep(Duration::from_millis(1)));
    let guard = runtime.enter();
    let polled = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    drop(guard);
    runtime.block_on(sleep);
}

#[test]
fn a_runtime_that_runs_does_not_run_another_one_that_is_entered() {
    let runtime = Runtime::new().unwrap();
    let other = Runtime::new().unwrap();
    let panicked = runtime.block_on(async {
        let _guard = other.enter();
        catch_unwind(AssertUnwindSafe(|| other.block_on(async {})))
    });
    assert!(panicked.is_err());
}

#[test]
fn a_waker_that_panics_while_a_panic_drops_the_runtime_does_not_abort_the_process() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("second");
        }
    }
    let mut sleep = Box::pin(runtime::time::sleep(Duration::from_secs(3600)));
    let polled = AssertUnwindSafe(|| {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let waker = Waker::from(Arc::new(Panics));
            assert!(
                sleep
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        });
        panic!("first");
    });
    let payload = catch_unwind(polled).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"first"));
}

#[test]
fn the_hooks_of_a_wait_are_called_in_pairs_and_a_task_that_one_wakes_runs_at_once() {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::Waker;

    let (parks, unparks) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let waiting: Arc<Mutex<Option<Waker>>> = Arc::default();
    let runtime = Runtime::builder()
        .on_park({
            let (parks, waiting) = (parks.clone(), waiting.clone());
            move || {
                parks.fetch_add(1, Ordering::Relaxed);
                // Without the second look at the queue the thread would wait forever.
                if let Some(waker) = waiting.lock().unwrap().take() {
                    waker.wake();
                }
            }
        })
        .on_unpark({
            let unparks = unparks.clone();
            move || {
                unparks.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
        .unwrap();
    let mut polls = 0;
    let future = poll_fn(|cx| {
        polls += 1;
        if polls == 3 {
            return Poll::Ready(());
        }
        *waiting.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    });
    runtime.block_on(future);
    assert_eq!(parks.load(Ordering::Relaxed), 2);
    assert_eq!(unparks.load(Ordering::Relaxed), 2);
}
