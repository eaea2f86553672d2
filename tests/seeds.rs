//! An order of polls, branches and events that a seed decides.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use runtime::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use runtime::net::UnixStream;
use runtime::task::yield_now;
use runtime::time::{Duration, sleep};
use runtime::{Backend, Runtime, select, spawn};

fn seeded(seed: u64) -> Runtime {
    // A variable for all tests of a process would make their seeds equal.
    assert!(std::env::var_os("RUNTIME_SEED").is_none());
    let builder = Runtime::builder().start_paused(true);
    builder.advance_with_io(true).seed(seed).build().unwrap()
}

/// Runs tasks that yield, sleep, select, read and draw numbers, and returns what they have done, in
/// that order.
fn history(seed: u64) -> Vec<String> {
    let runtime = seeded(seed);
    let events = Rc::new(RefCell::new(Vec::new()));
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for task in 0..5 {
            let events = events.clone();
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            tasks.push(spawn(async move {
                let add = |what: String| events.borrow_mut().push(format!("{task} {what}"));
                for _ in 0..3 {
                    yield_now().await;
                    add("yields".to_owned());
                }
                let first = select! {
                    () = async {} => 1,
                    () = async {} => 2,
                    () = async {} => 3,
                };
                add(format!("takes branch {first}"));
                sleep(Duration::from_secs(1)).await;
                add("has slept".to_owned());
                add(format!("draws {}", runtime::rng().range(0..100)));
                ours.write_all(b"x").await.unwrap();
                theirs.read_exact(&mut [0]).await.unwrap();
                add("has read".to_owned());
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    events.take()
}

#[test]
fn a_seed_gives_the_same_history_each_time() {
    let first = history(7);
    assert!((0..100).all(|_| history(7) == first));
}

#[test]
fn different_seeds_give_different_histories() {
    let mut histories: Vec<_> = (0..20).map(history).collect();
    histories.sort();
    histories.dedup();
    assert_eq!(histories.len(), 20);
}

#[test]
fn every_order_of_three_tasks_comes_with_some_seed() {
    let order = |seed| {
        let runtime = seeded(seed);
        let order = Rc::new(RefCell::new(Vec::new()));
        for task in 0..3 {
            let order = order.clone();
            runtime.spawn(async move { order.borrow_mut().push(task) });
        }
        runtime.block_on(async {
            yield_now().await;
            yield_now().await;
        });
        order.take()
    };
    let mut orders: Vec<_> = (0..200).map(order).collect();
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 6, "{orders:?}");
}

#[test]
fn the_future_of_block_on_is_one_of_those_that_a_seed_orders() {
    let root_first = |seed| {
        let runtime = seeded(seed);
        let task = runtime.spawn(async {});
        runtime.block_on(async { !task.is_finished() })
    };
    let firsts = (0..100).filter(|&seed| root_first(seed)).count();
    assert!((1..100).contains(&firsts), "{firsts}");
}

#[test]
fn without_a_seed_tasks_run_in_the_order_in_which_they_become_ready() {
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.seed(), None);
    let order = Rc::new(RefCell::new(Vec::new()));
    for task in 0..100 {
        let order = order.clone();
        runtime.spawn(async move { order.borrow_mut().push(task) });
    }
    runtime.block_on(yield_now());
    assert_eq!(order.take(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_select_in_a_runtime_without_a_seed_is_not_affected_by_one_with_a_seed() {
    async fn branches() -> Vec<u32> {
        let mut branches = Vec::new();
        for _ in 0..20 {
            branches.push(select! {
                () = async {} => 1,
                () = async {} => 2,
            });
        }
        branches
    }
    // Each on a thread of its own, whose generator begins anew.
    let plain = std::thread::spawn(|| runtime::block_on(branches())).join();
    let after_a_seed = std::thread::spawn(|| {
        let seeded = seeded(3).block_on(branches());
        (seeded, runtime::block_on(branches()))
    });
    let (seeded, after) = after_a_seed.join().unwrap();
    let plain = plain.unwrap();
    assert_eq!(plain, after);
    assert_ne!(plain, seeded);
}

/// The numbers of a program and the order of its tasks come from different generators.
#[test]
fn drawing_numbers_does_not_change_the_order_of_tasks() {
    let order = |draws: u32| {
        let order = Rc::new(RefCell::new(Vec::new()));
        seeded(11).block_on(async {
            for task in 0..10 {
                let order = order.clone();
                spawn(async move {
                    for _ in 0..draws {
                        runtime::rng();
                    }
                    order.borrow_mut().push(task);
                });
            }
            yield_now().await;
            yield_now().await;
        });
        order.take()
    };
    assert_eq!(order(0), order(5));
}

/// Notes its number when it is woken.
struct Note {
    number: usize,
    noted: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.noted.lock().unwrap().push(self.number);
    }
}

#[test]
fn on_every_backend_a_seed_decides_the_order_of_the_events_of_one_wait() {
    let order = |backend, seed| {
        let builder = Runtime::builder().backend(backend).seed(seed);
        let builder = builder.start_paused(true).advance_with_io(true);
        builder.build().unwrap().block_on(async {
            let noted = Arc::default();
            let mut pairs: Vec<_> = (0..8).map(|_| UnixStream::pair().unwrap()).collect();
            for (number, (ours, _)) in pairs.iter_mut().enumerate() {
                let noted = Arc::clone(&noted);
                let waker = Waker::from(Arc::new(Note { number, noted }));
                let mut cx = Context::from_waker(&waker);
                let read = Pin::new(ours).poll_read(&mut cx, &mut [0]);
                assert!(read.is_pending());
            }
            // They are registered with the wait.
            sleep(Duration::from_millis(1)).await;
            for (_, theirs) in &mut pairs {
                theirs.write_all(b"x").await.unwrap();
            }
            sleep(Duration::from_millis(1)).await;
            noted.lock().unwrap().clone()
        })
    };
    for &backend in Backend::available() {
        let mut orders: Vec<Vec<usize>> = (0..10).map(|seed| order(backend, seed)).collect();
        assert_eq!(order(backend, 0), orders[0], "{backend}");
        assert!(orders.iter().all(|order| order.len() == 8), "{orders:?}");
        orders.sort();
        orders.dedup();
        assert!(orders.len() > 1, "{backend}: {orders:?}");
    }
}

#[runtime::test(start_paused = true, seed = 0x2a)]
async fn the_attribute_sets_seed_and_clock() {
    let start = runtime::time::Instant::now();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3600));
    let builder = Runtime::builder().seed(42);
    let same = std::thread::spawn(|| {
        let runtime = builder.build().unwrap();
        runtime.block_on(async { runtime::rng().next_u64() })
    });
    assert_eq!(runtime::rng().next_u64(), same.join().unwrap());
}

#[runtime::test(start_paused = false)]
async fn the_attribute_may_say_that_the_clock_runs() {
    runtime::time::pause();
}

/// Run by the test below, with another seed in its environment.
#[runtime::test(seed = 1)]
#[ignore = "the other test starts it"]
async fn fails_with_a_seed() {
    panic!("on purpose");
}

#[test]
fn a_failing_test_prints_its_seed_and_the_variable_replaces_it() {
    let run = |variable: Option<&str>| {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "fails_with_a_seed", "--ignored", "--nocapture"]);
        test.env_remove("RUNTIME_SEED");
        if let Some(seed) = variable {
            test.env("RUNTIME_SEED", seed);
        }
        let output = test.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = run(None);
    assert!(
        text.contains("the seed of the runtime was 1: RUNTIME_SEED=1 sets it"),
        "{text}"
    );
    let text = run(Some("77"));
    assert!(text.contains("RUNTIME_SEED=77 sets it again"), "{text}");
    let text = run(Some("many"));
    let error = "the variable RUNTIME_SEED is \"many\", not a number";
    assert!(text.contains(error), "{text}");
}
