//! Scopes that an error or `exit` ends.

use super::*;

#[test]
fn the_first_error_of_a_child_ends_the_scope_and_drops_the_others_in_order() {
    runtime::block_on(async {
        let dropped = RefCell::new(Vec::new());
        let result: Result<(), &str> = try_scope(async |s| {
            let _body = Note(&dropped, "body");
            let spawn = |name, error: Option<&'static str>| {
                let note = Note(&dropped, name);
                s.spawn(async move {
                    let _note = note;
                    yield_now().await;
                    match error {
                        Some(error) => Err(error),
                        None => pending().await,
                    }
                })
            };
            drop([
                spawn("one", None),
                spawn("two", Some("first error")),
                spawn("three", Some("second error")),
                spawn("four", None),
            ]);
            // A handle of a child that fails is never ready.
            let () = spawn("five", Some("third error")).await;
            unreachable!();
        })
        .await;
        assert_eq!(result, Err("first error"));
        let expected = ["two", "body", "one", "three", "four", "five"];
        assert_eq!(*dropped.borrow(), expected);
    });
}

#[test]
fn an_error_of_the_body_ends_the_scope_and_its_success_awaits_the_children() {
    runtime::block_on(async {
        let result: Result<u8, u8> = try_scope(async |s| {
            s.spawn(pending::<Result<(), u8>>());
            yield_now().await;
            Err(3)
        })
        .await;
        assert_eq!(result, Err(3));

        let done = Cell::new(0);
        let result: Result<u8, u8> = try_scope(async |s| {
            let value = s.spawn(async { Ok(4) });
            s.spawn(async {
                yield_now().await;
                done.set(done.get() + 1);
                Ok(())
            });
            Ok(value.await)
        })
        .await;
        assert_eq!((result, done.get()), (Ok(4), 1));
    });
}

#[test]
fn a_plain_scope_awaits_the_children_after_an_error_of_its_body() {
    runtime::block_on(async {
        let done = Cell::new(false);
        let result: Result<(), u8> = scope(async |s| {
            s.spawn(async {
                yield_now().await;
                done.set(true);
            });
            Err(3)
        })
        .await;
        assert_eq!((result, done.get()), (Err(3), true));
    });
}

#[test]
fn the_first_value_of_exit_counts_and_its_caller_does_not_continue() {
    runtime::block_on(async {
        let continued = Cell::new(0);
        let value = scope(async |s| {
            for n in 1..=3 {
                let continued = &continued;
                s.spawn(async move {
                    continued.set(continued.get() + 1);
                    s.exit(n).await;
                    unreachable!();
                });
            }
            pending().await
        })
        .await;
        assert_eq!((value, continued.get()), (1, 1));
        assert_eq!(scope(async |s| s.exit(5).await).await, 5);
        let value = scope(async |s| {
            drop(s.exit(7));
            s.exit(8).await
        });
        assert_eq!(value.await, 7);
        let result: Result<u8, u8> = try_scope(async |s| s.exit(Ok(6)).await).await;
        assert_eq!(result, Ok(6));
    });
}

#[test]
fn a_child_that_is_spawned_after_exit_is_dropped_at_once() {
    let dropped = RefCell::new(Vec::new());
    runtime::block_on(scope(async |s| {
        drop(s.exit(()));
        let note = Note(&dropped, "late");
        s.spawn(async move {
            let _note = note;
            unreachable!("it is not polled");
        });
        assert_eq!((s.len(), &**dropped.borrow()), (0, &["late"][..]));
    }));
}

#[test]
fn a_panic_after_exit_counts_instead_of_the_value() {
    let panicked = catch_unwind(|| {
        runtime::block_on(scope(async |s| {
            drop(s.exit(1));
            panic!("expected");
        }))
    });
    assert_eq!(text(&*panicked.unwrap_err()), "expected");
}
