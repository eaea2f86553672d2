//! Each target on pseudo-random bytes, without a fuzzer.

#![cfg(fuzzing)]

/// Calls a target with inputs of all lengths up to `longest`.
fn run(target: fn(&[u8]), longest: usize) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for length in 0..longest {
        // Few different values find repetitions, many find the limits.
        for mask in [0x07, 0x3f, 0xff] {
            let input: Vec<u8> = (0..length).map(|_| (next() >> 32) as u8 & mask).collect();
            target(&input);
        }
    }
}

#[test]
fn addresses_are_those_of_std() {
    run(uniloop_fuzz::addresses, 60);
    // Bytes of addresses are rarely found by chance.
    let letters = b"0123456789abcdef.:[]%-+x";
    fn spell(letters: &[u8], input: &[u8]) -> Vec<u8> {
        let letter = |byte: &u8| letters[usize::from(*byte) % letters.len()];
        input.iter().map(letter).collect()
    }
    let mut state = 1_u32;
    for length in 0..3_000 {
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let input: Vec<u8> = (0..length % 24).map(next).collect();
        uniloop_fuzz::addresses(&spell(letters, &input));
    }
}

#[test]
fn control_messages_are_read_within_their_bounds() {
    run(uniloop_fuzz::control, 300);
}

#[test]
fn copies_are_exact_prefixes() {
    run(uniloop_fuzz::copying, 100);
}

#[test]
fn the_cursor_agrees_with_that_of_std() {
    run(uniloop_fuzz::cursor, 500);
}

#[test]
fn no_message_is_lost_and_few_repetitions_are_kept() {
    run(uniloop_fuzz::messages, 1_000);
}

#[test]
fn tasks_end_and_leave_nothing_behind() {
    run(uniloop_fuzz::tasks, 200);
}

#[test]
fn timers_agree_with_a_sorted_map() {
    run(uniloop_fuzz::timers, 600);
}
