//! Accepting while the process has no descriptor left. A separate binary with one test: the limit
//! belongs to the whole process.

mod support;

use std::fs::File;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use futures_lite::{StreamExt, future};
use runtime_net::TcpListener;
use runtime_reactor::Reactor;
use support::{Stopwatch, listen, run};

/// Opens descriptors until the process may have no more.
fn take_all_descriptors() -> Vec<File> {
    let mut held = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => held.push(file),
            Err(e) => {
                assert_eq!(e.raw_os_error(), Some(libc::EMFILE));
                return held;
            }
        }
    }
}

fn limit_descriptors(max: libc::rlim_t) {
    let limit = libc::rlimit {
        rlim_cur: max,
        rlim_max: max,
    };
    // SAFETY: setrlimit reads one rlimit, which outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

/// Completes when the listener has backed off `times` more. Only the accepting task wakes it.
fn backoffs(listener: &TcpListener, times: u64) -> impl Future<Output = ()> {
    let enough = listener.accept_backoffs() + times;
    poll_fn(move |_| {
        if listener.accept_backoffs() >= enough {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

#[test]
fn accepting_backs_off_while_there_is_no_descriptor_and_resumes_by_itself() {
    let _leak_check = support::DescriptorLeakCheck::new();
    limit_descriptors(64);
    let reactor = Reactor::new().unwrap();
    support::pause(&reactor);
    run(&reactor, async {
        let listener = listen().await;
        let addr = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..6)
            .map(|_| support::Peer::connect(addr).unwrap())
            .collect();

        // A single `accept`.
        let held = take_all_descriptors();
        let (before, watch) = (reactor.stats(), Stopwatch::start());
        let backed_off = backoffs(&listener, 4);
        let starved = future::or(async { listener.accept().await.map(Some) }, async {
            backed_off.await;
            Ok(None)
        });
        assert!(starved.await.unwrap().is_none(), "nothing can be accepted");
        let after = reactor.stats();
        let waits = after.waits - before.waits;
        assert!(waits <= 12, "it waits between attempts: {waits} for 4");
        assert_eq!(after.timers_fired - before.timers_fired, 3);
        // Each delay is longer than the last.
        watch.assert_passed(Duration::from_millis(5 + 10 + 20));

        // It resumes when descriptors are freed during the delay, without another client.
        let mut accept = Box::pin(listener.accept());
        assert!(future::poll_once(&mut accept).await.is_none());
        drop(held);
        let (_, peer) = accept.await.unwrap();
        assert_eq!(peer, clients[0].local_addr().unwrap());

        // `incoming`.
        let held = take_all_descriptors();
        let mut incoming = listener.incoming();
        let backed_off = backoffs(&listener, 3);
        let starved = future::or(async { incoming.next().await }, async {
            backed_off.await;
            None
        });
        assert!(starved.await.is_none());
        drop(held);
        let stream = incoming.next().await.unwrap().unwrap();
        let expected = clients[1].local_addr().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), expected);
        drop(stream);

        // Two calls of `accept` at once, and one task that calls `poll_accept`.
        let held = take_all_descriptors();
        let mut first = Box::pin(listener.accept());
        let mut second = Box::pin(listener.accept());
        let mut third = Box::pin(poll_fn(|cx| listener.poll_accept(cx)));
        assert!(future::poll_once(&mut first).await.is_none());
        assert!(future::poll_once(&mut second).await.is_none());
        let before = listener.accept_backoffs();
        for _ in 0..10 {
            // Being polled again does not end the delay.
            assert!(future::poll_once(&mut third).await.is_none());
        }
        assert_eq!(listener.accept_backoffs(), before + 1);
        drop(held);
        let all = future::try_zip(first, future::try_zip(second, third));
        let (a, (b, c)) = all.await.unwrap();
        let mut accepted = [a.1, b.1, c.1];
        let mut connected = [2, 3, 4].map(|n: usize| clients[n].local_addr().unwrap());
        accepted.sort();
        connected.sort();
        assert_eq!(accepted, connected);

        // No delay is left over: the last client is accepted at once.
        let backed_off = listener.accept_backoffs();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, clients[5].local_addr().unwrap());
        assert_eq!(listener.accept_backoffs(), backed_off);
    });
}
