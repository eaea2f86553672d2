//! Methods that several kinds of sockets have, each written once. Every macro defines one method,
//! or one family, of a type with a field `source`; what is passed to it is added to its
//! documentation.

/// Defines an operation that waits, and its `poll_` and `try_` versions.
macro_rules! operation {
    (
        $(#[$docs:meta])*
        $name:ident, $poll:ident, $try:ident($($arg:ident: $type:ty),*) -> $output:ty
        $(, $done:expr => $nothing:expr)?;
        $direction:ident, |$self:ident| $op:expr
    ) => {
        $(#[$docs])*
        pub async fn $name(&self, $($arg: $type),*) -> std::io::Result<$output> {
            std::future::poll_fn(|cx| self.$poll(cx, $($arg),*)).await
        }

        #[doc = concat!(
            "Poll-based version of [`", stringify!($name), "`](Self::", stringify!($name), ").",
        )]
        ///
        /// If it returns `Pending`, the task of `cx` is woken when another attempt is worthwhile.
        ///
        /// # Errors
        #[doc = concat!(
            "Returns the errors of [`", stringify!($name), "`](Self::", stringify!($name), ").",
        )]
        pub fn $poll(
            &$self,
            cx: &mut std::task::Context<'_>,
            $($arg: $type),*
        ) -> std::task::Poll<std::io::Result<$output>> {
            $(if $done {
                return std::task::Poll::Ready(Ok($nothing));
            })?
            $self.source.poll_io(runtime_reactor::Direction::$direction, cx, $op)
        }

        #[doc = concat!(
            "Attempts [`", stringify!($name), "`](Self::", stringify!($name), ") without waiting.",
        )]
        ///
        /// # Errors
        /// Returns `WouldBlock` if the operation would have to wait, and otherwise
        #[doc = concat!(
            "the errors of [`", stringify!($name), "`](Self::", stringify!($name), ").",
        )]
        pub fn $try(&$self, $($arg: $type),*) -> std::io::Result<$output> {
            $(if $done {
                return Ok($nothing);
            })?
            $self.source.try_io(runtime_reactor::Direction::$direction, $op)
        }
    };
}

macro_rules! attach {
    ($($source:ident).+) => {
        /// Assigns the socket to the runtime of this thread before it first has to wait.
        ///
        /// A socket belongs to the runtime in which it first has to wait, and can then be used from
        /// any thread. If it is passed on before that, it belongs to the runtime of the other
        /// thread, or fails to wait on a thread without one: attach it first. A socket that
        /// belongs to a runtime already stays there.
        ///
        /// # Errors
        /// Returns `Other` if no runtime drives this thread. If the system refuses to watch the
        /// descriptor, the first operation that has to wait returns the error.
        pub fn attach(&self) -> std::io::Result<()> {
            self.$($source).+.attach()
        }
    };
}

