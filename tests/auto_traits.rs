//! Types that are `Send` and `Sync`, and types that are not, asserted at compile time.

use std::rc::Rc;

const fn is_send_and_sync<T: Send + Sync>() {}

const _: () = {
    is_send_and_sync::<runtime::Handle>();
    is_send_and_sync::<runtime::JoinHandle<u8>>();
    is_send_and_sync::<runtime::task::AbortHandle>();
    is_send_and_sync::<runtime::task::JoinSet<u8>>();
    is_send_and_sync::<runtime::JoinError>();
    is_send_and_sync::<runtime::time::Sleep>();
    is_send_and_sync::<runtime::time::Interval>();
    is_send_and_sync::<runtime::net::TcpListener>();
    is_send_and_sync::<runtime::net::TcpStream>();
    is_send_and_sync::<runtime::io::Async<std::fs::File>>();
    is_send_and_sync::<runtime::signal::CtrlC>();
    is_send_and_sync::<runtime::signal::unix::Signal>();
    is_send_and_sync::<runtime::process::Child>();
    is_send_and_sync::<runtime::process::Command>();
    is_send_and_sync::<runtime::fs::File>();
    is_send_and_sync::<runtime::fs::ReadDir>();
    is_send_and_sync::<runtime::io::Stdin>();
    is_send_and_sync::<runtime::io::Stdout>();
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

fn is_send<T: Send>(_: T) {}

#[test]
fn futures_of_sockets_and_timers_are_send() {
    use runtime::io::{AsyncReadExt, AsyncWriteExt};
    use runtime::net::{TcpListener, TcpStream, lookup_host};
    is_send(async {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let mut stream = TcpStream::connect(("localhost", 1)).await.unwrap();
        let mut buffer = [0];
        stream.read_exact(&mut buffer).await.unwrap();
        stream.write_all(&buffer).await.unwrap();
        let _ = listener.accept().await;
        let _ = lookup_host("localhost:1").await;
        runtime::time::sleep(std::time::Duration::ZERO).await;
        let _ = runtime::time::timeout(std::time::Duration::ZERO, stream.readable()).await;
    });
}
