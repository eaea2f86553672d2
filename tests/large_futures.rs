//! Large futures and closures on stacks of two mebibytes, the default of threads.
//!
//! They have a mebibyte, but a little less without optimization: there the caller has one copy on
//! its stack, and passing it on takes another.

use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use runtime::Runtime;
use runtime::task::{Builder, JoinSet};

const MIB: usize = 1 << 20;
const LARGE: usize = if cfg!(debug_assertions) {
    MIB / 16 * 15
} else {
    MIB
};

/// A large future, of which nothing but the state is initialized.
struct Large<T = ()> {
    polls: u8,
    room: MaybeUninit<[u8; LARGE]>,
    _held: T,
}

impl<T: Unpin> Future for Large<T> {
    type Output = u8;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u8> {
        self.polls += 1;
        std::hint::black_box(&mut self.room);
        if self.polls == 3 {
            return Poll::Ready(self.polls);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn large() -> Large {
    large_with(|| ())
}

#[inline(never)]
fn large_with<T>(held: fn() -> T) -> Large<T> {
    Large {
        polls: 0,
        room: MaybeUninit::uninit(),
        _held: held(),
    }
}

fn large_closure() -> impl FnOnce() -> u8 + Send {
    let room = MaybeUninit::<[u8; LARGE]>::uninit();
    move || {
        std::hint::black_box(&room);
        3
    }
}

fn on_two_mebibytes(f: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(2 * MIB).spawn(f);
    thread.unwrap().join().unwrap();
}

#[test]
fn the_future_of_block_on_may_be_large() {
    on_two_mebibytes(|| assert_eq!(runtime::block_on(large()), 3));
    on_two_mebibytes(|| {
        let runtime = Runtime::new().unwrap();
        assert_eq!(runtime.block_on(large()), 3);
    });
}

#[test]
fn every_way_to_spawn_takes_a_large_future() {
    on_two_mebibytes(|| {
        let runtime = Runtime::new().unwrap();
        let task = runtime.spawn(large());
        assert_eq!(runtime.block_on(task).unwrap(), 3);
    });
    on_two_mebibytes(|| {
        runtime::block_on(async {
            assert_eq!(runtime::spawn(large()).await.unwrap(), 3);
        });
    });
    on_two_mebibytes(|| {
        runtime::block_on(async {
            let named = Builder::new().name("large").spawn(large());
            assert_eq!(named.await.unwrap(), 3);
        });
    });
    on_two_mebibytes(|| {
        runtime::block_on(async {
            let task = runtime::Handle::current().spawn(large());
            assert_eq!(task.await.unwrap(), 3);
        });
    });
    on_two_mebibytes(|| {
        runtime::block_on(async {
            let mut set = JoinSet::new();
            set.spawn(large());
            assert_eq!(set.join_next().await.unwrap().unwrap(), 3);
        });
    });
}

#[test]
fn another_thread_spawns_a_large_future_and_blocks_on_one() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let far = thread::spawn(move || {
        let spawner = handle.clone();
        on_two_mebibytes(move || assert_eq!(handle.block_on(large()).unwrap(), 3));
        on_two_mebibytes(move || drop(spawner.spawn(large())));
    });
    runtime.block_on(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if far.is_finished() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    far.join().unwrap();
}

#[test]
fn a_large_closure_runs_on_the_blocking_pool() {
    on_two_mebibytes(|| {
        runtime::block_on(async {
            let job = runtime::spawn_blocking(large_closure());
            assert_eq!(job.await.unwrap(), 3);
        });
    });
}

#[test]
fn a_large_future_that_is_spawned_too_late_is_dropped() {
    on_two_mebibytes(|| {
        let handle = Runtime::new().unwrap().handle().clone();
        let task = handle.spawn(large());
        assert!(runtime::block_on(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn a_large_root_future_is_dropped_inside_its_runtime() {
    struct SpawnsOnDrop;
    impl Drop for SpawnsOnDrop {
        fn drop(&mut self) {
            runtime::spawn(async {});
        }
    }
    on_two_mebibytes(|| assert_eq!(runtime::block_on(large_with(|| SpawnsOnDrop)), 3));
}
