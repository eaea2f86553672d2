//! Child processes, with the names of [`std::process`].
//!
//! A [`Command`] wraps std's. The exit of a child and its pipes are waited for in the reactor, like
//! sockets, by a task and not by a thread.
//!
//! # How the exit of a child is noticed
//! On Linux a pidfd (pidfd_open(2), since 5.3) reports the exit, on macOS and the BSDs EVFILT_PROC
//! in the runtime's kqueue. A [listener](crate::signal) for SIGCHLD takes over where these do not
//! exist or are forbidden, and where the kernel reports the exit before the status is available. A
//! child that is waited for uses one descriptor with a pidfd, two with SIGCHLD and none with
//! kqueue.
//!
//! # Zombies
//! The first wait that finds the child exited takes its exit status from the system. Until then the
//! process is a zombie, and its process ID is not reused. If a [`Child`] is dropped earlier, a task
//! of the runtime waits for the exit. Without a runtime, or if it ends first, the status is taken
//! when the next child is started or dropped. So there are no lasting zombies unless the program
//! stops using this module.
//!
//! Code that takes the status of every child, by waitpid(2) for any process or by ignoring SIGCHLD,
//! takes these too. Waiting then returns an error (ECHILD, "No child processes").
//!
//! # Platform-specific behavior
//! * The section above lists what reports an exit, and how many descriptors it takes. If a sandbox
//!   refuses the system call, SIGCHLD is used.
//! * OpenBSD: under pledge(2), waiting for a process needs the promise "proc".
//! * A program is started on the calling thread, as in std, and blocks it for the time of fork(2)
//!   and execve(2), or posix_spawn(3).
//! * The capacity of a pipe, after which a writer waits, is 64 KiB on Linux (pipe(7)), often less
//!   elsewhere.
//!
//! # Examples
//! ```
//! use runtime::process::Command;
//!
//! # runtime::block_on(async {
//! let output = Command::new("echo").arg("hello").output().await?;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"hello\n");
//! # std::io::Result::Ok(())
//! # }).unwrap();
//! ```

mod child;
mod command;
mod exit;
mod orphans;
mod pipe;
mod wait;

pub use child::Child;
pub use command::Command;
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};
pub use std::process::{ExitStatus, Output, Stdio};
