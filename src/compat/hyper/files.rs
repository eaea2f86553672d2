//! Bodies of files, which are sent without a copy.
//!
//! hyper takes bodies as bytes. The bytes of a [`FileBody`] are a placeholder: memory that is never
//! read and that stands for the file. hyper passes on slices of it, whose addresses say which part
//! of the file is next, and [`FileIo`] sends that part by sendfile(2) instead.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::rt::{self, ReadBufCursor};
use runtime_net::internal::{FileTransfer, poll_send_file, poll_write_more};

use super::io::Io;
use crate::net::TcpStream;

/// The size of the placeholder, and so of the largest frame of a body. It is address space and no
/// memory, since the system maps a page when it is first accessed.
const PLACEHOLDER_BYTES: usize = 1 << 20;

thread_local! {
    /// The placeholder that all connections of the thread use.
    static PLACEHOLDER: Bytes = Bytes::from(vec![0; PLACEHOLDER_BYTES]);
}

/// A TCP connection for the HTTP/1 server of hyper, like [`Io`], that sends [`FileBody`]s without
/// copying them.
///
/// Such a body pays for large files: it takes a system call more than one of bytes. A file that is
/// not in memory is read by the blocking pool, as by
/// [`TcpStream::send_file`](crate::net::TcpStream::send_file).
///
/// A layer between hyper and the `FileIo` must pass the buffers of vectored writes on as they are.
/// So there can be no TLS, no HTTP/2 and no compression. Where the bytes of a body were read as
/// memory, the next write fails.
///
/// # Examples
/// ```
/// use std::fs::File;
/// use std::io;
/// use hyper::body::Incoming;
/// use hyper::server::conn::http1;
/// use hyper::service::service_fn;
/// use hyper::{Request, Response};
/// use runtime::compat::hyper::{FileBody, FileIo, Timer};
/// use runtime::net::TcpListener;
///
/// # runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let client = runtime::net::TcpStream::connect(listener.local_addr()?).await?;
/// # drop(client);
/// let (stream, _) = listener.accept().await?;
/// let io = FileIo::new(stream);
/// let files = io.files();
/// let service = service_fn(move |_: Request<Incoming>| {
///     let files = files.clone();
///     async move {
///         let file = File::open("/etc/services")?;
///         let length = file.metadata()?.len();
///         io::Result::Ok(Response::new(files.body(file, 0..length)))
///     }
/// });
/// runtime::spawn(http1::Builder::new().timer(Timer).serve_connection(io, service));
/// # io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct FileIo {
    io: Io<TcpStream>,
    files: Files,
    sending: Option<Sending>,
}

/// A maker of bodies for the responses of one connection. Returned by [`FileIo::files`].
#[derive(Debug, Clone)]
pub struct Files(Arc<Mutex<State>>);

/// The body of a response that is a part of a file. Returned by [`Files::body`].
///
/// It is for the connection whose [`Files`] made it.
#[derive(Debug)]
pub struct FileBody {
    files: Files,
    file: Arc<OwnedFd>,
    /// The part of which hyper has no placeholder yet.
    rest: Range<u64>,
}

/// The state that a connection and its bodies share.
#[derive(Debug, Default)]
struct State {
    /// The part of a file for which hyper holds a placeholder.
    piece: Option<Piece>,
    /// The task of a body that waits for its turn.
    waker: Option<Waker>,
    pieces: u64,
    /// True if bytes of a placeholder went elsewhere.
    is_misused: bool,
}

#[derive(Debug, Clone)]
struct Piece {
    file: Arc<OwnedFd>,
    /// The offset in the file of the first byte.
    at: u64,
    addresses: Range<usize>,
    number: u64,
    sent: usize,
}

/// A transfer that did not send all it should at once.
#[derive(Debug)]
struct Sending {
    number: u64,
    /// The address of the next byte.
    next: usize,
    transfer: FileTransfer,
}

/// The memory of a frame. While it exists, there is a piece.
struct Placeholder {
    bytes: Bytes,
    files: Files,
}

