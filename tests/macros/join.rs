//! `join!` and `try_join!`.

use super::*;

#[runtime::test]
async fn join_waits_for_all_and_keeps_their_order() {
    assert_eq!(join!(after(3, 'a'), after(1, "b"), ready(3)), ('a', "b", 3));
}

#[runtime::test]
async fn join_takes_none_one_and_a_trailing_comma() {
    let () = join!();
    assert_eq!(join!(after(1, 1)), (1,));
    assert_eq!(join!(ready(1), ready(2),), (1, 2));
    assert_eq!(join!(biased; ready(1), ready(2)), (1, 2));
}

#[runtime::test]
async fn join_runs_its_futures_concurrently() {
    let log = RefCell::new(vec![]);
    let noting = async |name| {
        for _ in 0..2 {
            log.borrow_mut().push(name);
            yield_now().await;
        }
    };
    join!(noting("a"), noting("b"));
    assert_eq!(*log.borrow(), ["a", "b", "b", "a"]);
}

#[runtime::test]
async fn join_begins_each_poll_with_another_future_unless_it_is_biased() {
    let log = RefCell::new(String::new());
    let noting = async |name| {
        for _ in 0..4 {
            log.borrow_mut().push(name);
            yield_now().await;
        }
    };
    join!(noting('a'), noting('b'), noting('c'));
    assert_eq!(log.take(), "abcbcacababc");
    join!(biased; noting('a'), noting('b'), noting('c'));
    assert_eq!(log.take(), "abcabcabcabc");
    let failing = async |name| {
        noting(name).await;
        Err::<(), char>(name)
    };
    let failed = try_join!(failing('a'), failing('b'));
    assert_eq!((log.take().as_str(), failed), ("abbaabba", Err('a')));
    let failed = try_join!(biased; failing('a'), failing('b'));
    assert_eq!((log.take().as_str(), failed), ("abababab", Err('a')));
}

#[runtime::test]
async fn join_drops_a_future_when_it_completes() {
    let log = RefCell::new(vec![]);
    let noted = Noted(&log, "first");
    // Unlike an `async` block, the closure keeps its captures after its last poll.
    let first = poll_fn(move |_| {
        let _ = &noted;
        Poll::Ready(())
    });
    join!(first, async {
        yield_now().await;
        log.borrow_mut().push("second");
    });
    assert_eq!(*log.borrow(), ["first", "second"]);
}

#[runtime::test]
async fn join_takes_a_future_that_never_returns() {
    async fn serve() -> ! {
        pending().await
    }
    async fn both() -> (u8, std::convert::Infallible) {
        let (never, _) = join!(serve(), ready(1));
        never
    }
    select! {
        _ = both() => {}
        () = after(2, ()) => {}
    }
    let result = try_join!(
        pending::<Result<std::convert::Infallible, u8>>(),
        ready(Err::<(), _>(1))
    );
    assert_eq!(result.err(), Some(1));
}

#[runtime::test]
async fn join_takes_borrows_and_futures_that_are_not_unpin() {
    let mut text = String::from("a");
    let number = 1;
    let (length, sum, ()) = join!(
        async {
            let _pinned = PhantomPinned;
            yield_now().await;
            text.push('b');
            text.len()
        },
        async { number + 1 },
        async { _ = Rc::new(1) },
    );
    assert_eq!((length, sum, text.as_str()), (2, 2, "ab"));
}

#[runtime::test]
async fn try_join_returns_all_values() {
    let result: Result<_, String> = try_join!(after(2, Ok(1)), async { Ok("b") }, ready(Ok(())));
    assert_eq!(result, Ok((1, "b", ())));
}

#[runtime::test]
async fn try_join_takes_none_one_and_a_trailing_comma() {
    let none: Result<(), ()> = try_join!();
    assert_eq!(none, Ok(()));
    assert_eq!(try_join!(after(1, Ok::<_, ()>(1))), Ok((1,)));
    assert_eq!(try_join!(ready(Ok::<_, ()>(1)), ready(Ok(2)),), Ok((1, 2)));
    assert_eq!(try_join!(biased; ready(Err::<(), _>(1))), Err(1));
}

#[runtime::test]
async fn try_join_stops_at_the_first_error_and_drops_the_others() {
    let log = RefCell::new(vec![]);
    let noted = Noted(&log, "dropped");
    let outcome = try_join!(
        async move {
            let _noted = noted;
            pending::<Result<(), &str>>().await
        },
        after(2, Err::<(), _>("first")),
        after(3, Err::<(), _>("second")),
    );
    assert_eq!(outcome, Err("first"));
    assert_eq!(*log.borrow(), ["dropped"]);
}

#[runtime::test]
async fn try_join_does_not_poll_futures_after_an_error() {
    let polls = Cell::new(0);
    let outcome = try_join!(
        ready(Err::<(), _>("no")),
        poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<Result<(), _>>::Pending
        }),
    );
    assert_eq!((outcome, polls.get()), (Err("no"), 0));
}
