//! SIGINT. A binary of its own: signals are the process's.

use std::time::Duration;

use runtime::signal::ctrl_c;
use runtime::time::timeout;

fn interrupt() {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::INT).unwrap();
}

/// One test, so that no other is interrupted.
#[runtime::test]
async fn every_waiter_is_told_of_ctrl_c_even_between_the_call_and_the_first_poll() {
    let (first, second) = (ctrl_c(), ctrl_c());
    interrupt();
    first.await.unwrap();
    second.await.unwrap();

    let waiting = runtime::spawn(ctrl_c());
    runtime::task::yield_now().await;
    interrupt();
    waiting.await.unwrap().unwrap();

    // A signal is told once, and not to those who come later.
    assert!(timeout(Duration::from_millis(1), ctrl_c()).await.is_err());
}
