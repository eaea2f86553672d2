//! A chat server. Each line that a member sends goes to all other members. A member who reads too
//! slowly misses lines, but does not delay the others.
//!
//! It shows tasks that share state through `Rc` and `RefCell`: they run on one thread and need no
//! lock. It prints the address it listens on, and a line when a member joins or leaves.
//!
//! Run with:
//!
//!     cargo run --example chat
//!
//! and connect from several terminals:
//!
//!     nc 127.0.0.1 8080

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;

use async_channel::{Receiver, Sender, bounded};
use common::Arguments;
use runtime::io::{self, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use runtime::net::TcpStream;
use runtime::net::tcp::{ReadHalf, WriteHalf};

/// The maximum number of lines queued for a member.
const QUEUE_LINES: usize = 64;
/// The maximum length of a line, in bytes.
const LINE_BYTES: u64 = 1024;

#[runtime::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::new("chat [--listen ADDR]");
    let address = arguments.address("--listen");
    arguments.finish();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    common::report("chat", serve(&address).await)
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = common::listen(address).await?;
    let room = Rc::new(Room::default());
    loop {
        let (stream, peer) = listener.accept().await?;
        let room = room.clone();
        runtime::spawn(async move {
            if let Err(e) = serve_client(&stream, &room).await {
                common::print_error(format_args!("{peer}: {e}"));
            }
        });
    }
}

/// The members of the chat, by name.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<Rc<str>, Member>>,
}

struct Member {
    /// The lines that wait to be written to this member.
    queue: Sender<Rc<str>>,
    /// The number of dropped lines that this member has not been notified of.
    missed: usize,
}

impl Room {
    /// Queues a line for every member except `author`. It never waits, so that the borrow ends
    /// before another task runs.
    fn send_to_all_but(&self, author: &str, line: Rc<str>) {
        for (name, member) in &mut *self.members.borrow_mut() {
            if **name != *author {
                member.send(line.clone());
            }
        }
    }
}

impl Member {
    fn send(&mut self, line: Rc<str>) {
        if self.missed > 0 {
            let notice = format!("* you have missed {} lines", self.missed);
            if self.queue.try_send(notice.into()).is_ok() {
                self.missed = 0;
            }
        }
        if self.queue.try_send(line).is_err() {
            self.missed += 1;
        }
    }
}

/// A reserved name; dropping it removes the member from the room.
struct Seat<'a> {
    room: &'a Room,
    name: Rc<str>,
}

impl<'a> Seat<'a> {
    fn take(room: &'a Room, name: &str, queue: Sender<Rc<str>>) -> Option<Seat<'a>> {
        let name: Rc<str> = name.into();
        let mut members = room.members.borrow_mut();
        if members.contains_key(&name) {
            return None;
        }
        members.insert(name.clone(), Member { queue, missed: 0 });
        drop(members);
        common::print_line(format_args!("{name} has joined"));
        room.send_to_all_but(&name, format!("* {name} has joined").into());
        Some(Seat { room, name })
    }
}

impl Drop for Seat<'_> {
    /// Runs however the task ends: the client left, its connection failed, or the task panicked.
    fn drop(&mut self) {
        self.room.members.borrow_mut().remove(&self.name);
        common::print_line(format_args!("{} has left", self.name));
        let line = format!("* {} has left", self.name);
        self.room.send_to_all_but(&self.name, line.into());
    }
}

/// Serves one client from its connection to its disconnection.
async fn serve_client(stream: &TcpStream, room: &Room) -> io::Result<()> {
    // Lines are short and wanted at once: Nagle's algorithm would delay them.
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let (queue, lines) = bounded(QUEUE_LINES);

    let seat = loop {
        writer.write_all(b"* what is your name?\n").await?;
        let Some(name) = read_line(&mut reader).await? else {
            return Ok(());
        };
        let fits = !name.is_empty() && name.len() <= 32 && !name.contains(' ');
        if !fits {
            let rule = b"* a name is one word of up to 32 bytes\n";
            writer.write_all(rule).await?;
        } else if let Some(seat) = Seat::take(room, &name, queue.clone()) {
            break seat;
        } else {
            writer.write_all(b"* that name is taken\n").await?;
        }
    };
    let welcome = format!("* welcome, {}\n", seat.name);
    writer.write_all(welcome.as_bytes()).await?;

    // Two loops run in one task. When one of them ends, the other is dropped.
    runtime::select! {
        result = receive_lines(reader, &seat) => result,
        result = send_lines(writer, lines) => result,
    }
}

/// Forwards the lines of the client to the room.
async fn receive_lines(mut reader: BufReader<ReadHalf<'_>>, seat: &Seat<'_>) -> io::Result<()> {
    while let Some(line) = read_line(&mut reader).await? {
        let line = format!("{}: {line}", seat.name);
        seat.room.send_to_all_but(&seat.name, line.into());
    }
    Ok(())
}

/// Forwards the lines of the room to the client. If the client does not read, only this task waits.
async fn send_lines(mut writer: WriteHalf<'_>, lines: Receiver<Rc<str>>) -> io::Result<()> {
    while let Ok(line) = lines.recv().await {
        writer.write_all(format!("{line}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Reads a line and returns it without its end and without control characters, which could carry
/// commands for the terminal of another member. Returns `None` at the end of the stream.
async fn read_line(reader: &mut BufReader<ReadHalf<'_>>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut limited = reader.take(LINE_BYTES);
    if limited.read_until(b'\n', &mut bytes).await? == 0 {
        return Ok(None);
    }
    if limited.limit() == 0 && bytes.last() != Some(&b'\n') {
        let text = format!("a line of more than {LINE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let line = String::from_utf8_lossy(&bytes);
    Ok(Some(line.chars().filter(|c| !c.is_control()).collect()))
}
