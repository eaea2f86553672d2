//! Integration tests of `runtime` with clients of databases and other servers: see the folder
//! `tests`. This library starts the servers.

pub mod servers;

/// The guide to databases, whose examples need the libraries.
#[cfg(doctest)]
#[doc = include_str!("../../../src/guide/databases.md")]
pub mod databases {}
