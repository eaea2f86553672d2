//! Integration tests of `runtime` with libraries that expect tokio: see the folder `tests`.

/// The guide to other libraries, whose examples need them.
#[cfg(doctest)]
#[doc = include_str!("../../src/guide/libraries.md")]
pub mod libraries {}
