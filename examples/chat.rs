//! A chat room. Everybody's lines go to everybody else, and whoever reads slowly misses some, but
//! holds nobody up.
//!
//! What it shows: tasks that share `Rc` and `RefCell`, without a lock, since they share a thread.
//!
//! Run with:
//!
//!     cargo run --example chat
//!
//! and come in, from several terminals:
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

/// So many lines wait for a member who does not read; each is no longer than this.
const QUEUE_LINES: usize = 64;
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
            if let Err(e) = attend(&stream, &room).await {
                eprintln!("{peer}: {e}");
            }
        });
    }
}

/// Everybody who has a name.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<Rc<str>, Member>>,
}

struct Member {
    /// The lines that are to be written to them.
    queue: Sender<Rc<str>>,
    /// How many there was no room for.
    missed: usize,
}

impl Room {
    /// Gives a line to everybody but `author`. It never waits, so the borrow is never in the way.
    fn tell_all_but(&self, author: &str, line: Rc<str>) {
        for (name, member) in &mut *self.members.borrow_mut() {
            if **name != *author {
                member.tell(line.clone());
            }
        }
    }
}

impl Member {
    fn tell(&mut self, line: Rc<str>) {
        if self.missed > 0 {
            let apology = format!("* you have missed {} lines", self.missed);
            if self.queue.try_send(apology.into()).is_ok() {
                self.missed = 0;
            }
        }
        if self.queue.try_send(line).is_err() {
            self.missed += 1;
        }
    }
}

/// A name that is taken, for as long as this lives.
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
        common::say(format_args!("{name} has joined"));
        room.tell_all_but(&name, format!("* {name} has joined").into());
        Some(Seat { room, name })
    }
}

impl Drop for Seat<'_> {
    /// However the task ends: the client has left, was cut off, or the task panicked.
    fn drop(&mut self) {
        self.room.members.borrow_mut().remove(&self.name);
        common::say(format_args!("{} has left", self.name));
        let line = format!("* {} has left", self.name);
        self.room.tell_all_but(&self.name, line.into());
    }
}

/// The whole stay of one client.
async fn attend(stream: &TcpStream, room: &Room) -> io::Result<()> {
    // Lines are short and people wait for them: none waits for the next to fill a packet.
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

    // Two loops in one task. The first that ends, ends the other.
    runtime::select! {
        result = listen(reader, &seat) => result,
        result = speak(writer, lines) => result,
    }
}

/// From the client to the room.
async fn listen(mut reader: BufReader<ReadHalf<'_>>, seat: &Seat<'_>) -> io::Result<()> {
    while let Some(line) = read_line(&mut reader).await? {
        let line = format!("{}: {line}", seat.name);
        seat.room.tell_all_but(&seat.name, line.into());
    }
    Ok(())
}

/// From the room to the client. If the client does not read, this waits, and nobody else does.
async fn speak(mut writer: WriteHalf<'_>, lines: Receiver<Rc<str>>) -> io::Result<()> {
    while let Ok(line) = lines.recv().await {
        writer.write_all(format!("{line}\n").as_bytes()).await?;
    }
    Ok(())
}

/// A line without its end, and without the characters by which a stranger could command another's
/// terminal; `None` at the end.
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
