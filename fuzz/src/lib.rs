//! The bodies of the fuzz targets: each takes any bytes and panics if something is wrong.
//!
//! Run one with `cargo +nightly fuzz run timers` in this folder, or all of them on pseudo-random
//! bytes, without a fuzzer, with `RUSTFLAGS="--cfg fuzzing" cargo test --no-default-features`.

#![cfg(fuzzing)]

mod copying;
mod cursor;
mod tasks;

pub use copying::copying;
pub use cursor::cursor;
pub use runtime_net::fuzzing::{addresses, control};
pub use runtime_reactor::fuzzing::{messages, timers};
pub use tasks::tasks;