impl FileIo {
    /// Wraps a connection.
    pub fn new(stream: TcpStream) -> FileIo {
        FileIo {
            io: Io::new(stream),
            files: Files(Arc::default()),
            sending: None,
        }
    }

    /// Returns the maker of bodies for this connection.
    pub fn files(&self) -> Files {
        self.files.clone()
    }

    /// Returns a reference to the connection.
    pub fn get_ref(&self) -> &TcpStream {
        self.io.get_ref()
    }

    /// Returns the connection.
    pub fn into_inner(self) -> TcpStream {
        self.io.into_inner()
    }

    /// Sends bytes of the piece, whose placeholder is `buf`.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        piece: &Piece,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let address = buf.as_ptr().addr();
        let at = piece.at + (address - piece.addresses.start) as u64;
        let begun = self.sending.take();
        let mut sending = begun
            .filter(|it| it.number == piece.number && it.next == address)
            .unwrap_or_else(|| Sending {
                number: piece.number,
                next: address,
                transfer: FileTransfer::new(at..at + buf.len() as u64),
            });
        let before = sending.transfer.sent();
        let (stream, transfer) = (self.io.get_ref(), &mut sending.transfer);
        let polled = poll_send_file(stream, transfer, piece.file.as_fd(), cx);
        let sent = (sending.transfer.sent() - before) as usize;
        sending.next += sent;
        if let Some(piece) = &mut self.files.state().piece {
            piece.sent += sent;
        }
        if sent < buf.len() {
            self.sending = Some(sending);
        }
        match polled {
            _ if sent > 0 => Poll::Ready(Ok(sent)),
            // The header has announced the length that the file had.
            Poll::Ready(Ok(_)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Files {
    /// Makes the body of a response from a part of `file`.
    ///
    /// The body fails with `UnexpectedEof` if the file is shorter than the range.
    pub fn body(&self, file: impl Into<OwnedFd>, range: Range<u64>) -> FileBody {
        FileBody {
            files: self.clone(),
            file: Arc::new(file.into()),
            rest: range,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let room = PLACEHOLDER.try_with(Bytes::clone);
        let room = room.map_err(|_| io::Error::other("the thread is being torn down"))?;
        let length = (self.rest.end - self.rest.start).min(room.len() as u64);
        let bytes = room.slice(..length as usize);
        let start = bytes.as_ptr().addr();
        // Cloning a waker is foreign code, so nothing is locked.
        let waker = cx.waker().clone();
        let mut state = self.files.state();
        if state.piece.is_some() {
            let before = state.waker.replace(waker);
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        state.pieces += 1;
        state.piece = Some(Piece {
            file: self.file.clone(),
            at: self.rest.start,
            addresses: start..start + bytes.len(),
            number: state.pieces,
            sent: 0,
        });
        drop(state);
        self.rest.start += length;
        let files = self.files.clone();
        let placeholder = Placeholder { bytes, files };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(placeholder)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.end.saturating_sub(self.rest.start))
    }
}

impl AsRef<[u8]> for Placeholder {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        let mut state = self.files.state();
        let piece = state.piece.take();
        state.is_misused |= piece.is_some_and(|piece| piece.sent < self.bytes.len());
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl rt::Read for FileIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, cursor)
    }
}

impl rt::Write for FileIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let state = self.files.state();
        if state.is_misused {
            return Poll::Ready(Err(misused()));
        }
        let piece = state.piece.clone();
        drop(state);
        let Some(piece) = piece else {
            return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        };
        let is_file = |buf: &IoSlice<'_>| piece.addresses.contains(&buf.as_ptr().addr());
        match bufs.iter().position(is_file) {
            None => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
            Some(0) => self.poll_send(cx, &piece, &bufs[0]),
            // The head: the beginning of the file goes into the same packet.
            Some(first) => poll_write_more(self.get_ref(), cx, &bufs[..first]),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cold]
fn misused() -> io::Error {
    io::Error::other(
        "the bytes of a FileBody were read as memory or not sent: it needs HTTP/1 over a FileIo, \
         with no layer that changes bytes between them",
    )
}
