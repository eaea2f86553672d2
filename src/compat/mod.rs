//! Adapters to the traits of other libraries.
//!
//! Each module needs the feature that is named there.

#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "tokio-io")]
pub mod tokio;
