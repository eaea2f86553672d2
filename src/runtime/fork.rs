//! A runtime in a child of fork(2).

use std::{io, mem};

use runtime_reactor::Backend;

use super::Runtime;

impl Runtime {
    /// Makes the runtime usable in a child of fork(2), where it is a copy of the parent's: tasks,
    /// timers and sockets live on in both processes. Until this was called,
    /// [`block_on`](Runtime::block_on) panics in the child, [`turn`](Runtime::turn) and whatever
    /// would have to wait return an error, and dropping the runtime is harmless (unless other
    /// threads used it when the process was forked: then a lock of theirs may be held for ever, and
    /// it is to be [forgotten](std::mem::forget) instead); the parent notices nothing. In a process
    /// that was not forked it does nothing.
    ///
    /// The selector is made anew, and every socket that waited is registered in it. Sockets are
    /// shared with the parent, as all descriptors are: what one process reads the other one does
    /// not, so let each close those it has no use for. A task that the child must not run is to be
    /// aborted first.
    ///
    /// Signal listeners of the parent hear nothing in the child: make new ones there.
    ///
    /// # The fork
    /// is up to you: `libc::fork`, or daemon(3). It must not happen inside a task; and POSIX allows
    /// the child of a process with several threads nothing that takes a lock, such as this. So fork
    /// before threads are started, blocking jobs (files, names of hosts) included.
    ///
    /// It is noticed by pthread_atfork(3), for the price of a comparison whenever the thread is about
    /// to wait, and so not if it was done by a bare clone(2) or by `_Fork`, which calls no handlers.
    ///
    /// # Errors
    /// `Unsupported` if there were threads for blocking jobs, which the child does not have and for
    /// whose jobs it would wait for ever. What the system says when it has no descriptor or memory
    /// left. Then nothing has changed.
    ///
    /// # Examples
    /// A server that goes into the background once it listens:
    /// ```no_run
    /// use runtime::{Runtime, net::TcpListener};
    /// # fn daemonize() {}
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let mut runtime = Runtime::new()?;
    /// let listener = runtime.block_on(TcpListener::bind("127.0.0.1:8080"))?;
    /// daemonize(); // forks; the parent exits
    /// runtime.after_fork_child()?;
    /// runtime.block_on(async {
    ///     let (stream, peer) = listener.accept().await?;
    /// #   drop((stream, peer));
    ///     std::io::Result::Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Platform notes
    /// A kqueue is not inherited, an epoll is and stays the parent's; both come to the same here.
    ///
    /// # Complexity
    /// O(sockets that waited); on epoll a system call for each.
    pub fn after_fork_child(&mut self) -> io::Result<()> {
        if !self.driver.reactor.is_forked() {
            return Ok(());
        }
        if self.executor.has_blocking_threads() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the runtime had threads for blocking jobs when it was forked, and the child has \
                 not: fork before the first job, or make a new runtime",
            ));
        }
        let _entered = self.enter();
        self.driver.reactor.after_fork_child()?;
        self.forget_inherited_fd();
        Ok(())
    }

    /// The duplicate of a kqueue was not inherited either, so its number may be another
    /// descriptor's, which must not be closed.
    pub(super) fn forget_inherited_fd(&mut self) {
        let fd = self.fd.take();
        if self.backend() == Backend::Kqueue {
            mem::forget(fd);
        }
    }
}
