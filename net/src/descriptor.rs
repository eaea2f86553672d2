//! Conversions between sockets and descriptors.

/// Implements the conversions between a socket with `from_std` and `into_std` and its descriptor.
macro_rules! descriptor {
    ($type:ident, $std:ty, $($source:ident).+) => {
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.$($source).+.get_ref().as_fd()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.$($source).+.get_ref().as_raw_fd()
            }
        }

        impl TryFrom<OwnedFd> for $type {
            type Error = io::Error;

            #[doc = concat!("Converts like [`", stringify!($type), "::from_std`].")]
            ///
            /// The kind of the descriptor is not checked: the first use of a wrong one fails.
            fn try_from(fd: OwnedFd) -> io::Result<$type> {
                $type::from_std(<$std>::from(fd))
            }
        }

        impl From<$type> for OwnedFd {
            fn from(socket: $type) -> OwnedFd {
                socket.into_std().into()
            }
        }

        impl std::os::fd::IntoRawFd for $type {
            /// Returns the descriptor, still non-blocking, for the caller to close.
            fn into_raw_fd(self) -> RawFd {
                OwnedFd::from(self).into_raw_fd()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.$($source).+.get_ref().fmt(f)
            }
        }
    };
}

pub(crate) use descriptor;
