//! One buffer a thread, lent to whoever has something to put into it just now.
//!
//! Ten thousand connections that wait need no buffers; only the one that reads does.

use std::cell::Cell;

/// Enough to empty a socket's usual receive buffer in a few reads.
const LENGTH_BYTES: usize = 64 * 1024;

thread_local! {
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Calls `f` with the thread's buffer, whose contents are anything. If it is lent out already, or
/// the thread is being torn down, there is another one.
pub(crate) fn with_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    let lent = BUFFER.try_with(Cell::take).ok().flatten();
    let mut buffer = lent.unwrap_or_else(|| vec![0; LENGTH_BYTES].into_boxed_slice());
    let result = f(&mut buffer);
    let _ = BUFFER.try_with(|place| place.set(Some(buffer)));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_lent_again_and_a_second_borrower_gets_another() {
        let address = |buffer: &mut [u8]| buffer.as_ptr() as usize;
        let first = with_buffer(address);
        assert_eq!(first, with_buffer(address));
        with_buffer(|outer| {
            let outer = outer.as_ptr() as usize;
            with_buffer(|inner| assert_ne!(outer, inner.as_ptr() as usize));
        });
    }
}
