//! Responses from files of a directory: path lookup that cannot leave the directory, ranges, and
//! bodies that are sent without a copy or read at once.
//!
//! On Linux, a file that is in memory is opened and read on the thread of the server; otherwise the
//! blocking pool does it. A large body is a `FileBody`, which the connection sends by sendfile(2).
//! A small one is read and sent with the head, which takes fewer system calls.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use hyper::{Response, StatusCode};
use runtime::compat::hyper::{FileBody, Files};
use runtime::fs;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

/// A directory whose files are served.
#[derive(Clone)]
pub(crate) struct Folder(Arc<OwnedFd>);

impl Folder {
    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(rustix::fs::CWD, path.as_ref(), flags, Mode::empty())?;
        Ok(Folder(Arc::new(fd)))
    }

    pub(crate) async fn answer(
        &self,
        path: &str,
        headers: &HeaderMap,
        files: &Files,
    ) -> Response<Content> {
        let Some(names) = names(path) else {
            return failure(StatusCode::NOT_FOUND);
        };
        let content_type = content_type(names.last());
        if let Some((file, metadata)) = self.find_in_memory(&names) {
            return answer(file, &metadata, content_type, headers, files);
        }
        let folder = self.clone();
        let found = runtime::spawn_blocking(move || folder.find(&names)).await;
        match found {
            Ok(Ok((file, metadata))) => answer(file, &metadata, content_type, headers, files),
            Ok(Err(e)) => failure(status_of(e)),
            Err(_) => failure(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Opens a regular file if that needs no disk, with the same guarantees as `find`. Does not
    /// block, unless the directory is on a network file system: then the kernel asks its server.
    #[cfg(target_os = "linux")]
    fn find_in_memory(&self, names: &[OsString]) -> Option<(File, Metadata)> {
        use rustix::fs::{ResolveFlags, openat2};

        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::CACHED;
        let path = names.join("/".as_ref());
        let file = openat2(&self.0, path, flags, Mode::empty(), resolve).ok()?;
        let file = File::from(file);
        let metadata = file.metadata().ok()?;
        metadata.is_file().then_some((file, metadata))
    }

    /// Finds nothing: only Linux can say whether a file is in memory.
    #[cfg(not(target_os = "linux"))]
    fn find_in_memory(&self, _: &[OsString]) -> Option<(File, Metadata)> {
        None
    }

    /// Opens a regular file. Blocks.
    ///
    /// Opens one directory after the other relative to its parent and follows no symbolic link.
    /// Checking a path before opening it would leave a window in which it could be replaced.
    /// (Linux has openat2(2) for this; opening step by step works on every Unix.)
    fn find(&self, names: &[OsString]) -> Result<(File, Metadata), Errno> {
        // Without NONBLOCK, opening a FIFO would wait for a writer.
        let any = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let (name, parents) = names.split_last().ok_or(Errno::NOENT)?;
        let mut folder = self.0.clone();
        for parent in parents {
            let flags = any | OFlags::DIRECTORY;
            folder = Arc::new(openat(&folder, parent, flags, Mode::empty())?);
        }
        let file = File::from(openat(&folder, name, any, Mode::empty())?);
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok((file, metadata)),
            Ok(_) => Err(Errno::NOENT),
            Err(e) => Err(Errno::from_io_error(&e).unwrap_or(Errno::IO)),
        }
    }
}

/// Returns the status of a response for a file that cannot be opened.
fn status_of(e: Errno) -> StatusCode {
    match e {
        // Too many open files or too little memory: this passes.
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        // A client cannot tell a missing file from a forbidden one, a symbolic link or a device.
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::ACCESS
        | Errno::PERM
        | Errno::LOOP
        | Errno::MLINK
        | Errno::NAMETOOLONG
        | Errno::ILSEQ
        | Errno::INVAL
        | Errno::NODEV
        | Errno::NXIO => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Splits the path of a URL into file names, each percent-decoded once. Returns `None` if one of
/// them is not a plain name: empty, `.`, `..`, or with a slash or a zero byte.
fn names(path: &str) -> Option<Vec<OsString>> {
    let names = path.split('/').map(|part| {
        let name = percent_decode(part)?;
        let special = matches!(&name[..], b"" | b"." | b"..");
        (!special && !name.contains(&b'/') && !name.contains(&0)).then_some(name)
    });
    names.map(|name| name.map(OsString::from_vec)).collect()
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    Some(decoded)
}

fn content_type(name: Option<&OsString>) -> &'static str {
    let extension = name.and_then(|name| Path::new(name).extension());
    match extension.map_or(&b""[..], |extension| extension.as_bytes()) {
        b"html" => "text/html; charset=utf-8",
        b"txt" | b"md" | b"rs" | b"toml" => "text/plain; charset=utf-8",
        b"css" => "text/css",
        b"js" => "text/javascript",
        b"json" => "application/json",
        b"png" => "image/png",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"svg" => "image/svg+xml",
        b"pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

fn answer(
    file: File,
    metadata: &Metadata,
    content_type: &'static str,
    headers: &HeaderMap,
    files: &Files,
) -> Response<Content> {
    let length = metadata.len();
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    let tag = format!("\"{length:x}-{seconds:x}-{nanoseconds:x}\"");
    let value = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());

    let mut response = Response::builder()
        .header(ACCEPT_RANGES, "bytes")
        .header(ETAG, &tag)
        .header(CONTENT_TYPE, content_type);
    if let Ok(modified) = metadata.modified() {
        response = response.header(LAST_MODIFIED, httpdate::fmt_http_date(modified));
    }
    if value(IF_NONE_MATCH) == Some(&tag) {
        let not_modified = response.status(StatusCode::NOT_MODIFIED);
        return built(not_modified.body(Content::text("")));
    }
    // A date in If-Range never matches: its resolution of a second is too coarse.
    let unchanged = value(IF_RANGE).is_none_or(|known| known == tag);
    let range = value(RANGE).filter(|_| unchanged);
    let range = range.map_or(RequestedRange::Whole, |range| parse_range(range, length));
    let range = match range {
        RequestedRange::Whole => 0..length,
        RequestedRange::Part(range) => {
            let part = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, part);
            range
        }
        RequestedRange::Unsatisfiable => {
            response = response
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(CONTENT_RANGE, format!("bytes */{length}"));
            0..0
        }
    };
    let response = response.header(CONTENT_LENGTH, range.end - range.start);
    built(response.body(if range.end - range.start > MAX_READ_BYTES {
        Content::Large(files.body(file, range))
    } else {
        Content::Small(SmallFile {
            // Its name does not matter: an error ends the connection.
            file: Some(fs::File::from_std(file, "")),
            rest: range,
            reading: None,
        })
    }))
}

fn failure(status: StatusCode) -> Response<Content> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8");
    built(match status {
        StatusCode::SERVICE_UNAVAILABLE => response.header(RETRY_AFTER, "1").body(Content::text(
            "The server is out of descriptors or memory. Try again later.\n",
        )),
        StatusCode::NOT_FOUND => response.body(Content::text("File not found.\n")),
        _ => response.body(Content::text("Internal server error.\n")),
    })
}

fn built(response: hyper::http::Result<Response<Content>>) -> Response<Content> {
    response.expect("all headers are valid")
}

#[derive(Debug, PartialEq)]
enum RequestedRange {
    Whole,
    /// A range that is not empty.
    Part(Range<u64>),
    /// A range outside the file.
    Unsatisfiable,
}

/// Parses a `Range` header. An invalid header and a list of ranges count as the whole file, which a
/// server may always send (RFC 9110, 14.2).
fn parse_range(range: &str, length: u64) -> RequestedRange {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that exceeds `u64` is beyond the end of any file.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return RequestedRange::Whole;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return RequestedRange::Whole,
    };
    if range.is_empty() {
        RequestedRange::Unsatisfiable
    } else {
        RequestedRange::Part(range)
    }
}

