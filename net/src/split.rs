//! The two directions of a connection as values of their own, generic over the connection.
//!
//! [`tcp`](crate::tcp) and [`unix`](crate::unix) have aliases for those of their streams.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fmt, io};

use futures_io::{AsyncRead, AsyncWrite, IoSlice, IoSliceMut};

use sealed::Connection;

/// Seals the trait.
pub(crate) mod sealed {
    /// A connection that can be split.
    pub trait Connection {
        #[doc(hidden)]
        fn shutdown_write(&self);
    }
}

/// The borrowed reading half of a connection: see [`TcpStream::split`](crate::TcpStream::split).
#[derive(Debug)]
pub struct ReadHalf<'a, S>(&'a S);

/// The borrowed writing half of a connection: see [`TcpStream::split`](crate::TcpStream::split).
///
/// Closing it shuts down writing; dropping it does not.
#[derive(Debug)]
pub struct WriteHalf<'a, S>(&'a S);

/// The owned reading half of a connection: see
/// [`TcpStream::into_split`](crate::TcpStream::into_split).
///
/// The connection is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedReadHalf<S>(Arc<S>);

/// The owned writing half of a connection: see
/// [`TcpStream::into_split`](crate::TcpStream::into_split).
///
/// Dropping it shuts down writing, so that the peer reads the end of the stream even while the
/// reading half is kept. [`forget`](OwnedWriteHalf::forget) drops it without that.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: Connection> {
    stream: Arc<S>,
    shut_on_drop: bool,
}

pub(crate) fn split<S>(stream: &S) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
    (ReadHalf(stream), WriteHalf(stream))
}

pub(crate) fn into_split<S: Connection>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Arc::new(stream);
    let writer = OwnedWriteHalf {
        stream: stream.clone(),
        shut_on_drop: true,
    };
    (OwnedReadHalf(stream), writer)
}

impl<S: Connection> OwnedReadHalf<S> {
    /// Reunites the two halves of a connection.
    ///
    /// # Errors
    /// Returns both halves if they belong to different connections.
    ///
    /// # Examples
    /// ```
    /// use runtime::net::TcpStream;
    ///
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let std_stream = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let stream = TcpStream::from_std(std_stream)?;
    /// let (reader, writer) = stream.into_split();
    /// let stream = reader.reunite(writer).expect("halves of one connection");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn reunite(self, writer: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.0, &writer.stream) {
            return Err(ReuniteError(self, writer));
        }
        writer.forget();
        match Arc::try_unwrap(self.0) {
            Ok(stream) => Ok(stream),
            Err(_) => unreachable!("halves cannot be cloned, so these were the only two"),
        }
    }
}

impl<S: Connection> OwnedWriteHalf<S> {
    /// Reunites the two halves of a connection: see [`OwnedReadHalf::reunite`].
    ///
    /// # Errors
    /// Returns both halves if they belong to different connections.
    pub fn reunite(self, reader: OwnedReadHalf<S>) -> Result<S, ReuniteError<S>> {
        reader.reunite(self)
    }

    /// Drops the half without shutting down writing. The connection is closed when the reading half
    /// is dropped.
    pub fn forget(mut self) {
        self.shut_on_drop = false;
    }
}

impl<S: Connection> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.shut_on_drop {
            self.stream.shutdown_write();
        }
    }
}

/// An attempt to [reunite](OwnedReadHalf::reunite) halves of two different connections, which it
/// returns.
#[derive(Debug)]
pub struct ReuniteError<S: Connection>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S: Connection> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the halves belong to two different connections")
    }
}

impl<S: Connection + fmt::Debug> Error for ReuniteError<S> {}

impl<S> AsRef<S> for ReadHalf<'_, S> {
    fn as_ref(&self) -> &S {
        self.0
    }
}

impl<S> AsRef<S> for WriteHalf<'_, S> {
    fn as_ref(&self) -> &S {
        self.0
    }
}

impl<S> AsRef<S> for OwnedReadHalf<S> {
    fn as_ref(&self) -> &S {
        &self.0
    }
}

impl<S: Connection> AsRef<S> for OwnedWriteHalf<S> {
    fn as_ref(&self) -> &S {
        &self.stream
    }
}

macro_rules! read_through_the_stream {
    ($($half:ty),*) => {$(
        impl<S: Connection> AsyncRead for $half
        where
            for<'s> &'s S: AsyncRead,
        {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let mut stream: &S = self.as_ref().get_ref().as_ref();
                Pin::new(&mut stream).poll_read(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let mut stream: &S = self.as_ref().get_ref().as_ref();
                Pin::new(&mut stream).poll_read_vectored(cx, bufs)
            }
        }
    )*};
}