macro_rules! ready {
    ($(#[$docs:meta])*) => {
        /// Waits until the socket may be ready for some of `interest`, and returns what it is
        /// ready for.
        ///
        /// Readiness may be reported in error, and is reported again until a `try_` method returns
        /// `WouldBlock`.
        ///
        /// # Errors
        /// Returns the [errors of waiting](crate#errors): `Unsupported` for an interest that the
        /// platform cannot report, `Other` outside a runtime.
        ///
        /// # Cancel safety
        /// Dropping the future loses nothing.
        ///
        /// # Platform-specific behavior
        /// The end of the peer and urgent data are
        /// [not reported everywhere](crate#platform-specific-behavior).
        $(#[$docs])*
        pub async fn ready(
            &self,
            interest: runtime_reactor::Interest,
        ) -> std::io::Result<runtime_reactor::Readiness> {
            self.source.ready(interest).await
        }
    };
}

macro_rules! readable {
    ($try:ident $(, $(#[$docs:meta])+)?) => {
        #[doc = concat!(
            "Waits until [`", stringify!($try), "`](Self::", stringify!($try), ") may succeed.",
        )]
        ///
        /// # Errors
        /// Returns the [errors of waiting](crate#errors).
        ///
        /// # Cancel safety
        /// Dropping the future loses nothing.
        $($(#[$docs])+)?
        pub async fn readable(&self) -> std::io::Result<()> {
            self.ready(runtime_reactor::Interest::READABLE).await.map(drop)
        }
    };
}

macro_rules! writable {
    ($try:ident $(, $(#[$docs:meta])+)?) => {
        #[doc = concat!(
            "Waits until [`", stringify!($try), "`](Self::", stringify!($try), ") may succeed.",
        )]
        ///
        /// # Errors
        /// Returns the [errors of waiting](crate#errors).
        ///
        /// # Cancel safety
        /// Dropping the future loses nothing.
        $($(#[$docs])+)?
        pub async fn writable(&self) -> std::io::Result<()> {
            self.ready(runtime_reactor::Interest::WRITABLE).await.map(drop)
        }
    };
}

/// Defines the poll-based version of `readable` or `writable`.
macro_rules! poll_ready {
    ($poll:ident, $name:ident, $interest:ident) => {
        #[doc = concat!(
            "Poll-based version of [`", stringify!($name), "`](Self::", stringify!($name), ").",
        )]
        ///
        /// If it returns `Pending`, the task of `cx` is woken when an attempt is worthwhile.
        ///
        /// # Errors
        #[doc = concat!("Returns the errors of `", stringify!($name), "`.")]
        pub fn $poll(
            &self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            let ready = self.source.poll_ready(runtime_reactor::Interest::$interest, cx);
            ready.map_ok(drop)
        }
    };
}

macro_rules! try_io {
    ($io:ty $(, $(#[$docs:meta])+)?) => {
        /// Attempts `op`, an operation on the descriptor such as a system call that this type
        /// lacks, and clears the readiness if it returns `WouldBlock`.
        ///
        /// `op` must not block. With an interest in both directions it is called up to twice.
        ///
        /// # Errors
        /// Returns `WouldBlock` without calling `op` if the socket is known not to be ready or
        /// `interest` is empty, and otherwise the errors of `op`.
        $($(#[$docs])+)?
        pub fn try_io<R>(
            &self,
            interest: runtime_reactor::Interest,
            op: impl FnMut(&$io) -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.source.try_any(interest, op)
        }
    };
}

macro_rules! try_read {
    ($(#[$docs:meta])*) => {
        /// Reads available bytes without waiting, and returns their number.
        ///
        /// A result of 0 means the end of the stream, unless `buf` is empty.
        ///
        /// # Errors
        /// Returns `WouldBlock` if no bytes are available.
        $(#[$docs])*
        pub fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
            $crate::transfer::try_read(&self.source, buf)
        }
    };
}

macro_rules! try_write {
    ($(#[$docs:meta])*) => {
        /// Writes as many bytes as fit without waiting, and returns their number.
        ///
        /// # Errors
        /// Returns `WouldBlock` if no byte fits.
        $(#[$docs])*
        pub fn try_write(&self, buf: &[u8]) -> std::io::Result<usize> {
            $crate::transfer::try_write(&self.source, buf)
        }
    };
}

macro_rules! try_read_vectored {
    () => {
        /// Reads available bytes into several buffers without waiting, and returns their number.
        ///
        /// The buffers are filled in order.
        ///
        /// # Errors
        /// Returns the errors of [`try_read`](Self::try_read).
        pub fn try_read_vectored(
            &self,
            bufs: &mut [std::io::IoSliceMut<'_>],
        ) -> std::io::Result<usize> {
            $crate::transfer::try_read_vectored(&self.source, bufs)
        }
    };
}

macro_rules! try_write_vectored {
    () => {
        /// Writes as many bytes of several buffers as fit without waiting, and returns their
        /// number.
        ///
        /// # Errors
        /// Returns the errors of [`try_write`](Self::try_write).
        pub fn try_write_vectored(&self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
            $crate::transfer::try_write_vectored(&self.source, bufs)
        }
    };
}

macro_rules! try_vectored {
    () => {
        $crate::methods::try_read_vectored!();
        $crate::methods::try_write_vectored!();
    };
}

macro_rules! closed {
    ($(#[$docs:meta])*) => {
        /// Waits until the peer sends no more: it shut down writing or closed its socket, the
        /// connection broke, or reading was shut down on this side.
        ///
        /// No bytes are read, and unread bytes do not delay completion.
        ///
        /// # Errors
        /// Returns the [errors of waiting](crate#errors).
        ///
        /// # Cancel safety
        /// Dropping the future loses nothing. Once it has completed, further calls complete at
        /// once.
        ///
        /// # Platform-specific behavior
        /// The condition is EPOLLRDHUP on Linux, EV_EOF on kqueue, and POLLRDHUP with poll where
        /// that exists. With select this method fails with `Unsupported`.
        ///
        $(#[$docs])*
        pub async fn closed(&self) -> std::io::Result<()> {
            self.ready(runtime_reactor::Interest::CLOSED).await.map(drop)
        }
    };
}

macro_rules! take_error {
    ($($source:ident).+) => {
        /// Returns and clears the pending socket error (`SO_ERROR`).
        ///
        /// # Errors
        /// Returns the errors of getsockopt(2).
        pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
            $crate::sys::names::take_error(self)
        }
    };
}

macro_rules! tos {
    () => {
        /// Returns the type of service: see [`set_tos`](Self::set_tos).
        ///
        /// # Errors
        /// Returns the errors of getsockopt(2).
        pub fn tos(&self) -> std::io::Result<u32> {
            $crate::sys::socket::tos(self)
        }

        /// Sets the type of service of sent packets (`IP_TOS`), or their traffic class on an IPv6
        /// socket (`IPV6_TCLASS`): 0 to 255, of which the upper six bits are the DSCP and the lower
        /// two ECN.
        ///
        /// # Errors
        /// Returns `InvalidInput` if `tos` is more than 255, and the errors of setsockopt(2).
        ///
        /// # Platform-specific behavior
        /// On Linux both are set on an IPv6 socket that also sends by IPv4. TCP keeps its own ECN
        /// bits there.
        pub fn set_tos(&self, tos: u32) -> std::io::Result<()> {
            $crate::sys::socket::set_tos(self, tos)
        }
    };
}

macro_rules! device {
    () => {
        /// Returns the only network interface that the socket uses: see
        /// [`bind_device`](Self::bind_device).
        ///
        /// # Errors
        /// Returns `Unsupported` on platforms other than Linux, Android and Apple's, and the errors
        /// of getsockopt(2).
        pub fn device(&self) -> std::io::Result<Option<Vec<u8>>> {
            $crate::sys::socket::device(self)
        }

        /// Sets the only network interface that the socket uses, by its name as in `ip link` and
        /// `ifconfig`; `None` allows all.
        ///
        /// # Errors
        /// Returns `Unsupported` on platforms other than Linux, Android and Apple's, ENODEV (ENXIO
        /// on Apple's) if there is no such interface, `PermissionDenied` without privileges before
        /// Linux 5.7.
        ///
        /// # Platform-specific behavior
        /// The option is `SO_BINDTODEVICE` on Linux and Android. Apple's systems have
        /// `IP_BOUND_IF`, or `IPV6_BOUND_IF` on an IPv6 socket. The BSDs have no such option: bind
        /// to an address of the interface.
        pub fn bind_device(&self, interface: Option<&[u8]>) -> std::io::Result<()> {
            $crate::sys::socket::bind_device(self, interface)
        }
    };
}

macro_rules! quickack {
    () => {
        /// Returns true if received bytes are acknowledged at once: see
        /// [`set_quickack`](Self::set_quickack).
        ///
        /// # Errors
        /// Returns `Unsupported` on platforms other than Linux and Android, and the errors of
        /// getsockopt(2).
        pub fn quickack(&self) -> std::io::Result<bool> {
            $crate::sys::tcp::quickack(self)
        }

        /// Sets whether received bytes are acknowledged at once (`TCP_QUICKACK`) instead of
        /// together with the answer. The system changes it by itself later (tcp(7)).
        ///
        /// # Errors
        /// Returns `Unsupported` on platforms other than Linux and Android, and the errors of
        /// setsockopt(2).
        pub fn set_quickack(&self, quickack: bool) -> std::io::Result<()> {
            $crate::sys::tcp::set_quickack(self, quickack)
        }
    };
}

/// Defines what listeners have in common: accepting, the number of delays, and the stream
/// `Incoming`. `$type` has a field `acceptor`.
macro_rules! listener {
    (
        $type:ident accepts $stream:ident of $std:ty, $accept:path;
        $(#[$incoming_docs:meta])*
        incoming
    ) => {
        impl $type {
            /// Waits for a client, and returns the connection and the client's address, which is
            /// usually unnamed for a Unix socket.
            ///
            /// A connection costs one system call. Its socket is non-blocking and close-on-exec.
            ///
            /// # Errors
            /// Returns `InvalidInput` if the socket is not listening, EOPNOTSUPP if it is of a kind
            /// that cannot listen, and the [errors of waiting](crate#errors). The errors of a
            /// single connection that failed in the queue (`ECONNABORTED`, and the network errors
            /// listed in accept(2)) are not returned: the next one is accepted. Nor are those of
            /// running out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`): see
            /// [`TcpListener`](crate::TcpListener#running-out-of-descriptors). The error of
            /// accept(2) is returned as it is, with `raw_os_error`.
            ///
            /// # Cancel safety
            /// Dropping the future loses no connection.
            ///
            /// # Platform-specific behavior
            /// macOS needs up to four system calls, since it has no accept4(2).
            ///
            /// # Examples
            /// See [the type](Self).
            pub async fn accept(&self) -> io::Result<($stream, SocketAddr)> {
                let mut backoff = Backoff::default();
                poll_fn(|cx| self.poll_accept_with(cx, &mut backoff)).await
            }

            /// Poll-based version of [`accept`](Self::accept).
            ///
            /// Several tasks may call it at the same time; all of them are woken.
            ///
            /// # Errors
            /// Returns the errors of `accept`.
            pub fn poll_accept(
                &self,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<($stream, SocketAddr)>> {
                let accepted = self.acceptor.poll_accept_shared(cx, $accept);
                accepted.map(Self::convert)
            }

            /// Attempts [`accept`](Self::accept) without waiting.
            ///
            /// # Errors
            /// Returns `WouldBlock` if there is no client, and otherwise the error of accept(2),
            /// also that of a single connection and that of having no descriptor left.
            pub fn try_accept(&self) -> io::Result<($stream, SocketAddr)> {
                match self.acceptor.try_accept($accept) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(e),
                    accepted => Self::convert(accepted),
                }
            }

            /// Waits until the socket may be ready for some of `interest`, and returns what it is
            /// ready for.
            ///
            /// Readiness may be reported in error, and is reported again until
            /// [`try_accept`](Self::try_accept) returns `WouldBlock`.
            ///
            /// # Errors
            /// Returns the [errors of waiting](crate#errors).
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn ready(&self, interest: Interest) -> io::Result<Readiness> {
                self.acceptor.source.ready(interest).await
            }

            /// Waits until [`try_accept`](Self::try_accept) may succeed.
            ///
            /// # Errors
            /// Returns the [errors of waiting](crate#errors).
            ///
            /// # Cancel safety
            /// Dropping the future loses no connection.
            pub async fn readable(&self) -> io::Result<()> {
                self.ready(Interest::READABLE).await.map(drop)
            }

            /// Poll-based version of [`readable`](Self::readable).
            ///
            /// # Errors
            /// Returns the errors of `readable`.
            pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let ready = self.acceptor.source.poll_ready(Interest::READABLE, cx);
                ready.map_ok(drop)
            }

            fn poll_accept_with(
                &self,
                cx: &mut Context<'_>,
                backoff: &mut Backoff,
            ) -> Poll<io::Result<($stream, SocketAddr)>> {
                let accepted = self.acceptor.poll_accept(cx, backoff, $accept);
                accepted.map(Self::convert)
            }

            fn convert(
                accepted: io::Result<($std, SocketAddr)>,
            ) -> io::Result<($stream, SocketAddr)> {
                accepted.map(|(stream, peer)| ($stream::new(stream), peer))
            }

            /// Returns a stream of accepted connections, without their addresses, that never ends.
            ///
            /// # Examples
            $(#[$incoming_docs])*
            pub fn incoming(&self) -> Incoming<'_> {
                Incoming {
                    listener: self,
                    backoff: Backoff::default(),
                }
            }

            /// Returns how often [`accept`](Self::accept) had to wait because no descriptor or
            /// memory was available.
            ///
            /// A growing number means that a limit is too low (`ulimit -n`).
            pub fn accept_backoffs(&self) -> u64 {
                self.acceptor.backoffs()
            }
        }

        #[doc = concat!(
            "A stream of the connections that a listener accepts: see [`",
            stringify!($type), "::incoming`].",
        )]
        ///
        /// It never yields `None`. Its errors are those of `accept`.
        #[derive(Debug)]
        #[must_use = "streams do nothing unless polled"]
        pub struct Incoming<'a> {
            listener: &'a $type,
            backoff: Backoff,
        }

        impl Stream for Incoming<'_> {
            type Item = io::Result<$stream>;

            fn poll_next(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                let listener = self.listener;
                let accepted = ready!(listener.poll_accept_with(cx, &mut self.backoff));
                Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (usize::MAX, None)
            }
        }
    };
}

pub(crate) use {
    attach, closed, device, listener, operation, poll_ready, quickack, readable, ready, take_error,
    tos, try_io, try_read, try_read_vectored, try_vectored, try_write, try_write_vectored,
    writable,
};
