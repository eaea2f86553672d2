//! Libraries, unchanged, in simulated worlds.

mod quinn;
mod tls;
