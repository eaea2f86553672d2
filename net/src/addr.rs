//! Conversion of addresses and names to socket addresses.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{io, iter, option, vec};

use crate::error::{invalid, with_context};
use crate::resolve::{self, Lookup};

/// An address to connect or bind to, a list of them, or a name that resolves to some.
///
/// A port is 0 to 65535; the operation defines the meaning of 0. An IPv6 address in a string is
/// enclosed in brackets, `"[::1]:80"`, and may have a numeric scope, `"[fe80::1%2]:80"`.
///
/// A string that is an IP address is parsed on the current thread. A name is resolved by the
/// runtime, without blocking. The trait is sealed. It is implemented for
///
/// * [`SocketAddr`], [`SocketAddrV4`], [`SocketAddrV6`] and `&[SocketAddr]`,
/// * `(IpAddr, u16)`, `(Ipv4Addr, u16)`, `(Ipv6Addr, u16)`,
/// * `(&str, u16)` and `(String, u16)`, a host and a port,
/// * `&str` and `String`, a `"host:port"`,
/// * references to all of these.
///
/// # Examples
/// ```
/// use std::net::Ipv6Addr;
/// use runtime::net::lookup_host;
///
/// # runtime::block_on(async {
/// let mut found = lookup_host("192.0.2.7:80").await?;
/// assert_eq!(found.next(), Some(([192, 0, 2, 7], 80).into()));
/// let mut found = lookup_host((Ipv6Addr::LOCALHOST, 80)).await?;
/// assert_eq!(found.next().unwrap().to_string(), "[::1]:80");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait ToSocketAddrs: sealed::Sealed {}

/// Resolves `host` to its addresses, in the order in which they should be tried.
///
/// # Errors
/// Returns `InvalidInput` if a string is not `"host:port"`; the error of the resolver for an
/// unknown name, as `look up example.org:80: ...`; and `Other` if a name has to be looked up and no
/// runtime drives the current thread. The errors of getaddrinfo(3) are no numbers of the system, so
/// `runtime::io::os_error` returns `None` for them.
///
/// # Cancel safety
/// Dropping the future cancels a lookup that has not begun. getaddrinfo(3) cannot be canceled, so a
/// lookup that has begun continues in its thread until it returns; dropping the runtime does not
/// wait for it.
///
/// # Platform-specific behavior
/// The system's getaddrinfo(3) decides which sources it queries (`/etc/hosts`, DNS and more), the
/// order of the addresses, and how long it takes.
///
/// # Examples
/// See [`ToSocketAddrs`].
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<SocketAddrs> {
    ResolveAddrs::new(None, host.target(sealed::Internal)).await
}

/// An iterator over the addresses that [`lookup_host`] returns.
#[derive(Debug, Clone)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct SocketAddrs(AddrIter);

/// A single address, the common case, costs no allocation.
type AddrIter = iter::Chain<option::IntoIter<SocketAddr>, vec::IntoIter<SocketAddr>>;

impl SocketAddrs {
    fn is_empty(&self) -> bool {
        self.0.size_hint().0 == 0
    }
}

