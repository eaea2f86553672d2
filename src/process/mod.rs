//! Child processes, with the names of [`std::process`].
//!
//! A [`Command`] is std's, and so is what it takes to start a program. What differs is the
//! waiting: the end of a child and its pipes are waited for in the reactor, like sockets, by a task
//! and not by a thread.
//!
//! # How a child's end is noticed
//! On Linux by a pidfd (pidfd_open(2), since 5.3), on macOS and the BSDs by EVFILT_PROC in the
//! runtime's kqueue, and where those are not to be had, or tell it before the status is there, by a
//! [listener](crate::signal) to SIGCHLD. A child that is being waited for takes one descriptor with a
//! pidfd, two with SIGCHLD and none with kqueue.
//!
//! # Who takes its status
//! The first wait that finds it ended takes the exit status from the system; until then the
//! process stays as a zombie, and its number is not given to another. If a [`Child`] is dropped before,
//! a task of the runtime takes over and waits for the end; if there is no runtime, or it ends
//! first, the child is remembered, and looked after whenever another one is started or
//! dropped. So there are no zombies, unless the program stops using this module.
//!
//! Whoever else takes the status of all children (waitpid(2) for any process, or SIGCHLD set to be ignored)
//! takes ours too: waiting is then an error (ECHILD, "No child processes").
//!
//! # Platform notes
//! * What tells of a child's end, and how many descriptors that takes: see above. A system call
//!   that a sandbox refuses is no error; then it is SIGCHLD.
//! * OpenBSD: under pledge(2) the watching of a process takes the promise "proc".
//! * Starting a program happens on this thread, as in std, and takes as long as fork(2) and execve(2),
//!   or posix_spawn(3), do.
//! * What a pipe holds before a writer has to wait: 64 KiB on Linux (pipe(7)), often less elsewhere.
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
