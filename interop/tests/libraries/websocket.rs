//! tokio-tungstenite without tokio's context: it needs tokio's traits alone.

use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use runtime::io::{AsyncBufReadExt, BufReader};
use runtime::net::{TcpListener, TcpStream};
use runtime::process::Command;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{accept_async, client_async};

use crate::installed_peer;

#[runtime::test]
async fn messages_cross_between_two_tasks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = runtime::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        let mut count = 0;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                count += 1;
                socket.send(message).await.unwrap();
            }
        }
        count
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, _) = client_async(format!("ws://{address}/"), stream)
        .await
        .unwrap();
    for _ in 0..50 {
        client.send("ping".into()).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), "ping".into());
    }
    client.close(None).await.unwrap();
    while client.next().await.is_some() {}
    assert_eq!(server.await.unwrap(), 50);
}

#[runtime::test]
async fn a_server_of_python_echoes_messages_and_the_code_of_the_close() {
    let Some(python) = installed_peer("python/bin/python") else {
        return;
    };
    let mut child = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/peers/websocket_server.py"
        ))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut port).await.unwrap();
    let address = format!("127.0.0.1:{}", port.trim());
    let stream = TcpStream::connect(&*address).await.unwrap();
    let url = format!("ws://{address}/");
    let (mut client, _) = client_async(url, stream).await.unwrap();
    for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let message = Message::Binary(Bytes::from(vec![7; length]));
        client.send(message.clone()).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), message);
    }
    let ping = Bytes::from("ping");
    client.send(Message::Ping(ping.clone())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(ping));
    let close = CloseFrame {
        code: CloseCode::from(3000),
        reason: "done".into(),
    };
    client.close(Some(close.clone())).await.unwrap();
    let answer = client.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::Close(Some(close)));
    assert!(client.next().await.is_none());
}
