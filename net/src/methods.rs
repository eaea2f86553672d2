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
        /// 0 bytes are the end of the stream, unless `buf` is empty.
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

macro_rules! try_vectored {
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

macro_rules! take_error {
    ($($source:ident).+) => {
        /// Returns and clears the pending socket error (`SO_ERROR`).
        ///
        /// # Errors
        /// Returns the errors of getsockopt(2).
        pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
            self.$($source).+.get_ref().take_error()
        }
    };
}

pub(crate) use {
    operation, readable, ready, take_error, try_io, try_read, try_vectored, try_write, writable,
};
