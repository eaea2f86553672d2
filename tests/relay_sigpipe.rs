//! Relays in a program that does not ignore SIGPIPE. A process of its own, because it changes that.

mod support;

use std::io::ErrorKind;

use runtime::io::AsyncWriteExt;
use runtime::net::{TcpListener, TcpStream, forward};
use support::relays;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (a, b) = runtime::join!(TcpStream::connect(address), listener.accept());
    (a.unwrap(), b.unwrap().0)
}

#[runtime::test]
async fn without_splice_everything_is_copied_and_a_closed_peer_raises_no_signal() {
    // SAFETY: the default action is installed, which needs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    relays::run(4, 12, async || (pair().await, pair().await)).await;

    let (mut client, reader) = pair().await;
    let (writer, server) = pair().await;
    drop(server);
    let forwarding = runtime::spawn(forward(reader, writer));
    let data = relays::stream_of(1, 8 << 20);
    // The signal would end the process.
    let _ = client.write_all(&data).await;
    let error = forwarding.await.unwrap().unwrap_err();
    let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    assert!(kinds.contains(&error.kind()), "{error:?}");
}