impl Iterator for SocketAddrs {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl From<SocketAddr> for SocketAddrs {
    fn from(addr: SocketAddr) -> SocketAddrs {
        SocketAddrs(Some(addr).into_iter().chain(Vec::new()))
    }
}

impl From<Vec<SocketAddr>> for SocketAddrs {
    fn from(addrs: Vec<SocketAddr>) -> SocketAddrs {
        SocketAddrs(None.into_iter().chain(addrs))
    }
}

/// The argument of an operation, before a name in it is resolved.
#[derive(Debug)]
pub(crate) enum Target {
    Addrs(SocketAddrs),
    /// A `"host:port"` whose host is a name.
    Name(String),
    Invalid(io::Error),
}

impl Target {
    /// Returns the name that has to be looked up, or an empty string.
    pub(crate) fn name(&self) -> String {
        match self {
            Target::Name(name) => name.clone(),
            _ => String::new(),
        }
    }
}

/// The future of the addresses of a target. A type of its own and not an `async fn`, of which every
/// operation with an address would contain another copy.
pub(crate) enum ResolveAddrs {
    /// No lookup is needed. `None` once it has completed.
    Known(Option<io::Result<SocketAddrs>>),
    /// A lookup is under way.
    Pending {
        what: Option<&'static str>,
        name: String,
        lookup: Lookup,
    },
}

/// Resolves `target` to at least one address. `what` names the operation in errors.
pub(crate) fn resolve_nonempty(what: &'static str, target: Target) -> ResolveAddrs {
    ResolveAddrs::new(Some(what), target)
}

impl ResolveAddrs {
    fn new(what: Option<&'static str>, target: Target) -> ResolveAddrs {
        let error = match target {
            Target::Name(name) => {
                return match resolve::begin(&name) {
                    Ok(lookup) => ResolveAddrs::Pending { what, name, lookup },
                    Err(e) => {
                        ResolveAddrs::Known(Some(Err(with_context(format!("look up {name}"), e))))
                    }
                };
            }
            Target::Addrs(addrs) if what.is_none() || !addrs.is_empty() => {
                return ResolveAddrs::Known(Some(Ok(addrs)));
            }
            Target::Addrs(_) => invalid("the list of addresses is empty".to_owned()),
            Target::Invalid(error) => error,
        };
        ResolveAddrs::Known(Some(Err(match what {
            Some(what) => with_context(what, error),
            None => error,
        })))
    }
}

impl Future for ResolveAddrs {
    type Output = io::Result<SocketAddrs>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddrs>> {
        Poll::Ready(match &mut *self {
            ResolveAddrs::Known(found) => match found.take() {
                Some(found) => found,
                None => unreachable!("polled again after it completed"),
            },
            ResolveAddrs::Pending { what, name, lookup } => {
                match (ready!(lookup.as_mut().poll(cx)), what) {
                    (Err(e), _) => Err(with_context(format!("look up {name}"), e)),
                    (Ok(addrs), Some(what)) if addrs.is_empty() => {
                        let text = format!("{what} {name}: the name has no addresses");
                        Err(invalid(text))
                    }
                    (Ok(addrs), _) => Ok(addrs.into()),
                }
            }
        })
    }
}

/// Calls `attempt` with one address after the other until one succeeds, and returns the last error.
pub(crate) fn try_each<T>(
    mut addrs: SocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        let Some(addr) = addrs.next() else {
            unreachable!("the loop returns at the last address");
        };
        match attempt(addr) {
            Err(_) if !addrs.is_empty() => {}
            result => return result,
        }
    }
}

/// Parses a `"host:port"`.
fn parse(text: &str) -> Target {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Target::Addrs(addr.into());
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let text = format!("{text:?} has no port: write \"host:port\"");
        return Target::Invalid(invalid(text));
    };
    // `parse` would accept a sign.
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits => host_and_port(host, port),
        _ => Target::Invalid(invalid(format!(
            "invalid port value in {text:?}: a port is a number from 0 to 65535"
        ))),
    }
}

fn host_and_port(host: &str, port: u16) -> Target {
    match host.parse::<IpAddr>() {
        Ok(ip) => Target::Addrs(SocketAddr::new(ip, port).into()),
        Err(_) if host.is_empty() => {
            let text = format!("\":{port}\" has no host: write \"host:port\"");
            Target::Invalid(invalid(text))
        }
        Err(_) => Target::Name(format!("{host}:{port}")),
    }
}

