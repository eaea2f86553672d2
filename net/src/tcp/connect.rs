//! Connecting: resolving the name, racing the addresses, and waiting for the system.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{self, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;

use runtime_reactor::{Direction, Source, Timer};
use socket2::{Domain, Socket};

use super::race::{Race, interleave_families};
use crate::addr::{SocketAddrs, Target, resolve_nonempty};
use crate::error::with_context;
use crate::sys::{names, tcp};

/// A longer limit never expires: now plus the limit has to stay a valid `Instant`.
const MAX_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Connects to the first address of `target` that answers.
pub(super) async fn connect(target: Target) -> io::Result<Source<net::TcpStream>> {
    let mut addrs = resolve_nonempty("connect to", target).await?;
    match (addrs.next(), addrs.next()) {
        // The common case needs no race.
        (Some(only), None) => attempt(only)
            .await
            .map_err(|e| with_context(format!("connect to {only}"), e)),
        (first, second) => {
            let addrs = first.into_iter().chain(second).chain(addrs);
            let mut race = Race::new(interleave_families(addrs), attempt);
            poll_fn(|cx| race.poll(cx)).await
        }
    }
}

/// Connects like [`connect`], lookup included, within `limit`.
pub(super) async fn connect_timeout(
    target: Target,
    limit: Duration,
) -> io::Result<Source<net::TcpStream>> {
    let mut expired = Timer::after(limit.min(MAX_LIMIT));
    let name = target.name();
    let mut lookup = pin!(resolve_nonempty("connect to", target));
    let addrs: SocketAddrs = poll_fn(|cx| {
        if let Poll::Ready(resolved) = lookup.as_mut().poll(cx) {
            return Poll::Ready(resolved);
        }
        ready!(Pin::new(&mut expired).poll(cx))?;
        let text = format!("look up {name}: no answer within {limit:?}");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    })
    .await?;
    let mut race = Race::new(interleave_families(addrs), attempt);
    poll_fn(|cx| {
        if let Poll::Ready(connected) = race.poll(cx) {
            return Poll::Ready(connected);
        }
        ready!(Pin::new(&mut expired).poll(cx))?;
        Poll::Ready(Err(race.timed_out(limit)))
    })
    .await
}

async fn attempt(addr: SocketAddr) -> io::Result<Source<net::TcpStream>> {
    connect_raw(tcp::socket(Domain::for_address(addr))?, addr).await
}

/// Connects `socket` to `addr`. The caller puts the address into the error.
pub(super) async fn connect_raw(
    socket: Socket,
    addr: SocketAddr,
) -> io::Result<Source<net::TcpStream>> {
    let is_pending = tcp::connect(&socket, addr)?;
    let source = Source::new(net::TcpStream::from(socket));
    let source = source.streaming().sole_owner();
    if is_pending {
        wait_connected(&source).await?;
    }
    Ok(source)
}

/// Waits for the end of a pending `connect`.
///
/// The socket is registered only now: before `connect`, epoll reports it as hung up. That it is
/// writable may be reported in error, so SO_ERROR decides whether it failed, getpeername whether it
/// succeeded. If neither does, it has hung up without a reason, or the report was spurious.
async fn wait_connected(source: &Source<net::TcpStream>) -> io::Result<()> {
    let mut registered = false;
    poll_fn(|cx| {
        if !registered {
            registered = true;
            ready!(source.poll_begun(Direction::Write, cx))?;
        }
        source.poll_io(Direction::Write, cx, |stream| {
            if let Some(e) = names::take_error(stream)? {
                return Err(e);
            }
            match names::peer_addr(stream) {
                Err(e) if e.raw_os_error() == Some(libc::ENOTCONN) => Err(pending_error(stream)?),
                result => result.map(drop),
            }
        })
    })
    .await
}

/// Returns the error of a socket that a moment ago had neither failed nor connected: `WouldBlock`
/// if it is still connecting.
#[cold]
fn pending_error(stream: &net::TcpStream) -> io::Result<io::Error> {
    if !tcp::is_hung_up(stream)? {
        return Ok(io::ErrorKind::WouldBlock.into());
    }
    // It may have failed in the meantime.
    let error = names::take_error(stream)?;
    Ok(error.unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into()))
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use runtime_reactor::{Backend, Reactor};

    use super::*;

    #[test]
    fn an_attempt_that_failed_without_a_reason_is_connection_aborted() {
        let reactor = Reactor::with_backend(Backend::available()[0]).unwrap();
        if reactor.backend() != Backend::Epoll {
            return; // only epoll reports a socket on which `connect` was not called
        }
        let _entered = reactor.enter();
        let socket = tcp::socket(Domain::IPV4).unwrap();
        let source = Source::new(net::TcpStream::from(socket));
        let mut connected = pin!(wait_connected(&source));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(connected.as_mut().poll(&mut cx).is_pending());
        reactor.turn(None).unwrap();
        match connected.as_mut().poll(&mut cx) {
            Poll::Ready(Err(e)) => assert_eq!(e.kind(), io::ErrorKind::ConnectionAborted),
            other => panic!("{other:?}"),
        }
    }
}
