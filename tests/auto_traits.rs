//! Types that are `Send` and `Sync`, and types that are not, asserted at compile time.

use std::cell::Cell;
use std::future::Ready;
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

const fn has_all<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}

macro_rules! have_all {
    ($($type:ty),* $(,)?) => { const _: () = { $(has_all::<$type>();)* }; };
}

type Std = std::fs::File;

have_all!(
    runtime::Backend,
    runtime::Builder,
    runtime::Handle,
    runtime::PanicPolicy,
    runtime::Stats,
    runtime::fs::DirEntry,
    runtime::fs::File,
    runtime::fs::OpenOptions,
    runtime::fs::ReadDir,
    runtime::io::Async<Std>,
    runtime::io::Direction,
    runtime::io::Interest,
    runtime::io::Readiness,
    runtime::io::Stderr,
    runtime::io::Stdin,
    runtime::io::Stdout,
    runtime::net::SocketAddrs,
    runtime::net::TcpListener,
    runtime::net::TcpSocket,
    runtime::net::TcpStream,
    runtime::net::UdpSocket,
    runtime::net::UnixDatagram,
    runtime::net::UnixListener,
    runtime::net::UnixStream,
    runtime::net::pipe::OpenOptions,
    runtime::net::pipe::Receiver,
    runtime::net::pipe::Sender,
    runtime::net::tcp::Incoming<'static>,
    runtime::net::tcp::OwnedReadHalf,
    runtime::net::tcp::OwnedWriteHalf,
    runtime::net::tcp::ReadHalf<'static>,
    runtime::net::tcp::ReuniteError,
    runtime::net::tcp::TcpKeepalive,
    runtime::net::tcp::WriteHalf<'static>,
    runtime::net::udp::Ecn,
    runtime::net::udp::Received,
    runtime::net::udp::Transmit<'static>,
    runtime::net::unix::Incoming<'static>,
    runtime::net::unix::OwnedReadHalf,
    runtime::net::unix::OwnedWriteHalf,
    runtime::net::unix::ReadHalf<'static>,
    runtime::net::unix::ReceivedFds,
    runtime::net::unix::ReuniteError,
    runtime::net::unix::UCred,
    runtime::net::unix::WriteHalf<'static>,
    runtime::process::Child,
    runtime::process::ChildStderr,
    runtime::process::ChildStdin,
    runtime::process::ChildStdout,
    runtime::signal::unix::Signal,
    runtime::signal::unix::SignalKind,
    runtime::task::AbortHandle,
    runtime::task::AccessError,
    runtime::task::Builder<'static>,
    runtime::task::Id,
    runtime::task::JoinError,
    runtime::task::JoinHandle<u8>,
    runtime::task::JoinSet<u8>,
    runtime::task::TaskLocal<u8>,
    runtime::task::TaskLocalFuture<u8, Ready<u8>>,
    runtime::time::Elapsed,
    runtime::time::Interval,
    runtime::time::MissedTickBehavior,
    runtime::time::Sleep,
    runtime::time::Timeout<Ready<u8>>,
);

const fn is_send_and_sync<T: Send + Sync + Unpin>() {}

// Both hold an `io::Error` or closures of std's, which are not unwind safe.
const _: () = {
    is_send_and_sync::<runtime::io::TryNewError<Std>>();
    is_send_and_sync::<runtime::process::Command>();
    is_send_and_sync::<runtime::signal::CtrlC>();
};

const fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe + Unpin>() {}

/// A type without any of the auto traits that the tables ask for.
struct Nothing(
    #[allow(dead_code)] PhantomPinned,
    #[allow(dead_code)] Cell<*mut u8>,
);

// A runtime, and tasks whatever their output is.
const _: () = {
    is_unwind_safe::<runtime::Runtime>();
    is_unwind_safe::<runtime::JoinHandle<Nothing>>();
    is_unwind_safe::<runtime::task::JoinSet<Nothing>>();
};

/// Fails to compile, because the call is ambiguous, if `$type` implements `$trait`.
macro_rules! is_not {
    ($trait:path: $($type:ty),+) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn call() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<u8> for T {}
            <$type as Ambiguous<_>>::call();
        };
    )+};
}

is_not!(Send: runtime::Runtime, runtime::JoinHandle<Rc<u8>>, runtime::task::JoinSet<Rc<u8>>);
is_not!(Sync: runtime::Runtime, runtime::JoinHandle<Rc<u8>>, runtime::task::JoinSet<Rc<u8>>);

fn is_both<T: Send + Sync>(_: T) {}

#[test]
fn futures_of_sockets_files_and_timers_are_send_and_sync() {
    use runtime::io::{AsyncReadExt, AsyncWriteExt};
    use std::time::Duration;

    use runtime::net::{TcpListener, TcpStream, UdpSocket, UnixStream, lookup_host};
    is_both(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let mut stream = TcpStream::connect(("localhost", 1)).await.unwrap();
        let mut buffer = [0];
        stream.read_exact(&mut buffer).await.unwrap();
        stream.write_all(&buffer).await.unwrap();
        let _ = listener.accept().await;
        let _ = lookup_host("localhost:1").await;
        let _ = TcpStream::connect_timeout("localhost:1", Duration::ZERO).await;
        let udp = UdpSocket::bind("localhost:0").await.unwrap();
        let _ = udp.connect("localhost:1").await;
        let _ = udp.send_to(&buffer, "localhost:1").await;
        let _ = udp.recv_from(&mut buffer).await;
        let _ = UnixStream::connect("socket").await;
        let _ = runtime::fs::read("file").await;
        let mut file = runtime::fs::File::open("file").await.unwrap();
        let _ = file.set_len(0).await;
        file.sync_all().await.unwrap();
        let _ = runtime::fs::read_dir(".").await;
        let _ = runtime::process::Command::new("true").status().await;
        let _ = runtime::spawn_blocking(|| 1).await;
        runtime::task::yield_now().await;
        runtime::time::sleep(Duration::ZERO).await;
        let _ = runtime::time::timeout(Duration::ZERO, stream.readable()).await;
    });
}
