//! A replica: it keeps versioned values, and answers clients over TCP.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use runtime::io::{self, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::sleep;

use super::disk::{Disk, Values};

/// The maximum length of a request, in bytes.
const MAX_REQUEST: u64 = 4_096;
/// The time that a write waits for the disk after it was acknowledged, with the planted bug.
const FLUSH_DELAY: Duration = Duration::from_secs(1);

/// A replica of the store.
pub(crate) struct Replica {
    values: RefCell<Values>,
    disk: Disk,
    /// The planted bug: a write is acknowledged before it is on the disk, so that a crash in
    /// between loses it.
    acknowledges_early: bool,
}

impl Replica {
    /// Creates a replica with the values of its disk.
    pub(crate) async fn load(disk: Disk, acknowledges_early: bool) -> io::Result<Rc<Replica>> {
        Ok(Rc::new(Replica {
            values: RefCell::new(disk.load().await?),
            disk,
            acknowledges_early,
        }))
    }

    /// Serves all clients.
    pub(crate) async fn serve(self: Rc<Replica>, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            let replica = self.clone();
            // A connection that breaks concerns its client alone, which makes another.
            drop(runtime::spawn(async move {
                let _ = replica.serve_client(stream).await;
            }));
        }
    }

    async fn serve_client(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut requests = BufReader::new(&stream);
        let mut line = String::new();
        loop {
            line.clear();
            (&mut requests)
                .take(MAX_REQUEST)
                .read_line(&mut line)
                .await?;
            if !line.ends_with('\n') {
                return Ok(());
            }
            let answer = self.answer(line.trim_end()).await?;
            (&stream)
                .write_all(format!("{answer}\n").as_bytes())
                .await?;
        }
    }

    async fn answer(&self, request: &str) -> io::Result<String> {
        let words: Vec<&str> = request.splitn(4, ' ').collect();
        match *words {
            ["get", key] => Ok(match self.values.borrow().get(key) {
                Some((version, value)) => format!("value {version} {value}"),
                None => "value 0 ".to_owned(),
            }),
            ["put", key, version, value] => match version.parse() {
                Ok(version) => {
                    self.put(key, version, value).await?;
                    Ok("ok".to_owned())
                }
                Err(e) => Ok(format!("error version {version:?}: {e}")),
            },
            _ => Ok("error requests are `get KEY` and `put KEY VERSION VALUE`".to_owned()),
        }
    }

    /// Stores a value, unless there is a newer one.
    async fn put(&self, key: &str, version: u64, value: &str) -> io::Result<()> {
        let newest = self
            .values
            .borrow()
            .get(key)
            .map_or(0, |(version, _)| *version);
        if version < newest {
            return Ok(());
        }
        if self.acknowledges_early {
            let (disk, key, value) = (self.disk.clone(), key.to_owned(), value.to_owned());
            self.values
                .borrow_mut()
                .insert(key.clone(), (version, value.clone()));
            drop(runtime::spawn(async move {
                sleep(FLUSH_DELAY).await;
                let _ = disk.write(&key, version, &value).await;
            }));
            return Ok(());
        }
        // A retry of the same version is written again: its first attempt may not be on disk yet.
        self.disk.write(key, version, value).await?;
        let mut values = self.values.borrow_mut();
        let entry = values.entry(key.to_owned()).or_default();
        if version >= entry.0 {
            *entry = (version, value.to_owned());
        }
        Ok(())
    }
}
