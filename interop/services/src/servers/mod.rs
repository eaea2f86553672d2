//! Servers of other makers, started on loopback in a scratch folder: PostgreSQL, Redis, NATS, D-Bus
//! and S3.
//!
//! A server that is not installed is reported on standard error, and its tests return early. With
//! the variable `RUNTIME_REQUIRE_SERVERS` they fail instead.
//!
//! A shell keeps each server: it waits for the end of its standard input, stops the server then and
//! removes the folder. So no server outlives the tests, however they end.

pub mod dbus;
mod keeper;
pub mod nats;
pub mod postgres;
mod program;
pub mod redis;
pub mod s3;
mod tls;

pub use keeper::Server;
pub use program::{find, find_python_with};
pub use tls::Tls;
