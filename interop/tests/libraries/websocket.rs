//! tokio-tungstenite without tokio's context: it needs tokio's traits alone.

use futures_util::{SinkExt, StreamExt};
use runtime::net::{TcpListener, TcpStream};
use tokio_tungstenite::{accept_async, client_async};

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
