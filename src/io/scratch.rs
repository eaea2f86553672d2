//! A scratch buffer per thread.
//!
//! Ten thousand waiting connections need no buffers; only the one that reads does.

use std::cell::Cell;

/// Enough to empty a socket's usual receive buffer in a few reads.
const BUFFER_BYTES: usize = 64 * 1024;

thread_local! {
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Calls `f` with the thread's buffer, whose contents are arbitrary. A nested call, and one while
/// the thread is being torn down, gets a new buffer.
pub(crate) fn with_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    let cached = BUFFER.try_with(Cell::take).ok().flatten();
    let mut buffer = cached.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
    let result = f(&mut buffer);
    let _ = BUFFER.try_with(|cell| cell.set(Some(buffer)));
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
}
