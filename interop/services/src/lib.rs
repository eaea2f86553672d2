//! Integration tests of `runtime` with clients of databases and other servers: see the folder
//! `tests`. This library starts the servers.

pub mod servers;
