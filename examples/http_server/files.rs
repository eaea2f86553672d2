//! Files as answers: found without leaving the directory, read piece by piece on other threads.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
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
use runtime::task::JoinHandle;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

/// A directory whose files may be asked for.
#[derive(Clone)]
pub(crate) struct Folder(Arc<OwnedFd>);

impl Folder {
    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(rustix::fs::CWD, path.as_ref(), flags, Mode::empty())?;
        Ok(Folder(Arc::new(fd)))
    }

    pub(crate) async fn answer(&self, path: &str, asked: &HeaderMap) -> Response<Content> {
        let Some(names) = names(path) else {
            return failure(StatusCode::NOT_FOUND);
        };
        let content_type = content_type(names.last());
        let folder = self.clone();
        let found = runtime::spawn_blocking(move || folder.find(&names)).await;
        match found {
            Ok(Ok((file, metadata))) => answer(file, &metadata, content_type, asked),
            Ok(Err(Errno::MFILE | Errno::NFILE)) => failure(StatusCode::SERVICE_UNAVAILABLE),
            // Missing, forbidden, a symbolic link: all the same to a stranger.
            Ok(Err(_)) => failure(StatusCode::NOT_FOUND),
            Err(_) => failure(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Opens a regular file. Blocks.
    ///
    /// It goes down from directory to directory and follows no symbolic link, wherever that leads.
    /// So there is nothing to check afterwards, and no moment in which somebody could exchange what
    /// was checked. (Linux has openat2(2) for this; going step by step works on every Unix.)
    fn find(&self, names: &[OsString]) -> Result<(File, Metadata), Errno> {
        // Opening a FIFO would wait for somebody who writes to it, but for NONBLOCK.
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
            _ => Err(Errno::NOENT),
        }
    }
}

/// The names that a path of a URL consists of; `None` if one of them could be more than the name of
/// something in a directory. It is looked at after decoding, and decoded once.
fn names(path: &str) -> Option<Vec<OsString>> {
    let names = path.split('/').map(|part| {
        let name = percent_decode(part)?;
        let tricky = matches!(&name[..], b"" | b"." | b"..");
        (!tricky && !name.contains(&b'/') && !name.contains(&0)).then_some(name)
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
    asked: &HeaderMap,
) -> Response<Content> {
    let length = metadata.len();
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    let tag = format!("\"{length:x}-{seconds:x}-{nanoseconds:x}\"");
    let value = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());

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
    // "If it is still what I have a part of": dates are too coarse to say so.
    let unchanged = value(IF_RANGE).is_none_or(|had| had == tag);
    let range = value(RANGE).filter(|_| unchanged);
    let range = range.map_or(Asked::Whole, |range| asked_for(range, length));
    let range = match range {
        Asked::Whole => 0..length,
        Asked::Part(range) => {
            let part = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, part);
            range
        }
        Asked::Nothing => {
            response = response
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(CONTENT_RANGE, format!("bytes */{length}"));
            0..0
        }
    };
    let response = response.header(CONTENT_LENGTH, range.end - range.start);
    built(response.body(Content::File(Piecewise {
        file: Arc::new(file),
        rest: range,
        reading: None,
    })))
}

fn failure(status: StatusCode) -> Response<Content> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8");
    built(match status {
        StatusCode::SERVICE_UNAVAILABLE => response
            .header(RETRY_AFTER, "1")
            .body(Content::text("Too many files are open. Try again.\n")),
        StatusCode::NOT_FOUND => response.body(Content::text("There is no such file.\n")),
        _ => response.body(Content::text("That failed.\n")),
    })
}

fn built(response: hyper::http::Result<Response<Content>>) -> Response<Content> {
    response.expect("every header above is a valid one")
}

#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    /// Not empty.
    Part(Range<u64>),
    /// A part that the file has not.
    Nothing,
}

/// Reads a `Range` header. What cannot be read, and several ranges at once, count as the whole file:
/// a server may always send that (RFC 9110, 14.2).
fn asked_for(range: &str, length: u64) -> Asked {
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large for us is beyond any file's end.
        true if !text.is_empty() => Some(text.parse().unwrap_or(u64::MAX)),
        _ => None,
    };
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|r| r.split_once('-')) else {
        return Asked::Whole;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(count)) if first.is_empty() => length.saturating_sub(count)..length,
        _ => return Asked::Whole,
    };
    if range.is_empty() {
        Asked::Nothing
    } else {
        Asked::Part(range)
    }
}

/// The body of an answer.
pub(crate) enum Content {
    Text(Bytes),
    File(Piecewise),
}

impl Content {
    pub(crate) fn text(text: &'static str) -> Content {
        Content::Text(Bytes::from_static(text.as_bytes()))
    }
}

/// A part of a file, of which only a piece is in memory at any time.
pub(crate) struct Piecewise {
    file: Arc<File>,
    rest: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

const PIECE_BYTES: u64 = 128 * 1024;

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    /// hyper asks for the next piece when it has sent most of those before.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match &mut *self {
            Content::Text(text) => Ok(std::mem::take(text)),
            Content::File(file) => ready!(file.poll_piece(cx)),
        };
        Poll::Ready(match piece {
            Ok(piece) if piece.is_empty() => None,
            piece => Some(piece.map(Frame::data)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Content::Text(text) => text.len() as u64,
            Content::File(file) => file.rest.end - file.rest.start,
        })
    }
}

impl Piecewise {
    /// Nothing, when all is read.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.rest.is_empty() {
            return Poll::Ready(Ok(Bytes::new()));
        }
        let (file, rest) = (&self.file, &self.rest);
        let reading = self.reading.get_or_insert_with(|| {
            let (file, at) = (file.clone(), rest.start);
            let length = PIECE_BYTES.min(rest.end - at) as usize;
            runtime::spawn_blocking(move || read_piece(&file, at, length))
        });
        let piece = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let piece = piece??;
        self.rest.start += piece.len() as u64;
        Poll::Ready(Ok(piece))
    }
}

/// Blocks.
fn read_piece(file: &File, at: u64, length: usize) -> io::Result<Bytes> {
    let mut piece = vec![0; length];
    // A file that was cut short meanwhile is an error, since its length has been announced.
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}
