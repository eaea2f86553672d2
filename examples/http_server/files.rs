//! Responses from files of a directory: path lookup that cannot leave the directory, ranges, and
//! bodies that are sent without a copy or read at once.
//!
//! On Linux, a file that is in memory is opened and read on the thread of the server; otherwise the
//! blocking pool does it. A large body is a `FileBody`, which the connection sends by sendfile(2).
//! A small one is read and sent with the head, which takes fewer system calls.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE,
    RETRY_AFTER,
};
use hyper::{Method, Request, Response, StatusCode};
use runtime::compat::hyper::{FileBody, Files};
use runtime::fs;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::open_files::{OpenFile, OpenFiles};

/// A directory whose files are served.
pub(crate) struct Folder {
    fd: Arc<OwnedFd>,
    open_files: Rc<OpenFiles>,
}

impl Folder {
    pub(crate) fn open(path: impl AsRef<Path>, max_open_files: usize) -> io::Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(rustix::fs::CWD, path.as_ref(), flags, Mode::empty())?;
        Ok(Folder {
            fd: Arc::new(fd),
            open_files: OpenFiles::new(max_open_files),
        })
    }

    pub(crate) async fn answer(
        &self,
        path: &str,
        request: &Request<Incoming>,
        files: &Files,
    ) -> Response<Content> {
        let file = match self.open_files.get(path) {
            Some(file) => file,
            None => match self.open_file(path).await {
                Ok(file) => file,
                Err(e) => return failure(status_of(e)),
            },
        };
        answer(&file, request, files).await
    }

    async fn open_file(&self, path: &str) -> Result<Rc<OpenFile>, Errno> {
        let names = names(path).ok_or(Errno::NOENT)?;
        let content_type = content_type(names.last());
        let (file, metadata) = match find_in_memory(&self.fd, &names) {
            Some(found) => found,
            None => self.find_on_pool(names).await?,
        };
        let file = Rc::new(OpenFile::new(file, &metadata, content_type));
        self.open_files.insert(path, file.clone());
        Ok(file)
    }

    async fn find_on_pool(&self, names: Vec<OsString>) -> Result<(File, Metadata), Errno> {
        let names: Arc<[OsString]> = names.into();
        loop {
            let (folder, names) = (self.fd.clone(), names.clone());
            let found = runtime::spawn_blocking(move || find(folder, &names)).await;
            match found.map_err(|_| Errno::IO)? {
                Err(Errno::MFILE | Errno::NFILE) if self.open_files.close() => {}
                found => return found,
            }
        }
    }
}

/// Opens a regular file if that needs no disk, with the same guarantees as `find`. Does not block,
/// unless the directory is on a network file system: then the kernel asks its server.
#[cfg(target_os = "linux")]
fn find_in_memory(folder: &OwnedFd, names: &[OsString]) -> Option<(File, Metadata)> {
    use rustix::fs::{ResolveFlags, openat2};

    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::CACHED;
    let path = names.join("/".as_ref());
    let file = openat2(folder, path, flags, Mode::empty(), resolve).ok()?;
    let file = File::from(file);
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some((file, metadata))
}

/// Finds nothing: only Linux can say whether a file is in memory.
#[cfg(not(target_os = "linux"))]
fn find_in_memory(_: &OwnedFd, _: &[OsString]) -> Option<(File, Metadata)> {
    None
}

/// Opens a regular file. Blocks.
///
/// Opens one directory after the other relative to its parent and follows no symbolic link.
/// Checking a path before opening it would leave a window in which it could be replaced. (Linux has
/// openat2(2) for this; opening step by step works on every Unix.)
fn find(mut folder: Arc<OwnedFd>, names: &[OsString]) -> Result<(File, Metadata), Errno> {
    // Without NONBLOCK, opening a FIFO would wait for a writer.
    let any = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let (name, parents) = names.split_last().ok_or(Errno::NOENT)?;
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

async fn answer(file: &OpenFile, request: &Request<Incoming>, files: &Files) -> Response<Content> {
    let headers = request.headers();
    let mut status = StatusCode::OK;
    let mut content_range = None;
    // A date in If-Range never matches: its resolution of a second is too coarse.
    let unchanged = headers.get(IF_RANGE).is_none_or(|known| known == file.tag);
    let range = headers.get(RANGE).filter(|_| unchanged);
    let range = range.and_then(|range| range.to_str().ok());
    let range = range.map_or(RequestedRange::Whole, |it| parse_range(it, file.length));
    let mut range = match range {
        RequestedRange::Whole => 0..file.length,
        RequestedRange::Part(range) => {
            let (first, last) = (range.start, range.end - 1);
            status = StatusCode::PARTIAL_CONTENT;
            content_range = Some(format!("bytes {first}-{last}/{}", file.length));
            range
        }
        RequestedRange::Unsatisfiable => {
            status = StatusCode::RANGE_NOT_SATISFIABLE;
            content_range = Some(format!("bytes */{}", file.length));
            0..0
        }
    };
    if headers.get(IF_NONE_MATCH) == Some(&file.tag) {
        (status, content_range, range) = (StatusCode::NOT_MODIFIED, None, 0..0);
    }
    let length = range.end - range.start;
    let is_head = request.method() == Method::HEAD;
    let content = if is_head || length == 0 {
        Content::text("")
    } else if length > MAX_READ_BYTES {
        Content::File(files.shared_body(&file.shared, range))
    } else {
        match read(&file.file, range).await {
            Ok(bytes) => Content::Bytes(bytes),
            Err(_) => return failure(StatusCode::INTERNAL_SERVER_ERROR),
        }
    };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.clone_from(&file.headers);
    if let Some(range) = content_range {
        headers.insert(CONTENT_RANGE, valid(range));
    }
    // Otherwise hyper adds the length of the body.
    if is_head && status != StatusCode::NOT_MODIFIED {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// Returns a header of characters that are valid in one.
pub(crate) fn valid(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("all headers are valid")
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
    Bytes(Bytes),
    File(FileBody),
}

impl Content {
    pub(crate) fn text(text: &'static str) -> Content {
        Content::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

/// A body of more bytes is sent by sendfile(2), which takes half the CPU time for 16 KiB and more
/// for 1 KiB.
const MAX_READ_BYTES: u64 = 8 * 1024;

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Content::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::File(file) => Pin::new(file).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::File(file) => file.size_hint(),
        }
    }
}

/// Reads a range of a file.
async fn read(file: &fs::File, range: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let mut read = 0;
    while read < bytes.len() {
        match file
            .read_at(&mut bytes[read..], range.start + read as u64)
            .await?
        {
            // A file truncated in the meantime.
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => read += n,
        }
    }
    Ok(bytes.into())
}
