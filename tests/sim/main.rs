//! Simulated worlds: hosts, time, faults, and the search for seeds that fail.

mod explore;
mod failures;
mod handle;
mod hosts;
mod hyper;
mod network;
mod refused;
mod support;
mod time;
