//! Tasks that spawn, wake, abort, join and detach each other, in an order that the input chooses.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use runtime::{JoinHandle, Runtime};

/// The state that all tasks share.
#[derive(Default)]
struct World {
    input: Cell<usize>,
    wakers: RefCell<Vec<Waker>>,
    handles: RefCell<Vec<JoinHandle<u8>>>,
    spawned: Cell<u32>,
    /// The number of futures of tasks that exist.
    alive: Cell<i32>,
}

struct Alive(Rc<World>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.set(self.0.alive.get() - 1);
    }
}

impl World {
    fn next(&self, data: &[u8]) -> Option<u8> {
        let at = self.input.replace(self.input.get() + 1);
        data.get(at).copied()
    }
}

/// Spawns a task that performs one operation for each byte it takes, until it finds none.
fn spawn(world: &Rc<World>, data: &Rc<[u8]>) -> JoinHandle<u8> {
    world.spawned.set(world.spawned.get() + 1);
    world.alive.set(world.alive.get() + 1);
    let alive = Alive(world.clone());
    let data = data.clone();
    runtime::spawn(async move {
        let world = &alive.0;
        let mut done = 0_u8;
        while let Some(byte) = world.next(&data) {
            done = done.wrapping_add(1);
            let chosen = usize::from(byte >> 3);
            let take = || {
                let mut handles = world.handles.borrow_mut();
                let len = handles.len();
                (len > 0).then(|| handles.swap_remove(chosen % len))
            };
            match byte % 8 {
                0 | 1 if world.spawned.get() < 200 => {
                    let handle = spawn(world, &data);
                    world.handles.borrow_mut().push(handle);
                }
                2 => runtime::task::yield_now().await,
                3 => {
                    // Waits for another task to wake it; all are woken in the end.
                    let mut waited = false;
                    poll_fn(|cx| {
                        if waited {
                            return Poll::Ready(());
                        }
                        waited = true;
                        world.wakers.borrow_mut().push(cx.waker().clone());
                        Poll::Pending
                    })
                    .await;
                }
                4 => {
                    let waker = world.wakers.borrow_mut().pop();
                    waker.inspect(Waker::wake_by_ref);
                }
                5 => drop(take()),
                6 => {
                    if let Some(handle) = take() {
                        handle.abort();
                        world.handles.borrow_mut().push(handle);
                    }
                }
                7 => {
                    // Not one that may wait for this task in turn: polled once.
                    if let Some(mut handle) = take() {
                        let joined =
                            poll_fn(|cx| Poll::Ready(Pin::new(&mut handle).poll(cx).is_ready()));
                        if !joined.await {
                            world.handles.borrow_mut().push(handle);
                        }
                    }
                }
                _ => return done,
            }
        }
        done
    })
}

/// Runs the tasks that `data` describes to their end.
///
/// # Panics
/// Panics if a task is lost, or if one exists after the end.
pub fn tasks(data: &[u8]) {
    let data: Rc<[u8]> = data.into();
    let world = Rc::new(World::default());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let first = spawn(&world, &data);
        world.handles.borrow_mut().push(first);
        // A task that is detached or aborted ends too, once it is woken.
        while world.alive.get() > 0 {
            for waker in world.wakers.take() {
                waker.wake();
            }
            runtime::task::yield_now().await;
        }
        for handle in world.handles.take() {
            assert!(handle.is_finished());
            if let Err(error) = handle.await {
                assert!(error.is_cancelled());
            }
        }
    });
    assert_eq!(runtime.stats().registrations, 0);
    drop(runtime);
    assert_eq!(world.alive.get(), 0);
    assert_eq!(Rc::strong_count(&world), 1);
}
