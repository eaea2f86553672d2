//! A web application with axum: routes, JSON, shared state, server-sent events, a WebSocket, bodies
//! that are streamed in both directions, and a graceful shutdown on Ctrl-C.
//!
//! `axum::serve` spawns its connections with `tokio::spawn`. `#[runtime::main(tokio)]` gives it
//! tokio's context on the same thread; sockets, timers and signals are those of this runtime.
//!
//! Run with:
//!
//!     cargo run --example axum_app
//!
//! and send requests:
//!
//!     curl http://127.0.0.1:8080/notes
//!     curl --json '{"text":"buy milk"}' http://127.0.0.1:8080/notes
//!     curl -N http://127.0.0.1:8080/events           # reports the notes that are added
//!     curl -N http://127.0.0.1:8080/countdown/5
//!     curl -T FILE http://127.0.0.1:8080/length
//!     python3 -m websockets ws://127.0.0.1:8080/echo

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures_util::{Stream, StreamExt, stream};
use interop::Arguments;
use runtime::net::TcpListener;
use runtime::signal::ctrl_c;
use runtime::time::{Duration, sleep};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use tokio_tungstenite::tungstenite;

/// The longest message of a WebSocket.
const MAX_MESSAGE: usize = 1 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    text: String,
}

/// The state of all handlers. It is `Send`, because `tokio::spawn` demands it.
#[derive(Clone)]
struct App {
    notes: Arc<Mutex<Vec<Note>>>,
    added: broadcast::Sender<Note>,
    /// Becomes true at the shutdown, which ends the responses that have no end of their own.
    stopping: watch::Receiver<bool>,
}

impl App {
    /// Waits until the shutdown begins.
    async fn stopped(&self) {
        // An error means that the sender, and so the server, is gone.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

#[runtime::main(tokio)]
async fn main() -> io::Result<()> {
    let mut arguments = Arguments::new("axum_app [--listen ADDR]");
    let address: Option<String> = arguments.option("--listen");
    arguments.finish();
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    // From here on Ctrl-C is noticed, also if it comes as soon as the address is printed.
    let interrupt = ctrl_c();
    println!("listening on {}", listener.local_addr()?);

    let (stop, stopping) = watch::channel(false);
    let shutdown = async move {
        if let Err(e) = interrupt.await {
            eprintln!("axum_app: {e}");
        }
        println!("shutting down");
        stop.send_replace(true);
    };
    let listener = listener.tap_io(|stream| {
        // Fails if the client is gone already, which the first read reports.
        let _ = stream.set_nodelay(true);
    });
    let routes = routes(stopping).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, routes)
        .with_graceful_shutdown(shutdown)
        .await
}

fn routes(stopping: watch::Receiver<bool>) -> Router {
    let app = App {
        notes: Arc::default(),
        added: broadcast::channel(64).0,
        stopping,
    };
    Router::new()
        .route(
            "/",
            get(|| async { "notes, events, countdown, length, echo\n" }),
        )
        .route("/address", get(address))
        .route("/notes", get(list).merge(post(add)))
        .route("/events", get(events))
        .route("/countdown/{from}", get(countdown))
        .route("/length", put(length).layer(DefaultBodyLimit::disable()))
        .route("/echo", get(upgrade))
        .with_state(app)
}

/// Returns the address of the client.
async fn address(ConnectInfo(address): ConnectInfo<SocketAddr>) -> String {
    format!("{address}\n")
}

async fn list(State(app): State<App>) -> Json<Vec<Note>> {
    let notes = app.notes.lock().unwrap_or_else(PoisonError::into_inner);
    Json(notes.clone())
}

async fn add(State(app): State<App>, Json(note): Json<Note>) -> (StatusCode, Json<Note>) {
    let mut notes = app.notes.lock().unwrap_or_else(PoisonError::into_inner);
    notes.push(note.clone());
    // Fails if there is no receiver.
    let _ = app.added.send(note.clone());
    (StatusCode::CREATED, Json(note))
}

/// Sends an event for each note that is added, and a comment every 15 seconds in which none is.
async fn events(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = stream::unfold(app.added.subscribe(), |mut added| async {
        let event = match added.recv().await {
            Ok(note) => Event::default().event("note").data(note.text),
            Err(broadcast::error::RecvError::Lagged(count)) => {
                Event::default().event("lost").data(count.to_string())
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((Ok(event), added))
    });
    // Without an end at the shutdown, the server would wait until the client has left.
    let events = events.take_until(async move { app.stopped().await });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Streams a body that takes its time.
async fn countdown(Path(from): Path<u32>) -> Body {
    let lines = stream::unfold(from, |number| async move {
        let next = number.checked_sub(1)?;
        sleep(Duration::from_millis(10)).await;
        Some((Ok::<_, Infallible>(format!("{number}\n")), next))
    });
    Body::from_stream(lines)
}

/// Returns the length of a body, of which one chunk at a time is in memory.
async fn length(body: Body) -> Result<String, StatusCode> {
    let mut chunks = body.into_data_stream();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        length += chunk.map_err(|_| StatusCode::BAD_REQUEST)?.len();
    }
    Ok(format!("{length}\n"))
}

async fn upgrade(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(|socket| echo(socket, app))
}

/// Sends every message back, and closes with the code that belongs to an error.
async fn echo(mut socket: WebSocket, app: App) {
    let code = loop {
        let message = runtime::select! {
            message = socket.recv() => message,
            () = app.stopped() => break close_code::AWAY,
        };
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            // Pings and closes are answered by the library.
            Some(Ok(_)) => {}
            Some(Err(e)) => match code_of(e) {
                Some(code) => break code,
                None => return,
            },
            None => return,
        }
    };
    let frame = CloseFrame {
        code,
        reason: "".into(),
    };
    // The client may be gone.
    let _ = socket.send(Message::Close(Some(frame))).await;
}

/// Returns the code that reports an error to the client, unless the connection is lost.
fn code_of(error: axum::Error) -> Option<u16> {
    match *error.into_inner().downcast::<tungstenite::Error>().ok()? {
        tungstenite::Error::Utf8(_) => Some(close_code::INVALID),
        tungstenite::Error::Capacity(_) => Some(close_code::SIZE),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        tungstenite::Error::Protocol(_) => Some(close_code::PROTOCOL),
        _ => None,
    }
}
