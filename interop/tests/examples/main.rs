//! The examples of this package, as programs of their own, with peers of other makers.

mod axum_app;
mod axum_compare;
mod http3;
mod https;
mod quic;
mod rc_service;
mod support;
