//! The examples, run as child processes. Cargo builds them before it runs the tests.

mod arguments;
mod chat;
mod custom_fd;
mod echo;
#[cfg(not(target_vendor = "apple"))] // poll(2) cannot watch a kqueue there
mod foreign_loop;
mod http_get;
mod http_server;
mod per_core;
mod pipes;
mod proxy;
mod run;
mod support;
mod ten_thousand;
#[cfg(target_os = "linux")]
mod threads;
mod udp_echo;
