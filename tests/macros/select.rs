//! `select!`: the branch that wins, handlers, conditions, and fairness.

use super::*;

#[runtime::test]
async fn select_runs_the_handler_of_the_first_to_complete() {
    let winner = select! {
        () = pending() => "never",
        value = after(1, "soon") => value,
        value = after(2, "later") => value,
    };
    assert_eq!(winner, "soon");
}

#[allow(
    clippy::await_holding_refcell_ref,
    reason = "that it is held is what is tested"
)]
#[runtime::test]
async fn select_keeps_the_temporaries_that_a_future_borrows() {
    let cell = RefCell::new(ready(1));
    let value = select! {
        n = &mut *cell.borrow_mut() => n,
        n = pending() => n,
    };
    assert_eq!(value, 1);
    assert!(cell.try_borrow().is_ok());
}

#[runtime::test]
async fn select_takes_one_branch() {
    let value = select! { value = after(1, 7) => value };
    assert_eq!(value, 7);
}

#[runtime::test]
async fn select_takes_blocks_without_commas_and_expressions_with() {
    for turn in 0..3 {
        let name = select! {
            () = ready(()), if turn == 0 => { "block" }
            () = ready(()), if turn == 1 => { "block, comma" },
            () = ready(()), if turn == 2 => "expression",
            else => "else"
        };
        assert_eq!(name, ["block", "block, comma", "expression"][turn]);
    }
}

#[runtime::test]
async fn biased_select_polls_from_top_to_bottom() {
    for _ in 0..100 {
        let polled = RefCell::new(Vec::new());
        let note = |name: &'static str| {
            let polled = &polled;
            poll_fn(move |_| {
                polled.borrow_mut().push(name);
                Poll::<()>::Pending
            })
        };
        select! {
            biased;
            () = note("a") => unreachable!(),
            () = note("b") => unreachable!(),
            () = async {} => {}
            () = note("c") => unreachable!(),
        }
        assert_eq!(*polled.borrow(), ["a", "b"]);
    }
}

#[runtime::test]
async fn select_without_bias_starves_no_branch() {
    let mut wins = [0; 3];
    for _ in 0..1000 {
        select! {
            () = ready(()) => wins[0] += 1,
            () = ready(()) => wins[1] += 1,
            () = ready(()) => wins[2] += 1,
        }
    }
    assert!(wins.iter().all(|it| (250..420).contains(it)), "{wins:?}");
}

#[runtime::test]
async fn alternating_selects_are_fair_independently() {
    let mut wins = [[0; 2]; 2];
    for round in 0..1000 {
        select! {
            () = ready(()) => wins[round % 2][0] += 1,
            () = ready(()) => wins[round % 2][1] += 1,
        }
    }
    assert!(
        wins.iter().flatten().all(|it| (150..350).contains(it)),
        "{wins:?}"
    );
}

