//! Making connections: looking up the name, racing the addresses, waiting for the system.

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
use crate::sys::tcp;

/// Longer limits are none; what is added to the present has to stay an `Instant`.
const MAX_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Connects to the first address of `target` that answers.
pub(super) async fn connect(target: Target) -> io::Result<Source<net::TcpStream>> {
    let mut addrs = resolve_nonempty("connect to", target).await?;
    match (addrs.next(), addrs.next()) {
        // The common case needs no list, and names its address itself.
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

/// As `connect`, and gives up, lookup included, when `limit` has passed.
pub(super) async fn connect_timeout(
    target: Target,
    limit: Duration,
) -> io::Result<Source<net::TcpStream>> {
    let mut passed = Timer::after(limit.min(MAX_LIMIT));
    let name = target.name();
    let mut find = pin!(resolve_nonempty("connect to", target));
    let addrs: SocketAddrs = poll_fn(|cx| {
        if let Poll::Ready(found) = find.as_mut().poll(cx) {
            return Poll::Ready(found);
        }
        ready!(Pin::new(&mut passed).poll(cx))?;
        let text = format!("look up {name}: no answer within {limit:?}");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    })
    .await?;
    let mut race = Race::new(interleave_families(addrs), attempt);
    poll_fn(|cx| {
        if let Poll::Ready(connected) = race.poll(cx) {
            return Poll::Ready(connected);
        }
        ready!(Pin::new(&mut passed).poll(cx))?;
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
    let begun = tcp::connect(&socket, addr)?;
    let source = Source::new(net::TcpStream::from(socket));
    let source = source.streaming().sole_owner();
    if begun {
        finished(&source).await?;
    }
    Ok(source)
}

/// Waits for the end of a `connect` that was begun.
///
/// It is registered only now: before `connect`, epoll says of a socket that it has hung up. And it
/// is not believed when it says that it is writable, which may be said in error: SO_ERROR knows
/// why it failed, getpeername whether it succeeded. If neither says anything, either it has hung up
/// without a reason, or it was a false alarm.
async fn finished(source: &Source<net::TcpStream>) -> io::Result<()> {
    let mut registered = false;
    poll_fn(|cx| {
        if !registered {
            registered = true;
            ready!(source.poll_begun(Direction::Write, cx))?;
        }
        source.poll_io(Direction::Write, cx, |stream| {
            if let Some(e) = stream.take_error()? {
                return Err(e);
            }
            match stream.peer_addr() {
                Err(e) if e.raw_os_error() == Some(libc::ENOTCONN) => Err(pending_error(stream)?),
                result => result.map(drop),
            }
        })
    })
    .await
}

/// Neither failed nor connected, a moment ago.
#[cold]
fn pending_error(stream: &net::TcpStream) -> io::Result<io::Error> {
    if !tcp::is_hung_up(stream)? {
        return Ok(io::ErrorKind::WouldBlock.into());
    }
    // It may have failed since it was asked.
    let error = stream.take_error()?;
    Ok(error.unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into()))
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use runtime_reactor::{Backend, Reactor};

    use super::*;

    #[test]
    fn an_attempt_that_ended_without_a_reason_is_aborted() {
        let reactor = Reactor::with_backend(Backend::available()[0]).unwrap();
        if reactor.backend() != Backend::Epoll {
            return; // only epoll speaks of a socket on which nothing was begun
        }
        let _entered = reactor.enter();
        let socket = tcp::socket(Domain::IPV4).unwrap();
        let source = Source::new(net::TcpStream::from(socket));
        let mut finished = pin!(finished(&source));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(finished.as_mut().poll(&mut cx).is_pending());
        reactor.turn(None).unwrap();
        match finished.as_mut().poll(&mut cx) {
            Poll::Ready(Err(e)) => assert_eq!(e.kind(), io::ErrorKind::ConnectionAborted),
            other => panic!("{other:?}"),
        }
    }
}
