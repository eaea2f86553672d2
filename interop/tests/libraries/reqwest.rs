//! reqwest, whose connections, timers and tasks are all tokio's.

use std::time::Duration;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::TcpListener;

#[runtime::test(tokio)]
async fn a_request_to_a_server_that_is_silent_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let silent = runtime::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
        drop(stream);
    });
    let client = reqwest::Client::builder().timeout(Duration::from_millis(50));
    let error = client.build().unwrap().get(url).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    silent.abort();
}

#[runtime::test(tokio)]
async fn a_client_reuses_its_connection_in_tasks_of_ours() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // One connection is accepted, and the listener is closed then.
    let server = runtime::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(listener);
        let (mut request, mut answered) = (Vec::new(), 0);
        let mut buffer = [0; 1024];
        while answered < 3 {
            let read = stream.read(&mut buffer).await.unwrap();
            request.extend_from_slice(&buffer[..read]);
            if request.ends_with(b"\r\n\r\n") {
                request.clear();
                answered += 1;
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{answered}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    let client = reqwest::Client::new();
    for expected in ["1", "2", "3"] {
        let (client, url) = (client.clone(), url.clone());
        let request = runtime::spawn(async move { client.get(url).send().await?.text().await });
        assert_eq!(request.await.unwrap().unwrap(), expected);
    }
    server.await.unwrap();
}