#[runtime::test]
async fn select_polls_every_branch_once_in_each_poll() {
    let counts = [const { Cell::new(0) }; 4];
    let count = |index: usize| {
        let counts = &counts;
        poll_fn(move |_| {
            counts[index].set(counts[index].get() + 1);
            Poll::<()>::Pending
        })
    };
    let mut selecting = pin!(async {
        select! {
            () = count(0) => {}
            () = count(1) => {}
            () = count(2) => {}
            () = count(3) => {}
        }
    });
    for lap in 1..=50 {
        poll_fn(|cx| {
            assert!(selecting.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(counts.iter().all(|it| it.get() == lap));
    }
}

#[runtime::test]
async fn select_never_polls_a_branch_whose_condition_is_false() {
    let evaluated = Cell::new(false);
    let future = || {
        evaluated.set(true);
        poll_fn(|_| -> Poll<()> { panic!("polled") })
    };
    let on = false;
    select! {
        () = future(), if on => {}
        () = after(3, ()) => {}
    }
    assert!(evaluated.get());
}

#[runtime::test]
async fn select_evaluates_all_conditions_before_all_futures_and_each_once() {
    let log = RefCell::new(Vec::new());
    let condition = |name| {
        log.borrow_mut().push(name);
        true
    };
    let future = |name| {
        log.borrow_mut().push(name);
        after(2, ())
    };
    select! {
        () = future("future a"), if condition("if a") => {}
        () = future("future b"), if condition("if b") => {}
    }
    assert_eq!(*log.borrow(), ["if a", "if b", "future a", "future b"]);
}

#[runtime::test]
async fn select_disables_a_branch_whose_pattern_does_not_match() {
    let value = select! {
        Some(value) = ready(None::<u8>) => value,
        value = after(2, 2) => value,
    };
    assert_eq!(value, 2);
}

#[runtime::test]
async fn select_does_not_poll_a_branch_again_after_its_pattern_failed() {
    let mut polls = 0;
    let once = poll_fn(|_| {
        polls += 1;
        Poll::Ready(None::<()>)
    });
    select! {
        Some(()) = once => unreachable!(),
        () = after(5, ()) => {}
    }
    assert_eq!(polls, 1);
}

#[runtime::test]
async fn select_runs_else_when_every_branch_is_disabled() {
    let off = false;
    let value = select! {
        Some(value) = after(1, None) => value,
        Ok(value) = after(2, Err::<i32, _>(())) => value,
        value = ready(3), if off => value,
        else => 4,
    };
    assert_eq!(value, 4);
    assert_eq!(select! { else => 5 }, 5);
}

#[runtime::test]
#[should_panic(expected = "every branch of this `select!` is disabled")]
async fn select_without_else_panics_when_every_branch_is_disabled() {
    select! {
        Some(()) = ready(None) => {}
    }
}

#[runtime::test]
async fn handlers_break_and_continue_the_surrounding_loop() {
    let mut rounds = 0;
    let result = loop {
        rounds += 1;
        select! {
            () = ready(()), if rounds < 3 => continue,
            value = ready("out"), if rounds == 3 => break value,
            else => unreachable!(),
        }
    };
    assert_eq!((result, rounds), ("out", 3));

    let mut inner = 0;
    'outer: loop {
        loop {
            inner += 1;
            select! {
                biased;
                () = ready(()), if inner == 1 => {}
                () = ready(()), if inner == 2 => continue 'outer,
                () = ready(()) => break 'outer,
            }
        }
    }
    assert_eq!(inner, 3);
}

#[runtime::test]
async fn handlers_return_and_use_the_question_mark() {
    async fn first(input: Result<u8, String>) -> Result<u8, String> {
        let value = select! {
            biased;
            value = ready(input) => value?,
            () = pending() => return Ok(0),
        };
        select! {
            () = yield_now() => return Ok(value + 1),
            () = pending() => {}
        }
        Ok(0)
    }
    assert_eq!(first(Ok(1)).await, Ok(2));
    assert_eq!(first(Err("no".into())).await, Err("no".into()));
}

#[runtime::test]
async fn futures_and_conditions_use_the_question_mark() {
    async fn first(input: Result<u8, String>, on: Result<bool, String>) -> Result<u8, String> {
        Ok(select! {
            value = ready(input?), if on? => value,
            else => 0,
        })
    }
    assert_eq!(first(Ok(1), Ok(true)).await, Ok(1));
    assert_eq!(first(Ok(1), Ok(false)).await, Ok(0));
    assert_eq!(first(Err("a".into()), Ok(true)).await, Err("a".into()));
    assert_eq!(first(Ok(1), Err("b".into())).await, Err("b".into()));
}

#[runtime::test]
async fn handlers_await() {
    let value = select! {
        value = ready(1) => after(2, value).await + after(1, 1).await,
        () = pending() => 0,
    };
    assert_eq!(value, 2);
}

#[runtime::test]
async fn a_future_passed_by_reference_continues_in_the_next_select() {
    let mut work = pin!(after(5, "done"));
    let mut ticks = 0;
    let result = loop {
        select! {
            biased;
            result = &mut work => break result,
            () = yield_now() => ticks += 1,
        }
    };
    // Each tick takes two polls, and each poll advances the work by one turn.
    assert_eq!((result, ticks), ("done", 2));
}

#[runtime::test]
async fn handlers_mutate_values_that_the_futures_borrowed() {
    async fn push(to: &mut Vec<u8>) -> &mut Vec<u8> {
        yield_now().await;
        to.push(1);
        to
    }
    let mut list = vec![];
    select! {
        () = async { push(&mut list).await; } => list.push(2),
    }
    select! {
        same = push(&mut list) => {
            same.push(3);
            list.push(4);
        }
    }
    let mut a = 1;
    select! {
        biased;
        () = async { a += 1; } => a += 10,
        () = pending() => a += 100,
    }
    assert_eq!(list, [1, 2, 1, 3, 4]);
    assert_eq!(a, 12);
}

/// The output of the losing branch has a destructor and contains a borrow.
#[runtime::test]
async fn handlers_mutate_values_that_a_losing_output_would_have_borrowed() {
    struct Guard<'a>(&'a mut u8);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            *self.0 += 100;
        }
    }
    async fn lock(on: &mut u8) -> Guard<'_> {
        pending::<()>().await;
        Guard(on)
    }
    let mut number = 1;
    let off = false;
    select! {
        () = yield_now() => number += 1,
        guard = lock(&mut number) => *guard.0 = 0,
    }
    select! {
        guard = lock(&mut number) => *guard.0 = 0,
        () = yield_now() => number += 1,
    }
    select! {
        guard = lock(&mut number), if off => *guard.0 = 0,
        else => number += 1,
    }
    assert_eq!(number, 4);
    async fn lock_now(on: &mut u8) -> Option<Guard<'_>> {
        yield_now().await;
        Some(Guard(on))
    }
    select! {
        Some(guard) = lock_now(&mut number) => {
            drop(guard);
            number += 1;
        }
        Some(_) = pending::<Option<Guard<'_>>>() => {}
        else => {}
    }
    assert_eq!(number, 105);
}

