//! The examples, run as their users run them. Cargo builds them before it runs the tests.

mod arguments;
mod chat;
mod echo;
mod http_get;
mod http_server;
mod pipes;
mod proxy;
mod run;
mod support;
mod ten_thousand;
