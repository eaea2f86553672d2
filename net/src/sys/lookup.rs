//! Lookups of names on a simulated host.

/// Returns the addresses of a name, a `"host:port"`, that the simulated kernel knows. Returns
/// `None` if the thread is not on a simulated host, or if no host has the name.
#[cfg(feature = "sim")]
pub(crate) fn simulated(name: &str) -> Option<Vec<std::net::SocketAddr>> {
    let host = runtime_reactor::sim::current_host()?;
    let (name, port) = name.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let found = host.resolve(name).into_iter();
    let found: Vec<_> = found
        .map(|ip| std::net::SocketAddr::new(ip, port))
        .collect();
    (!found.is_empty()).then_some(found)
}
