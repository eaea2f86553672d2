//! The disk of a replica: a file, or memory that survives the crashes of a simulated host.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use runtime::io::{self, AsyncWriteExt};
use runtime::{fs, sim, time};

/// The values of all keys, each with its version.
pub(crate) type Values = BTreeMap<String, (u64, String)>;

/// A place for writes that survive a crash.
#[derive(Clone)]
pub(crate) enum Disk {
    /// A file, one line for each write.
    File(PathBuf),
    /// The writes of a simulated host. Each takes some milliseconds, as on a real disk.
    Simulated(Rc<RefCell<String>>),
}

impl Disk {
    /// Returns the writes that have survived.
    pub(crate) async fn load(&self) -> io::Result<Values> {
        let text = match self {
            Disk::Simulated(text) => text.borrow().clone(),
            Disk::File(path) => match fs::read_to_string(path).await {
                Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
                text => text?,
            },
        };
        let mut values = Values::new();
        for line in text.lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(key), Some(version), Some(value)) =
                (words.next(), words.next(), words.next())
            else {
                continue; // the last line of a file may be incomplete after a crash
            };
            let newest = values.get(key).map_or(0, |(version, _)| *version);
            if let Some(version) = version.parse().ok().filter(|version| *version >= newest) {
                values.insert(key.to_owned(), (version, value.to_owned()));
            }
        }
        Ok(values)
    }

    /// Writes a value. When the future is complete, the value survives a crash.
    pub(crate) async fn write(&self, key: &str, version: u64, value: &str) -> io::Result<()> {
        let line = format!("{key} {version} {value}\n");
        match self {
            Disk::Simulated(text) => {
                time::sleep(Duration::from_millis(3)).await;
                text.borrow_mut().push_str(&line);
                sim::note(format!("{key} = {value} is on disk"));
            }
            Disk::File(path) => {
                let options = fs::OpenOptions::new().create(true).append(true).clone();
                let mut file = options.open(path).await?;
                file.write_all(line.as_bytes()).await?;
                file.sync_data().await?;
            }
        }
        Ok(())
    }
}
