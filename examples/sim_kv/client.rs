//! A client: it asks all replicas, repeats what fails, and is content with a majority.

use std::time::Duration;

use async_channel::{Receiver, Sender, unbounded};
use runtime::io::{self, AsyncBufReadExt, AsyncWriteExt, BufReader};
use runtime::net::TcpStream;
use runtime::task::JoinSet;
use runtime::time::{sleep, timeout};

/// The time in which a replica has to answer before the request is repeated.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
/// The pause before a request is repeated.
const PAUSE: Duration = Duration::from_millis(50);
/// The time after which an operation fails.
const OPERATION_LIMIT: Duration = Duration::from_secs(60);

/// A client of the store. A key has one writer at a time.
pub(crate) struct Client {
    replicas: Vec<Sender<Request>>,
    /// The tasks that talk to the replicas. They end with the client.
    _tasks: JoinSet<()>,
}

struct Request {
    line: String,
    answers: Sender<String>,
}

impl Client {
    /// Creates a client. Connections are made when they are needed.
    pub(crate) fn new(addresses: &[String]) -> Client {
        let mut tasks = JoinSet::new();
        let replicas = addresses.iter().map(|address| {
            let (sender, requests) = unbounded();
            tasks.spawn(talk(address.clone(), requests));
            sender
        });
        Client {
            replicas: replicas.collect(),
            _tasks: tasks,
        }
    }

    /// Writes a value. When the future is complete, a majority has acknowledged the write.
    pub(crate) async fn put(&self, key: &str, version: u64, value: &str) -> io::Result<()> {
        self.ask_majority(&format!("put {key} {version} {value}"))
            .await?;
        Ok(())
    }

    /// Returns the newest version among a majority, and its value. The version of a key that was
    /// never written is zero.
    pub(crate) async fn get(&self, key: &str) -> io::Result<(u64, String)> {
        let answers = self.ask_majority(&format!("get {key}")).await?;
        let mut newest = (0, String::new());
        for answer in answers {
            let mut words = answer.splitn(3, ' ').skip(1);
            let version = words.next().and_then(|version| version.parse().ok());
            let (Some(version), Some(value)) = (version, words.next()) else {
                return Err(io::Error::other(format!("unexpected answer {answer:?}")));
            };
            if version > newest.0 {
                newest = (version, value.to_owned());
            }
        }
        Ok(newest)
    }

    /// Returns the answers of the first majority.
    async fn ask_majority(&self, line: &str) -> io::Result<Vec<String>> {
        let (sender, answers) = unbounded();
        for replica in &self.replicas {
            let request = Request {
                line: format!("{line}\n"),
                answers: sender.clone(),
            };
            let _ = replica.try_send(request); // unbounded, and its task does not end
        }
        drop(sender);
        let majority = self.replicas.len() / 2 + 1;
        let mut found = Vec::new();
        let collect = async {
            while found.len() < majority {
                match answers.recv().await {
                    Ok(answer) if answer.starts_with("error") => {
                        return Err(io::Error::other(answer));
                    }
                    Ok(answer) => found.push(answer),
                    Err(_) => return Err(io::Error::other("the tasks of the client have ended")),
                }
            }
            Ok(())
        };
        match timeout(OPERATION_LIMIT, collect).await {
            Ok(result) => result.map(|()| found),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{line}: no majority of the replicas within {OPERATION_LIMIT:?}"),
            )),
        }
    }
}

/// Sends requests to one replica, each until it is answered or no longer needed.
async fn talk(address: String, requests: Receiver<Request>) {
    let mut connection = None;
    while let Ok(request) = requests.recv().await {
        while !request.answers.is_closed() {
            let exchange = exchange(&mut connection, &address, &request.line);
            if let Ok(Ok(answer)) = timeout(ANSWER_LIMIT, exchange).await {
                let _ = request.answers.try_send(answer);
                break;
            }
            // A late answer would be taken for that of the next request.
            connection = None;
            sleep(PAUSE).await;
        }
    }
}

async fn exchange(
    connection: &mut Option<BufReader<TcpStream>>,
    address: &str,
    line: &str,
) -> io::Result<String> {
    if connection.is_none() {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        *connection = Some(BufReader::new(stream));
    }
    let Some(stream) = connection else {
        unreachable!("it was made above");
    };
    stream.get_mut().write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    if !answer.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim_end_matches('\n').to_owned())
}
