//! The sizes of the futures that the macros make.

use super::*;

/// The room that a reference to the branches takes, with its padding on 32-bit machines.
const REFERENCE: usize = size_of::<u64>();

async fn value(value: u64) -> u64 {
    yield_now().await;
    value
}

/// The future of an `async` block adds its state, padded.
fn overhead<F: Future>(_: F, branches: usize) -> usize {
    size_of::<F>() - branches
}

#[test]
fn a_join_takes_the_room_of_its_futures_or_outputs_and_two_references() {
    let one = size_of_val(&value(0)).max(size_of::<u64>()) + REFERENCE;
    let joined = async { std::hint::black_box(join!(biased; value(1), value(2))) };
    assert!(overhead(joined, 2 * one) <= 2 * REFERENCE);
    let joined = async { std::hint::black_box(join!(value(1), value(2), value(3))) };
    assert!(overhead(joined, 3 * one) <= 3 * REFERENCE);
}

#[test]
fn a_select_takes_the_room_of_its_futures_and_two_references_also_while_a_handler_waits() {
    let one = size_of::<Option<u64>>().max(size_of_val(&Some(value(0))));
    let selected = async {
        select! {
            a = value(1) => { yield_now().await; std::hint::black_box(a); }
            b = value(2) => { yield_now().await; std::hint::black_box(b); }
        }
    };
    assert!(overhead(selected, 2 * one) <= 2 * REFERENCE);
}
