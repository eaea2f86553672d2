//! What sockets take for an address, and how a name becomes one.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{io, iter, option, vec};

use crate::error::{invalid, with_context};
use crate::resolve::{self, Lookup};

/// What can be connected or bound to: an address, several, or a name that leads to some.
///
/// A port is 0 to 65535; what 0 means is up to the operation. An IPv6 address in a string stands in
/// brackets, `"[::1]:80"`, where it may have a scope as a number, `"[fe80::1%2]:80"`.
///
/// Whatever can be read as an IP address is, at once and on this thread. A name is looked up by
/// the runtime, without blocking. This trait is sealed; it is implemented for
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

/// Finds the addresses `host` stands for, in the order in which they should be tried.
///
/// # Errors
/// `InvalidInput` for a string that is no `"host:port"`. What the resolver says of a name it does
/// not know, as `look up example.org:80: ...`; an error if a name has to be looked up and no
/// runtime drives this thread.
///
/// # Cancel safety
/// Dropping the future abandons the lookup: nobody waits for it any more, also not the end of the
/// runtime. One that has not begun is not made; getaddrinfo(3) cannot be stopped, so one that has
/// goes on in its thread, unheard, for as long as the system's resolver is patient.
///
/// # Platform notes
/// What is asked (`/etc/hosts`, DNS, and more), in which order the addresses come and how long that may
/// take is up to the system's getaddrinfo(3).
///
/// # Examples
/// See [`ToSocketAddrs`].
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<SocketAddrs> {
    ResolveAddrs::new(None, host.target(sealed::Internal)).await
}

/// The addresses that [`lookup_host`] found.
#[derive(Debug, Clone)]
pub struct SocketAddrs(AddrIter);

/// One address is the common case, and costs no allocation.
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

/// What a caller asked for, before anybody was asked in turn.
#[derive(Debug)]
pub(crate) enum Target {
    Addrs(SocketAddrs),
    /// A `"host:port"` whose host is a name.
    Name(String),
    Invalid(io::Error),
}

impl Target {
    /// The name that has to be looked up, or nothing.
    pub(crate) fn name(&self) -> String {
        match self {
            Target::Name(name) => name.clone(),
            _ => String::new(),
        }
    }
}

/// Looks for the addresses of a target. A type of its own and no `async fn`, of which every operation
/// that takes an address would be another copy.
pub(crate) enum ResolveAddrs {
    /// Nobody has to be asked. `None` once it was told.
    Known(Option<io::Result<SocketAddrs>>),
    Pending {
        what: Option<&'static str>,
        name: String,
        lookup: Lookup,
    },
}

/// The addresses of `target`, of which there is one at least. `what` names what they are wanted for.
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
                None => unreachable!("it is awaited once"),
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

/// Does `attempt` with one address after the other until one succeeds; fails with the last error.
pub(crate) fn try_each<T>(
    mut addrs: SocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        let Some(addr) = addrs.next() else {
            unreachable!("the last error is returned");
        };
        match attempt(addr) {
            Err(_) if !addrs.is_empty() => {}
            result => return result,
        }
    }
}

/// Reads a `"host:port"`.
fn parse(text: &str) -> Target {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Target::Addrs(addr.into());
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        let text = format!("{text:?} has no port: write \"host:port\"");
        return Target::Invalid(invalid(text));
    };
    // A sign, which parse() takes, is no part of a port.
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

/// Keeps the trait to this crate, so that it can change.
pub(crate) mod sealed {
    use super::Target;

    pub trait Sealed {
        #[doc(hidden)]
        #[allow(private_interfaces, reason = "callable from here only")]
        fn target(&self, internal: Internal) -> Target;
    }

    /// Can be named in this crate only, and so keeps others from calling `target`.
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
    fn addresses_are_read_without_asking_anybody() {
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
    fn what_is_no_address_is_named_in_the_error() {
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
