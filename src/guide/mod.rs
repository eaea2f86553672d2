//! Guides: moving from another runtime, using and writing libraries, and testing.
//!
//! * [`from_tokio`]: names, differences, and a program in both forms.
//! * [`from_smol`]: the same for smol.
//! * [`libraries`]: the requirements of axum, reqwest, hyper and others, and the remedy for the
//!   panic *there is no reactor running*.
//! * [`http_services`]: servers and clients of HTTP, with TLS, WebSockets, limits and shutdown.
//! * [`databases`]: PostgreSQL, Redis, SQLite, pools, timeouts, gRPC, NATS, D-Bus and S3.
//! * [`writing_libraries`]: a library that depends on no runtime.
//! * [`testing`]: tests of asynchronous code.

#[doc = include_str!("from_tokio.md")]
pub mod from_tokio {}

#[doc = include_str!("from_smol.md")]
pub mod from_smol {}

// Its examples are compiled by the package `interop`, which has the libraries.
#[cfg_attr(not(doctest), doc = include_str!("libraries.md"))]
#[cfg_attr(doctest, doc = "Other libraries.")]
pub mod libraries {}

// Its examples are compiled there too.
#[cfg_attr(not(doctest), doc = include_str!("http_services.md"))]
#[cfg_attr(doctest, doc = "HTTP services.")]
pub mod http_services {}

// Its examples are compiled by the package `interop-services`, which has the libraries.
#[cfg_attr(not(doctest), doc = include_str!("databases.md"))]
#[cfg_attr(doctest, doc = "Databases.")]
pub mod databases {}

#[doc = include_str!("writing_libraries.md")]
pub mod writing_libraries {}

#[doc = include_str!("testing.md")]
pub mod testing {}