/// Parses `data` as `"host:port"` and compares the result with std's.
///
/// # Panics
/// Panics if an address that std parses is not found, or if a name or port changes.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let std_addr = text.parse::<SocketAddr>().ok();
    match (parse(text), std_addr) {
        (Target::Addrs(mut addrs), Some(addr)) => assert_eq!(addrs.next(), Some(addr)),
        (Target::Addrs(mut addrs), None) => {
            // An IPv6 address without brackets.
            let addr = addrs.next().unwrap();
            let (host, port) = text.rsplit_once(':').unwrap();
            assert_eq!(addr.ip(), host.parse::<IpAddr>().unwrap());
            assert_eq!(addr.port(), port.parse::<u16>().unwrap());
        }
        (target, Some(addr)) => panic!("{addr} is {}", target.name()),
        (Target::Name(name), None) => {
            let (host, port) = name.rsplit_once(':').unwrap();
            let (host_before, port_before) = text.rsplit_once(':').unwrap();
            assert!(!host.is_empty());
            assert_eq!(host, host_before);
            assert_eq!(port.parse::<u16>().ok(), port_before.parse::<u16>().ok());
        }
        (Target::Invalid(error), None) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}

/// Seals the trait, so that it may change.
pub(crate) mod sealed {
    use super::Target;

    pub trait Sealed {
        #[doc(hidden)]
        #[allow(private_interfaces, reason = "callable from here only")]
        fn target(&self, internal: Internal) -> Target;
    }

    /// A token that only this crate can name, so that only this crate calls `target`.
    #[derive(Debug)]
    pub struct Internal;
}

macro_rules! to_socket_addrs {
    ($($type:ty: $self:ident => $target:expr;)*) => {$(
        impl ToSocketAddrs for $type {}
        impl sealed::Sealed for $type {
            #[allow(private_interfaces, reason = "callable from here only")]
            fn target(&$self, _: sealed::Internal) -> Target {
                $target
            }
        }
    )*};
}

to_socket_addrs! {
    SocketAddr: self => Target::Addrs((*self).into());
    SocketAddrV4: self => Target::Addrs(SocketAddr::V4(*self).into());
    SocketAddrV6: self => Target::Addrs(SocketAddr::V6(*self).into());
    (IpAddr, u16): self => Target::Addrs(SocketAddr::from(*self).into());
    (Ipv4Addr, u16): self => Target::Addrs(SocketAddr::from(*self).into());
    (Ipv6Addr, u16): self => Target::Addrs(SocketAddr::from(*self).into());
    [SocketAddr]: self => Target::Addrs(self.to_vec().into());
    str: self => parse(self);
    String: self => parse(self);
    (&str, u16): self => host_and_port(self.0, self.1);
    (String, u16): self => host_and_port(&self.0, self.1);
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: ToSocketAddrs + ?Sized> sealed::Sealed for &T {
    #[allow(private_interfaces, reason = "callable from here only")]
    fn target(&self, internal: sealed::Internal) -> Target {
        (**self).target(internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addrs(target: Target) -> Vec<String> {
        match target {
            Target::Addrs(addrs) => addrs.map(|a| a.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_are_parsed_without_a_lookup() {
        assert_eq!(addrs(parse("127.0.0.1:80")), ["127.0.0.1:80"]);
        assert_eq!(addrs(parse("[::1]:80")), ["[::1]:80"]);
        assert_eq!(addrs(host_and_port("::1", 80)), ["[::1]:80"]);
        assert_eq!(addrs(host_and_port("10.0.0.1", 0)), ["10.0.0.1:0"]);
    }

    #[test]
    fn names_are_left_to_the_resolver_with_their_port() {
        for target in [parse("example.org:80"), host_and_port("example.org", 80)] {
            assert!(matches!(target, Target::Name(name) if name == "example.org:80"));
        }
    }

    #[test]
    fn a_string_that_is_not_an_address_is_in_the_error() {
        for text in [
            "localhost",
            "",
            "example.org:http",
            "example.org:65536",
            "a:+80",
        ] {
            match parse(text) {
                Target::Invalid(e) => {
                    assert_eq!(e.kind(), io::ErrorKind::InvalidInput);
                    assert!(e.to_string().contains(&format!("{text:?}")), "{e}");
                }
                other => panic!("{text:?} gives {other:?}"),
            }
        }
        assert!(matches!(parse(":80"), Target::Invalid(_)));
    }
}
