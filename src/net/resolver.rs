//! Looking up names where it may block.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use runtime_net::Resolve;

/// The system's resolver, on the blocking pool.
#[derive(Debug)]
pub(crate) struct BlockingResolver;

impl Resolve for BlockingResolver {
    fn resolve(
        &self,
        name: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
        let lookup = runtime_executor::spawn_blocking(move || runtime_net::resolve_blocking(&name));
        Box::pin(async { lookup.await? })
    }
}
