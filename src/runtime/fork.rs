//! Using a runtime in a child of fork(2).

use std::{io, mem};

use runtime_reactor::Backend;

use super::block_on::Runtime;

impl Runtime {
    /// Makes the runtime usable in a child of fork(2).
    ///
    /// The child has a copy of the parent's runtime: tasks, timers and sockets exist in both
    /// processes. Until this method is called in the child, [`block_on`](Runtime::block_on) panics,
    /// and [`turn`](Runtime::turn) and all operations that would have to wait return an error.
    /// Dropping the runtime instead is harmless, unless other threads used it during the fork: a
    /// lock that they held may then stay locked forever, and the runtime must be
    /// [forgotten](std::mem::forget). The parent is not affected. In a process that was not forked,
    /// this does nothing.
    ///
    /// The method creates a new selector and registers every socket that has waited. The sockets
    /// are shared with the parent, as all descriptors are: data that one process reads is not seen
    /// by the other, so each process should close the sockets that it does not use. Abort tasks
    /// that must not run in the child before calling this. Signal listeners of the parent receive
    /// nothing in the child: create new ones.
    ///
    /// # When to fork
    /// Fork with `libc::fork` or daemon(3), outside any task and before threads are started, which
    /// includes the threads of blocking jobs (files and host names). POSIX forbids the child of a
    /// multi-threaded process to take locks, as this function does.
    ///
    /// The fork is detected by pthread_atfork(3), at the cost of one comparison before each wait.
    /// A plain clone(2) or `_Fork` calls no such handlers and is not detected.
    ///
    /// # Errors
    /// Returns `Unsupported` if the runtime had threads for blocking jobs, because these do not
    /// exist in the child, which would wait for their jobs forever; or if the runtime has tokio's
    /// context, which a child cannot use. Returns the system's error if no descriptor or memory is
    /// available. After an error the runtime is unchanged.
    ///
    /// # Platform-specific behavior
    /// A child does not inherit a kqueue. It inherits an epoll instance, which still belongs to the
    /// parent. This method replaces either.
    ///
    /// # Complexity
    /// O(n) in the number of sockets that have waited, with one system call for each on epoll.
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
    pub fn after_fork_child(&mut self) -> io::Result<()> {
        if !self.driver.reactor.is_forked() {
            return Ok(());
        }
        #[cfg(feature = "tokio")]
        self.check_not_hosted("Runtime::after_fork_child")?;
        if self.executor.has_blocking_threads() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the runtime had threads for blocking jobs when it was forked, and the child has \
                 none: fork before the first job, or make a new runtime",
            ));
        }
        let _entered = self.enter_running();
        self.driver.reactor.after_fork_child()?;
        self.forget_inherited_fd();
        match self.watch.take() {
            Some((_, options)) => self.start_watch(options),
            None => Ok(()),
        }
    }

    /// Drops the duplicate of the parent's selector. A duplicate of a kqueue was not inherited, so
    /// its number may belong to another descriptor by now, which must not be closed.
    pub(super) fn forget_inherited_fd(&mut self) {
        let fd = self.fd.take();
        if self.backend() == Backend::Kqueue {
            mem::forget(fd);
        }
    }
}
