//! Writing to a connection that the peer has closed is an error even in a process that SIGPIPE
//! would kill. A separate binary: signal dispositions belong to the whole process.

mod support;

use std::io::{ErrorKind, IoSlice};

use futures_lite::AsyncWriteExt;
use support::{block_on, pair};

#[test]
fn a_broken_pipe_is_an_error_even_if_sigpipe_would_kill() {
    let _leak_check = support::DescriptorLeakCheck::new();
    // SAFETY: SIG_DFL is a disposition, and no other thread of this binary changes any.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    block_on(async {
        let (mut stream, _peer) = pair().await;
        stream.close().await.unwrap();
        let error = stream.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let parts = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        let error = stream.write_vectored(&parts).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let error = stream.try_write(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let error = stream.try_write_vectored(&parts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}
