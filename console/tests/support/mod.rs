//! A program with a console on a thread of its own, and a client that writes requests by hand.

#![allow(dead_code, reason = "no test uses every item")]

pub(crate) mod browser;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use runtime::net::{TcpListener, TcpSocket};
use runtime::task::CancellationToken;
use runtime::{Runtime, task};
use runtime_console::Builder;
use serde_json::Value;

/// The time after which a missing response fails the test.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A program that runs until this is dropped.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Returns a listener whose connections hold little that was not read.
fn listener() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(16 << 10)?;
    socket.bind("127.0.0.1:0".parse().unwrap())?;
    socket.listen(128)
}

impl Program {
    /// Starts a runtime that runs `work` and a console.
    pub(crate) fn start(
        runtime: runtime::Builder,
        console: Builder,
        work: impl FnOnce() + Send + 'static,
    ) -> Program {
        let (send, address) = channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let runtime = runtime.build().unwrap();
            runtime.block_on(async {
                let listener = listener().unwrap();
                send.send(listener.local_addr().unwrap()).unwrap();
                drop(console.spawn(listener).unwrap());
                work();
                stopped.cancelled().await;
            });
        });
        Program {
            address: address.recv().unwrap(),
            stop,
            thread: Some(thread),
        }
    }

    /// Starts a runtime with a console and no other task.
    pub(crate) fn idle() -> Program {
        Program::start(Runtime::builder(), Builder::new(), || {})
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Sends a request and returns the head and the body of the response.
    pub(crate) fn send(&self, request: &str) -> (String, String) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        // A stream of events would have no end.
        let mut stream = stream.take(256 << 10);
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    pub(crate) fn get(&self, path: &str) -> (String, String) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// Opens the stream of events.
    pub(crate) fn events(&self) -> Events {
        Events::of(self.connect())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop.cancel();
        let result = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            result.unwrap().unwrap();
        }
    }
}

/// A stream of events.
pub(crate) struct Events {
    pub(crate) head: String,
    reader: BufReader<TcpStream>,
}

impl Events {
    /// Requests the events. The response to a request of HTTP/1.0 is not divided into chunks.
    pub(crate) fn of(mut stream: TcpStream) -> Events {
        stream
            .write_all(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
        Events { head, reader }
    }

    /// Returns the text of the next event; `None` at the end.
    pub(crate) fn next_text(&mut self) -> Option<String> {
        let mut event = String::new();
        while !event.ends_with("\n\n") {
            match self.reader.read_line(&mut event) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("no event in {LIMIT:?}"),
                // The connection was reset.
                Err(_) => return None,
            }
        }
        Some(event)
    }

    pub(crate) fn next(&mut self) -> Value {
        let event = self.next_text().expect("the stream goes on");
        serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap()
    }

    /// Reads to the end, and returns the number of events.
    pub(crate) fn drain(&mut self) -> usize {
        let (begin, mut events) = (Instant::now(), 0);
        while self.next_text().is_some() {
            events += 1;
            assert!(begin.elapsed() < LIMIT, "the stream goes on");
        }
        events
    }

    /// Returns the first event for which `condition` holds.
    pub(crate) fn find(&mut self, condition: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let event = self.next();
            if condition(&event) {
                return event;
            }
            assert!(begin.elapsed() < LIMIT, "no such event: {event}");
        }
    }
}

/// Returns the row of the task with a name.
pub(crate) fn row<'a>(event: &'a Value, name: &str) -> Option<&'a Value> {
    let mut rows = event["tasks"]["rows"].as_array().unwrap().iter();
    rows.find(|row| row["name"] == name)
}

/// Spawns a detached task with a name.
pub(crate) fn spawn(name: &str, future: impl Future<Output = ()> + 'static) {
    drop(task::Builder::new().name(name).spawn(future));
}