/// The body of a response.
pub(crate) enum Content {
    Text(Bytes),
    Small(SmallFile),
    Large(FileBody),
}

impl Content {
    pub(crate) fn text(text: &'static str) -> Content {
        Content::Text(Bytes::from_static(text.as_bytes()))
    }
}

/// A body of more bytes is sent by sendfile(2).
const MAX_READ_BYTES: u64 = 32 * 1024;

/// A range of a file that is read into memory when hyper asks for it.
pub(crate) struct SmallFile {
    file: Option<fs::File>,
    /// The part that has not been read yet: the whole range, or nothing.
    rest: Range<u64>,
    reading: Option<Pin<Box<dyn Future<Output = io::Result<Bytes>>>>>,
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let bytes = match &mut *self {
            Content::Text(text) => Ok(std::mem::take(text)),
            Content::Small(file) => ready!(file.poll_bytes(cx)),
            Content::Large(file) => return Pin::new(file).poll_frame(cx),
        };
        Poll::Ready(match bytes {
            Ok(bytes) if bytes.is_empty() => None,
            bytes => Some(bytes.map(Frame::data)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Text(text) => SizeHint::with_exact(text.len() as u64),
            Content::Small(file) => SizeHint::with_exact(file.rest.end - file.rest.start),
            Content::Large(file) => file.size_hint(),
        }
    }
}

impl SmallFile {
    /// Reads the range; no bytes mark the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if let Some(file) = self.file.take().filter(|_| !self.rest.is_empty()) {
            self.reading = Some(Box::pin(read(file, self.rest.clone())));
        }
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(Ok(Bytes::new()));
        };
        let bytes = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        self.rest.start = self.rest.end;
        Poll::Ready(bytes)
    }
}

/// Reads a range of a file.
async fn read(file: fs::File, range: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let mut read = 0;
    while read < bytes.len() {
        match file
            .read_at(&mut bytes[read..], range.start + read as u64)
            .await?
        {
            // A file truncated in the meantime: the header has announced its former length.
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => read += n,
        }
    }
    Ok(bytes.into())
}
