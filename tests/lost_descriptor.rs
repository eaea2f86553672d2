//! A runtime whose own descriptors other code has closed.
//!
//! This is a test binary of its own with one test, because descriptors belong to the process.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use runtime::{Backend, Runtime};

fn open_descriptors() -> Vec<i32> {
    // SAFETY: F_GETFD takes no pointer; for a closed descriptor it returns EBADF.
    let is_open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1;
    (0..256).filter(is_open).collect()
}

#[test]
fn block_on_panics_if_it_can_no_longer_wait_and_the_runtime_can_be_dropped() {
    for &backend in Backend::available() {
        let null = File::open("/dev/null").unwrap();
        let before = open_descriptors();
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        let sleep = || runtime.block_on(runtime::time::sleep(Duration::from_millis(1)));
        sleep();
        let mut own = open_descriptors();
        own.retain(|fd| !before.contains(fd));
        assert!(!own.is_empty());
        for &fd in &own {
            // SAFETY: close takes an integer. The number is reopened below before its owner closes
            // it, and no other thread of this process opens descriptors.
            unsafe { libc::close(fd) };
        }
        let panic = catch_unwind(AssertUnwindSafe(sleep)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(
            text.starts_with("the runtime can no longer wait for events: "),
            "{text}"
        );
        let error = runtime.turn(Some(Duration::from_millis(1))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{backend}");
        for &fd in &own {
            // SAFETY: dup2 takes two integers.
            assert_eq!(unsafe { libc::dup2(null.as_raw_fd(), fd) }, fd);
        }
        drop(runtime);
        assert_eq!(open_descriptors(), before);
    }
}
