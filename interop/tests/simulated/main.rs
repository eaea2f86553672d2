//! Libraries, unchanged, in simulated worlds.

mod tls;
