//! A hash that is the same on every machine and in every build.

use std::time::Duration;

/// A 64-bit hash of a sequence of numbers and texts, for comparing traces. Not for secrets, and not
/// a defense against crafted input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StableHash(u64);

impl StableHash {
    pub(super) fn new() -> StableHash {
        StableHash(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn finish(self) -> u64 {
        self.0
    }

    pub(super) fn number(&mut self, number: u64) {
        // FNV-1a on words instead of bytes. The shift carries high bits down, which the
        // multiplication alone does not.
        let mixed = (self.0 ^ number).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }

    /// Adds a text. Its length is added too, so that "ab", "c" differs from "a", "bc".
    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    pub(super) fn time(&mut self, time: Duration) {
        self.number(time.as_secs());
        self.number(u64::from(time.subsec_nanos()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> u64 {
        let mut hash = StableHash::new();
        for text in texts {
            hash.text(text);
        }
        hash.finish()
    }

    #[test]
    fn the_hash_of_a_text_never_changes() {
        // Written down so that hashes of different builds and versions can be compared.
        assert_eq!(of(&["one seed", "one history"]), 0xe087_db4b_d397_8da3);
    }

    #[test]
    fn the_borders_between_texts_count() {
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["ab\0"]), of(&["ab"]));
        assert_ne!(of(&[""]), of(&[]));
    }

    #[test]
    fn the_order_of_numbers_counts() {
        let hash = |numbers: [u64; 2]| {
            let mut hash = StableHash::new();
            for number in numbers {
                hash.number(number);
            }
            hash.finish()
        };
        assert_ne!(hash([1, 2]), hash([2, 1]));
        assert_ne!(hash([1 << 63, 0]), hash([0, 1 << 63]));
    }
}
