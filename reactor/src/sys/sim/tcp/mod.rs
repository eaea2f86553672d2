//! TCP: the state machine of a connection, and the queue of a listener.

pub(super) use self::connection::{Change, Connection, Phase, copy_out};
pub(super) use self::timing::Keepalive;

mod connection;
#[cfg(test)]
mod tests;
mod timing;