#[runtime::test]
async fn select_drops_all_futures_before_the_handler_runs() {
    let log = RefCell::new(vec![]);
    let holding = |turns, name| {
        let noted = Noted(&log, name);
        async move {
            let _noted = noted;
            after(turns, ()).await;
        }
    };
    select! {
        () = holding(9, "loser") => {}
        () = holding(1, "winner") => log.borrow_mut().push("handler"),
    }
    assert_eq!(*log.borrow(), ["winner", "loser", "handler"]);
}

#[runtime::test]
async fn select_takes_futures_that_are_not_unpin_nor_fused() {
    let mut polls = 0;
    let pinned = async {
        let _pinned = PhantomPinned;
        yield_now().await;
        polls += 1;
        polls
    };
    select! {
        count = pinned => assert_eq!(count, 1),
        () = pending() => {}
    }
}

#[runtime::test]
async fn select_binds_by_move_by_reference_and_mutably() {
    struct Pair {
        left: String,
        right: Option<String>,
    }
    let pair = || {
        ready(Pair {
            left: "l".into(),
            right: Some("r".into()),
        })
    };

    select! {
        Pair { left, right: Some(mut right) } = pair() => {
            right.push_str(&left);
            assert_eq!(right, "rl");
        }
        else => unreachable!(),
    }
    select! {
        Pair { ref left, right: Some(ref mut right) } = pair() => {
            right.push_str(left);
            assert_eq!(right, "rl");
        }
        else => unreachable!(),
    }
    select! {
        whole @ Pair { right: Some(_), .. } = pair() => assert_eq!(whole.left, "l"),
        else => unreachable!(),
    }
    select! {
        mut number = ready(1) => {
            number += 1;
            assert_eq!(number, 2);
        }
    }
    select! {
        1 | 2 = ready(2) => {}
        else => unreachable!(),
    }
    select! {
        Some('a'..='z') | None = ready(Some('q')) => {}
        else => unreachable!(),
    }
    select! {
        _ = ready(String::new()) => {}
    }
}

#[runtime::test]
async fn select_accepts_into_future() {
    struct Request;
    impl IntoFuture for Request {
        type Output = u16;
        type IntoFuture = std::future::Ready<u16>;
        fn into_future(self) -> Self::IntoFuture {
            ready(200)
        }
    }
    let status = select! { status = Request => status };
    assert_eq!(status, 200);
    assert_eq!(join!(Request, Request), (200, 200));
}

#[runtime::test]
async fn select_takes_futures_that_never_return() {
    async fn serve() -> ! {
        loop {
            yield_now().await;
        }
    }
    let value = select! {
        _ = serve() => 1,
        value = after(3, 2) => value,
    };
    assert_eq!(value, 2);
    select! {
        never = serve() => never,
        _ = async { loop { yield_now().await } } => {}
        () = after(3, ()) => {}
    }
}

#[runtime::test]
async fn handlers_that_diverge_fit_any_type() {
    let value: u8 = select! {
        value = ready(1) => value,
        () = pending() => unreachable!(),
        else => panic!(),
    };
    assert_eq!(value, 1);
}

#[runtime::test]
async fn selects_nest() {
    let value = select! {
        value = async { select! { x = after(1, 1) => x, () = pending() => 0 } } => {
            select! { x = after(1, 1) => x + value, () = pending() => 0 }
        }
        () = pending() => 0,
    };
    assert_eq!(value, 2);
}

#[runtime::test]
async fn select_takes_sixty_four_branches() {
    macro_rules! many {
        ($($turns:literal)+) => {
            select! {
                $(value = after($turns, $turns) => value,)+
                value = ready(64) => value,
            }
        };
    }
    let value = many! {
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
        33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61
        62 63
    };
    assert_eq!(value, 64);
}

#[runtime::test]
async fn every_one_of_twelve_branches_can_win() {
    for winner in 0..12 {
        let turns = |index| if index == winner { 1 } else { 9 };
        let value = select! {
            () = after(turns(0), ()) => 0,
            () = after(turns(1), ()) => 1,
            () = after(turns(2), ()) => 2,
            () = after(turns(3), ()) => 3,
            () = after(turns(4), ()) => 4,
            () = after(turns(5), ()) => 5,
            () = after(turns(6), ()) => 6,
            () = after(turns(7), ()) => 7,
            () = after(turns(8), ()) => 8,
            () = after(turns(9), ()) => 9,
            () = after(turns(10), ()) => 10,
            () = after(turns(11), ()) => 11,
        };
        assert_eq!(value, winner);
    }
}

#[test]
fn the_future_around_a_select_is_send_when_its_branches_are() {
    fn assert_send<T: Send>(_: T) {}
    assert_send(async {
        select! {
            local = ready(()) => local,
            () = pending() => {}
        }
        join!(ready(1), ready(2))
    });
    // An output need not be `Send`: it is never held across an await of the select.
    struct Local(#[expect(dead_code)] *const u8);
    assert_send(async {
        select! {
            _ = poll_fn(|_| Poll::Ready(Local(std::ptr::null()))) => {}
            () = pending() => {}
        }
    });
}
