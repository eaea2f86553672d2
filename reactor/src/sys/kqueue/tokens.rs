//! How tokens travel through the kernel.

use std::collections::HashMap;
use std::os::fd::RawFd;

use super::abi::{self, EVFILT_PROC, Filter, Kevent, Queue};
use crate::token::Token;

/// How tokens travel through the kernel: in `udata`, where that holds 64 bits.
///
/// In 32 bits they cannot, so the last token of each descriptor and process is kept here, as `udata`
/// itself is overwritten by each change. The kernel has no event for a descriptor that is closed, so
/// none can be taken for one of the number's next owner.
pub(super) enum Tokens {
    InUdata,
    ByNumber(HashMap<(Numbers, RawFd), Token>),
}

/// What has numbers of its own.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Numbers {
    OfDescriptors,
    OfProcesses,
}

impl Numbers {
    fn of(filter: Filter) -> Numbers {
        match filter {
            EVFILT_PROC => Numbers::OfProcesses,
            _ => Numbers::OfDescriptors,
        }
    }
}

impl Tokens {
    pub(super) fn new(queue: &Queue) -> Tokens {
        match queue.has_wide_udata() {
            true => Tokens::InUdata,
            false => Tokens::ByNumber(HashMap::new()),
        }
    }

    pub(super) fn udata(&mut self, filter: Filter, ident: RawFd, token: Token) -> u64 {
        match self {
            Tokens::InUdata => token.to_bits(),
            Tokens::ByNumber(tokens) => {
                tokens.insert((Numbers::of(filter), ident), token);
                0
            }
        }
    }

    /// The notification token is not in the table: its `udata` is what nobody else's is.
    pub(super) fn token(&self, answer: &Kevent) -> Token {
        let udata = abi::udata(answer);
        match self {
            Tokens::InUdata => Token::from_bits(udata),
            Tokens::ByNumber(tokens) => {
                let number = (Numbers::of(answer.filter), answer.ident as RawFd);
                let known = tokens.get(&number).filter(|_| udata == 0);
                known.copied().unwrap_or(Token::NOTIFY)
            }
        }
    }
}