macro_rules! write_through_the_stream {
    ($($half:ty),*) => {$(
        impl<S: Connection> AsyncWrite for $half
        where
            for<'s> &'s S: AsyncWrite,
        {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                let mut stream: &S = self.as_ref().get_ref().as_ref();
                Pin::new(&mut stream).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let mut stream: &S = self.as_ref().get_ref().as_ref();
                Pin::new(&mut stream).poll_write_vectored(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let mut stream: &S = self.as_ref().get_ref().as_ref();
                Pin::new(&mut stream).poll_close(cx)
            }
        }
    )*};
}

/// Defines the methods of the reading halves of a stream, each of which calls that of the stream.
macro_rules! reading_halves {
    ($stream:ident, $addr:ty: $($half:ty),*) => {$(
        impl $half {
            $crate::split::methods_of_both_halves!($stream, $addr);

            #[doc = concat!(
                "Waits until [`try_read`](Self::try_read) may succeed: see [`",
                stringify!($stream), "::readable`].",
            )]
            ///
            /// # Errors
            /// Returns the [errors of waiting](crate#errors).
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn readable(&self) -> std::io::Result<()> {
                self.as_ref().readable().await
            }

            /// Poll-based version of [`readable`](Self::readable).
            ///
            /// # Errors
            /// Returns the errors of `readable`.
            pub fn poll_read_ready(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.as_ref().poll_read_ready(cx)
            }

            #[doc = concat!(
                "Reads available bytes without waiting, and returns their number: see [`",
                stringify!($stream), "::try_read`].",
            )]
            ///
            /// # Errors
            /// Returns `WouldBlock` if no bytes are available, and the other errors of that method.
            pub fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.as_ref().try_read(buf)
            }

            /// Reads available bytes into several buffers without waiting, and returns their
            /// number.
            ///
            /// # Errors
            /// Returns the errors of [`try_read`](Self::try_read).
            pub fn try_read_vectored(
                &self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                self.as_ref().try_read_vectored(bufs)
            }
        }
    )*};
}

/// Defines the methods of the writing halves of a stream, each of which calls that of the stream.
macro_rules! writing_halves {
    ($stream:ident, $addr:ty: $($half:ty),*) => {$(
        impl $half {
            $crate::split::methods_of_both_halves!($stream, $addr);

            #[doc = concat!(
                "Waits until [`try_write`](Self::try_write) may succeed: see [`",
                stringify!($stream), "::writable`].",
            )]
            ///
            /// # Errors
            /// Returns the [errors of waiting](crate#errors).
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn writable(&self) -> std::io::Result<()> {
                self.as_ref().writable().await
            }

            /// Poll-based version of [`writable`](Self::writable).
            ///
            /// # Errors
            /// Returns the errors of `writable`.
            pub fn poll_write_ready(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.as_ref().poll_write_ready(cx)
            }

            #[doc = concat!(
                "Writes as many bytes as fit without waiting, and returns their number: see [`",
                stringify!($stream), "::try_write`].",
            )]
            ///
            /// # Errors
            /// Returns `WouldBlock` if no byte fits, and the other errors of that method.
            pub fn try_write(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.as_ref().try_write(buf)
            }

            /// Writes as many bytes of several buffers as fit without waiting, and returns their
            /// number.
            ///
            /// # Errors
            /// Returns the errors of [`try_write`](Self::try_write).
            pub fn try_write_vectored(
                &self,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.as_ref().try_write_vectored(bufs)
            }
        }
    )*};
}

/// Defines the methods that the halves of a stream have in common.
macro_rules! methods_of_both_halves {
    ($stream:ident, $addr:ty) => {
        #[doc = concat!(
            "Waits until the connection may be ready for some of `interest`, and returns what it ",
            "is ready for: see [`", stringify!($stream), "::ready`].",
        )]
        ///
        /// # Errors
        /// Returns the [errors of waiting](crate#errors).
        ///
        /// # Cancel safety
        /// Dropping the future loses nothing.
        pub async fn ready(
            &self,
            interest: runtime_reactor::Interest,
        ) -> std::io::Result<runtime_reactor::Readiness> {
            self.as_ref().ready(interest).await
        }

        #[doc = concat!(
            "Returns the local address: see [`", stringify!($stream), "::local_addr`].",
        )]
        ///
        /// # Errors
        /// Returns the errors of getsockname(2).
        pub fn local_addr(&self) -> std::io::Result<$addr> {
            self.as_ref().local_addr()
        }

        #[doc = concat!(
            "Returns the peer's address: see [`", stringify!($stream), "::peer_addr`].",
        )]
        ///
        /// # Errors
        /// Returns `NotConnected` if the socket is no longer connected.
        pub fn peer_addr(&self) -> std::io::Result<$addr> {
            self.as_ref().peer_addr()
        }
    };
}

pub(crate) use {methods_of_both_halves, reading_halves, writing_halves};

read_through_the_stream!(ReadHalf<'_, S>, OwnedReadHalf<S>);
write_through_the_stream!(WriteHalf<'_, S>, OwnedWriteHalf<S>);
