//! Bodies of files, which are sent without a copy.
//!
//! hyper takes bodies as bytes. The bytes of a [`FileBody`] are a placeholder: memory that is never
//! read and that stands for the file. hyper passes on slices of it, whose addresses say which part
//! of the file is next, and [`FileIo`] sends that part by sendfile(2) instead.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::rt::{self, ReadBufCursor};
use runtime_net::internal::{FileTransfer, poll_send_file, poll_write_more};
use runtime_reactor::internal::clock;

use super::io::Io;
use crate::net::TcpStream;

/// The size of the placeholder, and so of the largest frame of a body. It is address space and no
/// memory, since the system maps a page when it is first accessed.
const PLACEHOLDER_BYTES: usize = 1 << 20;

/// The time for which a part of a file that was in memory is taken to be still there. The system
/// removes first what was not used for the longest time.
const MAX_AGE: Duration = Duration::from_millis(100);

thread_local! {
    /// The placeholder that all connections of the thread use.
    static PLACEHOLDER: Bytes = Bytes::from(vec![0; PLACEHOLDER_BYTES]);
}

/// A TCP connection for the HTTP/1 server of hyper, like [`Io`], that sends [`FileBody`]s without
/// copying them.
///
/// Such a body pays for files of more than about 8 KiB: it takes a system call more than one of
/// bytes. A file that is not in memory is read by the blocking pool, as by
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
    /// The part of a file for which hyper holds a placeholder, until all of it was sent.
    piece: Option<Piece>,
    transfer: FileTransfer,
    /// The time at which the transfer began, if it asks whether the file is in memory.
    asks_since: Option<Instant>,
}

/// A maker of bodies for the responses of one connection. Returned by [`FileIo::files`].
#[derive(Debug, Clone)]
pub struct Files(Arc<Shared>);

/// An open file that the bodies of several responses send: see [`Files::shared_body`].
///
/// A server that keeps files open for the next request saves the system calls that open and close
/// them. A part that was in memory when it was sent is sent again within a tenth of a second
/// without asking the system, which saves two more. Clones share the file.
///
/// # Examples
/// ```
/// use std::fs::File;
/// use runtime::compat::hyper::{FileBody, Files, SharedFile};
///
/// fn first_page(files: &Files, page: &SharedFile) -> FileBody {
///     files.shared_body(page, 0..4096)
/// }
///
/// let page = SharedFile::new(File::open("/etc/services")?);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct SharedFile(Arc<OpenFile<dyn AsFd + Send + Sync>>);

struct OpenFile<F: ?Sized> {
    /// A part that was found in memory, and the time at which the system was asked.
    in_memory: Mutex<Option<(Range<u64>, Instant)>>,
    file: F,
}

/// The body of a response that is a part of a file. Returned by [`Files::body`] and
/// [`Files::shared_body`].
///
/// It is for the connection whose [`Files`] made it.
#[derive(Debug)]
pub struct FileBody {
    files: Files,
    file: SharedFile,
    /// The part of which hyper has no placeholder yet.
    rest: Range<u64>,
}

/// The state that a connection and its bodies share.
#[derive(Debug, Default)]
struct Shared {
    turn: Mutex<Turn>,
    /// The number of bytes of the piece that were not sent. Written by the body that makes the
    /// piece, and then by the connection.
    unsent: AtomicUsize,
    /// True if `turn` has something for the connection.
    has_news: AtomicBool,
}

/// The state by which bodies take turns.
#[derive(Debug, Default)]
struct Turn {
    /// True while hyper holds a placeholder.
    is_taken: bool,
    /// The piece of that placeholder, until the connection takes it.
    piece: Option<Piece>,
    /// The task of a body that waits for its turn.
    waker: Option<Waker>,
    /// True if bytes of a placeholder went elsewhere.
    is_misused: bool,
}

#[derive(Debug)]
struct Piece {
    file: SharedFile,
    part: Range<u64>,
    /// The address of the first byte of the placeholder.
    address: usize,
}

