//! Integration tests of `runtime` with libraries that expect tokio, in the folder `tests`, and
//! programs that use such libraries, in the folder `examples`.

mod arguments;

pub use arguments::Arguments;

/// The guide to other libraries, whose examples need them.
#[cfg(doctest)]
#[doc = include_str!("../../src/guide/libraries.md")]
pub mod libraries {}

/// The guide to HTTP services, whose examples need them too.
#[cfg(doctest)]
#[doc = include_str!("../../src/guide/http_services.md")]
pub mod http_services {}
