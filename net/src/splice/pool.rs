//! A pool of empty pipes per thread.
//!
//! A relay holds a pipe only while there are bytes in it, so a few pipes serve many connections.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use runtime_reactor::internal::forks;

use crate::sys::{pipe, splice};

/// The number of empty pipes that a thread keeps.
const MAX_IDLE: usize = 4;

/// The number of pipes that the relays of a thread hold together, empty ones included. Relays in
/// excess of it copy. With their capacity it is a quarter of the pages that the pipes of a user may
/// have without privileges (pipe(7): 16,384), and few of the descriptors of a process.
pub(super) const MAX_PIPES: usize = 32;

/// The requested capacity. Each call moves at most a page for every place in the pipe, 64 KiB by
/// default; the eight times as many calls would cost as much as the moving itself.
const CAPACITY: libc::c_int = 512 << 10;

/// A pipe that no other process writes to.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) reader: File,
    pub(super) writer: OwnedFd,
    /// The pool that counts the pipe.
    counter: Arc<()>,
    forks: u32,
}

struct Pool {
    idle: Vec<Pipe>,
    /// Has a clone in every pipe of this thread, wherever the pipe is dropped.
    counter: Arc<()>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool {
        idle: Vec::new(),
        counter: Arc::new(()),
    });
}

/// Returns an empty pipe; `None` if the thread has its maximum of pipes, if it is being torn down,
/// or if there are no descriptors left.
pub(super) fn take() -> Option<Pipe> {
    let taken = POOL.try_with(|pool| {
        let pool = &mut *pool.borrow_mut();
        // The parent of this process uses the pipes from before the fork.
        while let Some(pipe) = pool.idle.pop() {
            if pipe.forks == forks() {
                return Some(pipe);
            }
        }
        if Arc::strong_count(&pool.counter) > MAX_PIPES {
            return None;
        }
        Pipe::new(&pool.counter).ok()
    });
    taken.ok().flatten()
}

/// Returns an empty pipe to the pool. A pipe of another thread or process, and one too many, is
/// closed.
pub(super) fn give_back(pipe: Pipe) {
    let _ = POOL.try_with(|pool| {
        let pool = &mut *pool.borrow_mut();
        let is_own = Arc::ptr_eq(&pipe.counter, &pool.counter) && pipe.forks == forks();
        if is_own && pool.idle.len() < MAX_IDLE {
            pool.idle.push(pipe);
        }
    });
}

impl Pipe {
    fn new(counter: &Arc<()>) -> io::Result<Pipe> {
        let (reader, writer) = pipe::pipe_real()?;
        splice::request_capacity(writer.as_fd(), CAPACITY);
        Ok(Pipe {
            reader: reader.into(),
            writer,
            counter: counter.clone(),
            forks: forks(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_pipe_given_back_is_taken_again_and_the_number_of_pipes_is_bounded() {
        let first = take().unwrap();
        let number = first.reader.as_raw_fd();
        give_back(first);
        let mut held = vec![take().unwrap()];
        assert_eq!(held[0].reader.as_raw_fd(), number);
        held.extend((1..MAX_PIPES).map(|_| take().unwrap()));
        assert!(take().is_none());
        // Dropped on another thread, it counts no more.
        let other = held.pop().unwrap();
        std::thread::spawn(|| give_back(other)).join().unwrap();
        held.push(take().unwrap());
        held.drain(..).for_each(give_back);
        POOL.with(|pool| assert_eq!(pool.borrow().idle.len(), MAX_IDLE));
    }
    #[test]
    fn a_pipe_from_before_a_fork_is_not_used_again() {
        let mut before = take().unwrap();
        before.forks = before.forks.wrapping_add(1);
        give_back(before);
        POOL.with(|pool| assert!(pool.borrow().idle.is_empty()));

        let mut before = take().unwrap();
        before.forks = before.forks.wrapping_add(1);
        POOL.with(|pool| pool.borrow_mut().idle.push(before));
        assert_eq!(take().unwrap().forks, forks());
        POOL.with(|pool| assert!(pool.borrow().idle.is_empty()));
    }
}