/// The memory of a frame. While it exists, it is the turn of its body.
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
            piece: None,
            transfer: FileTransfer::new(0..0),
            asks_since: None,
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

    /// Takes over the piece of a new placeholder.
    ///
    /// # Errors
    /// Returns an error if bytes of a placeholder went elsewhere.
    fn take_news(&mut self) -> io::Result<()> {
        let mut turn = self.files.turn();
        if turn.is_misused {
            return Err(misused());
        }
        self.files.0.has_news.store(false, Ordering::Relaxed);
        let piece = turn.piece.take();
        drop(turn);
        if let Some(piece) = piece {
            let now = clock::now();
            self.transfer.restart(piece.part.clone());
            self.asks_since = Some(now);
            if piece.file.is_in_memory(&piece.part, now) {
                self.transfer.set_in_memory(piece.part.end);
                self.asks_since = None;
            }
            self.piece = Some(piece);
        }
        Ok(())
    }

    /// Sends bytes that precede the piece, the head of a response, and then bytes of the piece,
    /// whose placeholder is `buf`. Its beginning goes into the same packet.
    fn poll_send_after(
        &mut self,
        cx: &mut Context<'_>,
        head: &[IoSlice<'_>],
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(poll_write_more(self.get_ref(), cx, head))?;
        if written < head.iter().map(|buf| buf.len()).sum() {
            return Poll::Ready(Ok(written));
        }
        match self.poll_send(cx, buf) {
            Poll::Ready(Ok(sent)) => Poll::Ready(Ok(written + sent)),
            // The next write finds the same.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(Ok(written)),
        }
    }

    /// Sends bytes of the piece, whose placeholder is `buf`.
    fn poll_send(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let FileIo {
            io,
            files,
            piece,
            transfer,
            asks_since,
        } = self;
        let Some(sending) = piece else {
            return Poll::Ready(Err(misused()));
        };
        let at = sending.offset(buf);
        transfer.set_range(at..at + buf.len() as u64);
        let polled = poll_send_file(io.get_ref(), transfer, sending.file.as_fd(), cx);
        let sent = transfer.sent() as usize;
        let unsent = &files.0.unsent;
        let left = unsent.load(Ordering::Relaxed).saturating_sub(sent);
        unsent.store(left, Ordering::Relaxed);
        if left == 0 {
            if let Some(since) = *asks_since {
                sending.file.set_in_memory(sending.part.clone(), since);
            }
            *piece = None;
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
        let file: OwnedFd = file.into();
        self.shared_body(&SharedFile::new(file), range)
    }

    /// Makes the body of a response from a part of `file`, which other bodies may be sending too.
    ///
    /// The body fails with `UnexpectedEof` if the file is shorter than the range.
    pub fn shared_body(&self, file: &SharedFile, range: Range<u64>) -> FileBody {
        FileBody {
            files: self.clone(),
            file: file.clone(),
            rest: range,
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedFile {
    /// Wraps an open file, such as an [`fs::File`](crate::fs::File). Its position does not matter.
    pub fn new(file: impl AsFd + Send + Sync + 'static) -> SharedFile {
        SharedFile(Arc::new(OpenFile {
            in_memory: Mutex::new(None),
            file,
        }))
    }

    /// Returns true if `part` was in memory a moment before `now`, so that it still is.
    fn is_in_memory(&self, part: &Range<u64>, now: Instant) -> bool {
        let known = self.known();
        known.as_ref().is_some_and(|(known, since)| {
            let age = now.saturating_duration_since(*since);
            known.start <= part.start && part.end <= known.end && age < MAX_AGE
        })
    }

    fn set_in_memory(&self, part: Range<u64>, since: Instant) {
        *self.known() = Some((part, since));
    }

    fn known(&self) -> MutexGuard<'_, Option<(Range<u64>, Instant)>> {
        let in_memory = self.0.in_memory.lock();
        in_memory.unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for SharedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

impl fmt::Debug for SharedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedFile").field(&self.as_fd()).finish()
    }
}

impl Piece {
    fn contains(&self, buf: &[u8]) -> bool {
        let length = (self.part.end - self.part.start) as usize;
        (self.address..self.address + length).contains(&buf.as_ptr().addr())
    }

    /// Returns the offset in the file that a part of the placeholder stands for.
    fn offset(&self, buf: &[u8]) -> u64 {
        self.part.start + (buf.as_ptr().addr() - self.address) as u64
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
        let part = self.rest.start..self.rest.start + length;
        let length = length as usize;
        let bytes = room.slice(..length);
        // Cloning a waker is foreign code, so nothing is locked.
        let waker = cx.waker().clone();
        let mut turn = self.files.turn();
        if turn.is_taken {
            let before = turn.waker.replace(waker);
            drop(turn);
            drop(before);
            return Poll::Pending;
        }
        turn.is_taken = true;
        turn.piece = Some(Piece {
            file: self.file.clone(),
            part: part.clone(),
            address: bytes.as_ptr().addr(),
        });
        self.files.0.unsent.store(length, Ordering::Relaxed);
        self.files.0.has_news.store(true, Ordering::Release);
        drop(turn);
        self.rest.start = part.end;
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
        let mut turn = self.files.turn();
        turn.is_taken = false;
        let piece = turn.piece.take();
        if self.files.0.unsent.load(Ordering::Relaxed) > 0 {
            turn.is_misused = true;
            self.files.0.has_news.store(true, Ordering::Release);
        }
        let waker = turn.waker.take();
        drop(turn);
        drop(piece);
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
        if self.files.0.has_news.load(Ordering::Acquire) {
            self.take_news()?;
        }
        let piece = self.piece.as_ref();
        let file = piece.and_then(|piece| bufs.iter().position(|buf| piece.contains(buf)));
        match file {
            None => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
            Some(0) => self.poll_send(cx, &bufs[0]),
            Some(first) => self.poll_send_after(cx, &bufs[..first], &bufs[first]),
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
