//! The lower bounds: an epoll loop without a runtime, and an executor that is only a queue.
//!
//! The executor makes one allocation a task, counts references without atomics, and links its queue
//! through the tasks. Its wakers are unsound on other threads, so it is a bound and not a peer.

use std::cell::{Cell, UnsafeCell};
use std::future::Future;
use std::io::ErrorKind;
use std::mem::ManuallyDrop;
use std::net;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::{Pin, pin};
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use super::{BUFFER, Service, Tasks};
use crate::sys::{self, Epoll};

pub(crate) struct Bare;

impl Tasks for Bare {
    fn block_on<F: Future>(future: F) -> F::Output {
        let mut root = pin!(future);
        // SAFETY: the vtable's functions access only a thread-local; the waker stays on this
        // thread.
        let waker = unsafe { Waker::new(ptr::null(), &ROOT) };
        ROOT_WOKEN.set(true);
        loop {
            if ROOT_WOKEN.replace(false)
                && let Poll::Ready(output) = root.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return output;
            }
            // The batch contains the tasks queued now, not those queued meanwhile.
            let last = TAIL.get();
            while let Some(head) = pop() {
                // SAFETY: the queue holds one count of each task in it.
                let poll = unsafe { (*head).poll };
                // SAFETY: that count is given away, and the function is the task's own.
                unsafe { poll(head) };
                if head == last {
                    break;
                }
            }
        }
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Unpin
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let task = Rc::new(Task {
            header: Header {
                next: Cell::new(ptr::null()),
                queued: Cell::new(true),
                poll: poll::<F>,
            },
            joiner: Cell::new(None),
            stage: UnsafeCell::new(Stage::Running(future)),
        });
        push(Rc::into_raw(task.clone()).cast());
        Joined(task)
    }
}

thread_local! {
    static HEAD: Cell<*const Header> = const { Cell::new(ptr::null()) };
    static TAIL: Cell<*const Header> = const { Cell::new(ptr::null()) };
    static ROOT_WOKEN: Cell<bool> = const { Cell::new(false) };
}

static ROOT: RawWakerVTable = RawWakerVTable::new(
    |_| RawWaker::new(ptr::null(), &ROOT),
    |_| ROOT_WOKEN.set(true),
    |_| ROOT_WOKEN.set(true),
    |_| {},
);

struct Header {
    next: Cell<*const Header>,
    queued: Cell<bool>,
    poll: unsafe fn(*const Header),
}

#[repr(C)]
struct Task<F: Future> {
    /// First, so that a pointer to it is a pointer to the task.
    header: Header,
    joiner: Cell<Option<Waker>>,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    Running(F),
    Finished(Option<F::Output>),
}

fn push(task: *const Header) {
    let last = TAIL.replace(task);
    if last.is_null() {
        HEAD.set(task);
    } else {
        // SAFETY: the queue holds one count of each task in it.
        unsafe { (*last).next.set(task) };
    }
}

fn pop() -> Option<*const Header> {
    let head = HEAD.get();
    if head.is_null() {
        return None;
    }
    // SAFETY: the queue holds one count of each task in it.
    let next = unsafe { (*head).next.replace(ptr::null()) };
    HEAD.set(next);
    if next.is_null() {
        TAIL.set(ptr::null());
    }
    Some(head)
}

/// # Safety
/// The header must belong to a `Task<F>` in an `Rc`, of which the caller gives one count away.
unsafe fn poll<F: Future>(header: *const Header) {
    // SAFETY: the caller upholds the contract above.
    let task = unsafe { Rc::from_raw(header.cast::<Task<F>>()) };
    task.header.queued.set(false);
    // SAFETY: the count that `task` holds outlives the waker, which is not dropped.
    let waker = ManuallyDrop::new(unsafe { Waker::new(header.cast(), table::<F>()) });
    // SAFETY: no other reference to the stage exists: joiners access it on this thread between
    // polls.
    let stage = unsafe { &mut *task.stage.get() };
    let Stage::Running(future) = stage else {
        return;
    };
    // SAFETY: the future is in an `Rc` and is dropped in place.
    let future = unsafe { Pin::new_unchecked(future) };
    if let Poll::Ready(output) = future.poll(&mut Context::from_waker(&waker)) {
        *stage = Stage::Finished(Some(output));
        if let Some(joiner) = task.joiner.take() {
            joiner.wake();
        }
    }
}

