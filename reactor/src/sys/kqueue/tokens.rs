//! The representation of tokens in the kernel's events.

use std::collections::HashMap;
use std::os::fd::RawFd;

use super::abi::{self, EVFILT_PROC, Filter, Kevent, Queue};
use crate::token::Token;

/// The mapping from events to tokens.
///
/// A `udata` of 64 bits holds the token itself. One of 32 bits cannot, so a table keeps the last
/// token of each descriptor and process. It stays correct because every change overwrites `udata`
/// in the kernel too, and because the kernel has no event for a closed descriptor that could be
/// taken for one of the number's next owner.
pub(super) enum Tokens {
    InUdata,
    ByIdent(HashMap<(IdentKind, RawFd), Token>),
}

/// The meaning of an `ident`: descriptors and processes are numbered separately.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum IdentKind {
    Descriptor,
    Process,
}

impl IdentKind {
    fn of(filter: Filter) -> IdentKind {
        match filter {
            EVFILT_PROC => IdentKind::Process,
            _ => IdentKind::Descriptor,
        }
    }
}

impl Tokens {
    pub(super) fn new(queue: &Queue) -> Tokens {
        if queue.has_wide_udata() {
            Tokens::InUdata
        } else {
            Tokens::ByIdent(HashMap::new())
        }
    }

    /// Returns the `udata` of a change that registers `token`.
    pub(super) fn udata(&mut self, filter: Filter, ident: RawFd, token: Token) -> u64 {
        match self {
            Tokens::InUdata => token.to_bits(),
            Tokens::ByIdent(tokens) => {
                tokens.insert((IdentKind::of(filter), ident), token);
                0
            }
        }
    }

    /// Returns the token of an event. The notifier is not in the table: it is the only registration
    /// whose `udata` is not 0.
    pub(super) fn token(&self, kevent: &Kevent) -> Token {
        let udata = abi::udata(kevent);
        match self {
            Tokens::InUdata => Token::from_bits(udata),
            Tokens::ByIdent(tokens) => {
                let ident = (IdentKind::of(kevent.filter), kevent.ident as RawFd);
                let known = tokens.get(&ident).filter(|_| udata == 0);
                known.copied().unwrap_or(Token::NOTIFY)
            }
        }
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;
    use crate::sys::kqueue::abi::{EVFILT_READ, change};
    use crate::sys::kqueue::tests::model::Flavor;

    const ONE: Token = Token::new(1, 7);
    const TWO: Token = Token::new(2, 7);

    #[test]
    fn a_process_and_a_descriptor_with_one_number_have_separate_tokens_in_32_bits() {
        let narrow = Flavor {
            udata_is_32_bit: true,
            ..Flavor::FREEBSD
        };
        let mut tokens = Tokens::new(&narrow.with(Queue::open).unwrap());
        let known = [(EVFILT_READ, ONE), (EVFILT_PROC, TWO)];
        let kevents =
            known.map(|(filter, token)| change(7, filter, 0, 0, tokens.udata(filter, 7, token)));
        assert_eq!(kevents.map(|kevent| tokens.token(&kevent)), [ONE, TWO]);
    }
}
