//! Scratch buffers, a few per thread.
//!
//! Ten thousand waiting connections need no buffers; only the one that reads does.

use std::cell::RefCell;

/// Enough to empty a socket's usual receive buffer in a few reads.
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;

/// The number of unused buffers that a thread keeps.
const MAX_IDLE: usize = 4;

thread_local! {
    static IDLE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Returns a buffer with arbitrary contents.
pub(crate) fn take() -> Box<[u8]> {
    let idle = IDLE.try_with(|idle| idle.borrow_mut().pop()).ok().flatten();
    idle.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice())
}

/// Keeps a buffer of [`take`] for the next caller, unless the thread has enough of them.
pub(crate) fn give_back(buffer: Box<[u8]>) {
    let _ = IDLE.try_with(|idle| {
        let mut idle = idle.borrow_mut();
        if idle.len() < MAX_IDLE && buffer.len() == BUFFER_BYTES {
            idle.push(buffer);
        }
    });
}

/// Calls `f` with a buffer whose contents are arbitrary. A nested call gets another one.
#[cfg(any(test, feature = "hyper", feature = "process", feature = "tokio-io"))]
pub(crate) fn with_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = take();
    let result = f(&mut buffer);
    give_back(buffer);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_reused_and_a_nested_call_gets_another_one() {
        let address = |buffer: &mut [u8]| buffer.as_ptr() as usize;
        let first = with_buffer(address);
        assert_eq!(first, with_buffer(address));
        with_buffer(|outer| {
            let outer = outer.as_ptr() as usize;
            with_buffer(|inner| assert_ne!(outer, inner.as_ptr() as usize));
        });
    }

    #[test]
    fn a_thread_keeps_a_few_buffers_of_the_usual_size() {
        let taken: Vec<_> = (0..=MAX_IDLE).map(|_| take()).collect();
        give_back(vec![0; 10].into_boxed_slice());
        taken.into_iter().for_each(give_back);
        let idle = || IDLE.with(|idle| idle.borrow().len());
        assert_eq!(idle(), MAX_IDLE);
        assert_eq!(take().len(), BUFFER_BYTES);
        assert_eq!(idle(), MAX_IDLE - 1);
    }
}
