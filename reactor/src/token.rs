//! The name under which the kernel knows a registration.

/// Names a registration in the 64 bits that the kernel returns with each event: the index of its
/// slot in the slab, and a generation that distinguishes its occupants. An event for an earlier
/// occupant is stale and matches no registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    /// The token of a selector's own notification descriptor; no registration ever has it.
    pub(crate) const NOTIFY: Token = Token::new(u32::MAX, u32::MAX);

    pub(crate) const fn new(index: u32, generation: u32) -> Token {
        Token { index, generation }
    }

    /// Packs the generation into the upper half and the index into the lower half.
    pub(crate) const fn to_bits(self) -> u64 {
        (self.generation as u64) << u32::BITS | self.index as u64
    }

    pub(crate) const fn from_bits(bits: u64) -> Token {
        Token::new(bits as u32, (bits >> u32::BITS) as u32)
    }

    /// Returns the index in the slab, which is small because slots are reused.
    pub(crate) const fn index(self) -> usize {
        self.index as usize
    }

    pub(crate) const fn generation(self) -> u32 {
        self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_kernels_64_bits() {
        let token = Token::new(0xdead_beef, 0xfeed_f00d);
        assert_eq!(Token::from_bits(token.to_bits()), token);
        assert_eq!(Token::NOTIFY.to_bits(), u64::MAX);
    }
}
