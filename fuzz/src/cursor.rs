//! `io::Cursor` beside std's.

use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Seek, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use runtime::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, Cursor, SeekFrom};

/// Repeats an operation that was interrupted to let other tasks run. That happens at most once.
fn now<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>) -> io::Result<T> {
    let mut cx = Context::from_waker(Waker::noop());
    match poll(&mut cx) {
        Poll::Ready(result) => result,
        Poll::Pending => match poll(&mut cx) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("pending twice in a row"),
        },
    }
}

fn same<T: PartialEq + std::fmt::Debug>(ours: io::Result<T>, theirs: io::Result<T>) {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
        (Err(ours), Err(theirs)) => assert_eq!(ours.kind(), theirs.kind()),
        (ours, theirs) => panic!("{ours:?} and {theirs:?}"),
    }
}

/// Performs the operations that `data` describes, two bytes for each, on both cursors.
pub fn cursor(data: &[u8]) {
    let mut ours = Cursor::new(Vec::new());
    let mut theirs = io::Cursor::new(Vec::new());
    for operation in data.chunks_exact(2) {
        let n = usize::from(operation[1]);
        match operation[0] % 7 {
            0 => {
                let mut bufs = [[0; 255]; 2];
                let (a, b) = bufs.split_at_mut(1);
                let read = now(|cx| Pin::new(&mut ours).poll_read(cx, &mut a[0][..n]));
                same(read, theirs.read(&mut b[0][..n]));
                assert_eq!(bufs[0], bufs[1]);
            }
            1 => {
                let bytes = vec![operation[0]; n];
                let written = now(|cx| Pin::new(&mut ours).poll_write(cx, &bytes));
                same(written, theirs.write(&bytes));
            }
            2 => {
                let offset = i64::from(operation[1] as i8);
                let position = match operation[0] % 3 {
                    0 => SeekFrom::Start(n as u64),
                    1 => SeekFrom::Current(offset),
                    _ => SeekFrom::End(offset),
                };
                let sought = now(|cx| Pin::new(&mut ours).poll_seek(cx, position));
                same(sought, theirs.seek(position));
            }
            3 => {
                let fill = |bytes: &[u8]| bytes.to_vec();
                let filled = now(|cx| Pin::new(&mut ours).poll_fill_buf(cx).map_ok(fill)).unwrap();
                assert_eq!(filled, theirs.fill_buf().unwrap());
                let amount = n.min(filled.len());
                Pin::new(&mut ours).consume(amount);
                theirs.consume(amount);
            }
            4 => {
                let mut bufs = [[0; 16]; 4];
                let (one, two) = bufs.split_at_mut(2);
                let (a, b) = one.split_at_mut(1);
                let mut slices = [
                    IoSliceMut::new(&mut a[0][..n % 16]),
                    IoSliceMut::new(&mut b[0]),
                ];
                let read = now(|cx| Pin::new(&mut ours).poll_read_vectored(cx, &mut slices));
                let (a, b) = two.split_at_mut(1);
                let mut slices = [
                    IoSliceMut::new(&mut a[0][..n % 16]),
                    IoSliceMut::new(&mut b[0]),
                ];
                same(read, theirs.read_vectored(&mut slices));
                assert_eq!(bufs[..2], bufs[2..]);
            }
            5 => {
                let (a, b) = (vec![1; n % 9], vec![2; n % 5]);
                let slices = [IoSlice::new(&a), IoSlice::new(&b)];
                let written = now(|cx| Pin::new(&mut ours).poll_write_vectored(cx, &slices));
                same(written, theirs.write_vectored(&slices));
            }
            _ => {
                ours.set_position(n as u64);
                theirs.set_position(n as u64);
            }
        }
        assert_eq!(ours.position(), theirs.position());
        assert_eq!(ours.get_ref(), theirs.get_ref());
    }
}