fn table<F: Future>() -> &'static RawWakerVTable {
    const {
        &RawWakerVTable::new(
            clone_waker::<F>,
            |data| {
                wake_by_ref::<F>(data);
                drop_waker::<F>(data);
            },
            wake_by_ref::<F>,
            drop_waker::<F>,
        )
    }
}

fn clone_waker<F: Future>(data: *const ()) -> RawWaker {
    // SAFETY: a waker holds a count.
    unsafe { Rc::increment_strong_count(data.cast::<Task<F>>()) };
    RawWaker::new(data, table::<F>())
}

fn wake_by_ref<F: Future>(data: *const ()) {
    // SAFETY: a waker holds a count.
    let header = unsafe { &*data.cast::<Header>() };
    if !header.queued.replace(true) {
        // SAFETY: a waker holds a count. The new count belongs to the queue.
        unsafe { Rc::increment_strong_count(data.cast::<Task<F>>()) };
        push(data.cast());
    }
}

fn drop_waker<F: Future>(data: *const ()) {
    // SAFETY: this waker owns the count.
    unsafe { Rc::decrement_strong_count(data.cast::<Task<F>>()) };
}

struct Joined<F: Future>(Rc<Task<F>>);

impl<F: Future> Unpin for Joined<F> {}

impl<F: Future> Future for Joined<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the task is not being polled now, since no task here awaits itself.
        if let Stage::Finished(output) = unsafe { &mut *self.0.stage.get() } {
            return Poll::Ready(output.take().expect("polled after it was ready"));
        }
        self.0.joiner.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

struct Connection {
    fd: OwnedFd,
    /// The bytes that could not be written yet.
    rest: Vec<u8>,
}

/// Accepts and serves until the process is killed.
pub(crate) fn serve(listener: net::TcpListener, service: Service) {
    const LISTENER: u64 = u64::MAX;
    let mut epoll = Epoll::new().unwrap();
    epoll
        .add(listener.as_raw_fd(), sys::EDGE_READ, LISTENER)
        .unwrap();
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut buffer = vec![0; BUFFER];
    let mut ready = Vec::new();
    loop {
        ready.clear();
        ready.extend(epoll.wait(-1).unwrap().iter().map(|event| event.u64));
        for &key in &ready {
            if key != LISTENER {
                let at = key as usize;
                let connection = connections[at].as_mut();
                if connection.is_some_and(|it| !go_on(it, &mut buffer, service)) {
                    connections[at] = None;
                    free.push(at);
                }
                continue;
            }
            while let Ok(fd) = sys::accept(listener.as_raw_fd()) {
                let rest = Vec::new();
                let mut connection = Connection { fd, rest };
                // Data that has arrived is read without a registration.
                if !go_on(&mut connection, &mut buffer, service) {
                    continue;
                }
                let at = free.pop().unwrap_or_else(|| {
                    connections.push(None);
                    connections.len() - 1
                });
                epoll
                    .add(connection.fd.as_raw_fd(), sys::EDGE_BOTH, at as u64)
                    .unwrap();
                connections[at] = Some(connection);
            }
        }
    }
}

/// Reads and writes until it would block. Returns false at the end.
fn go_on(connection: &mut Connection, buffer: &mut [u8], service: Service) -> bool {
    let fd = connection.fd.as_raw_fd();
    while !connection.rest.is_empty() {
        match sys::send(fd, &connection.rest) {
            Ok(sent) => drop(connection.rest.drain(..sent)),
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        }
    }
    loop {
        let read = match sys::receive(fd, buffer) {
            Ok(0) => return false,
            Ok(read) => read,
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        };
        let sent = match sys::send(fd, &buffer[..read]) {
            Ok(sent) => sent,
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => return false,
        };
        if service == Service::Once {
            return false;
        }
        if sent < read {
            connection.rest.extend_from_slice(&buffer[sent..read]);
            return true;
        }
        if read < buffer.len() {
            return true;
        }
    }
}
