//! Scopes in scopes, in `select!` and in tasks, and the size of their futures.

use super::*;

#[test]
fn select_works_in_a_child_and_around_a_scope() {
    paused().block_on(async {
        let (sender, receiver) = async_channel::unbounded::<u8>();
        let end = task::CancellationToken::new();
        let received = Cell::new(0);
        let children = scope(async |s| {
            s.spawn(async {
                loop {
                    select! {
                        biased;
                        () = end.cancelled() => return,
                        message = receiver.recv() => {
                            received.set(received.get() + message.unwrap());
                        }
                    }
                }
            });
            s.spawn(async {
                for n in 1..=3 {
                    sender.send(n).await.unwrap();
                    yield_now().await;
                }
                while received.get() < 6 {
                    yield_now().await;
                }
                end.cancel();
            });
        });
        children.await;
        assert_eq!(received.get(), 6);

        let endless = scope(async |s| {
            s.spawn(pending::<()>());
        });
        select! {
            () = endless => unreachable!(),
            () = time::sleep(HOUR) => {}
        }
    });
}

#[test]
fn a_scope_in_a_scope_borrows_from_the_child_that_runs_it() {
    paused().block_on(async {
        let outermost = 1;
        let sum = scope(async |outer| {
            let child = outer.spawn(async {
                let local = 10;
                let inner = scope(async |inner| {
                    let handle = inner.spawn(async {
                        time::sleep(HOUR).await;
                        outermost + local
                    });
                    // A child of the outer scope cannot borrow `local`.
                    let sibling = outer.spawn(async { outermost + 100 });
                    handle.await + sibling.await
                });
                inner.await + local
            });
            child.await
        });
        assert_eq!(sum.await, 122);
    });
}

#[test]
fn exit_of_an_outer_scope_ends_the_inner_one() {
    runtime::block_on(async {
        let value = scope(async |outer| {
            outer.spawn(async {
                scope(async |inner| {
                    inner.spawn(async {
                        outer.exit(9).await;
                    });
                    pending::<()>().await;
                })
                .await;
                unreachable!();
            });
            pending().await
        });
        assert_eq!(value.await, 9);
    });
}

#[test]
fn children_belong_to_the_task_that_awaits_the_scope() {
    runtime::task_local! { static NAME: &'static str; }
    runtime::block_on(async {
        let task = runtime::spawn(NAME.scope("inherited", async {
            let id = task::id();
            scope(async |s| {
                s.spawn(async {
                    yield_now().await;
                    assert_eq!(task::id(), id);
                    NAME.with(|name| assert_eq!(*name, "inherited"));
                });
            })
            .await;
        }));
        task.await.unwrap();
    });
}

#[test]
fn a_task_that_a_child_spawns_is_independent() {
    runtime::block_on(async {
        let mut task = None;
        scope(async |s| {
            s.spawn(async {
                task = Some(runtime::spawn(async {
                    yield_now().await;
                    7
                }));
            });
        })
        .await;
        assert_eq!(task.unwrap().await.unwrap(), 7);
    });
}

#[test]
fn the_future_of_a_scope_is_little_larger_than_that_of_its_body() {
    let small = scope(async |_| {});
    assert!(size_of_val(&small) <= 200, "{}", size_of_val(&small));
    let large = scope(async |_| {
        let block = [0_u8; 10_000];
        yield_now().await;
        std::hint::black_box(&block);
    });
    assert!(size_of_val(&large) < 10_300, "{}", size_of_val(&large));
}
