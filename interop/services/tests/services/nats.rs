//! async-nats with tokio's context.

use std::fs;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, RequestErrorKind};
use futures_util::StreamExt;
use interop_services::servers::{Server, nats};

use crate::identity::Identity;
use crate::{at_once, until_ok};

async fn client(server: &Server) -> Client {
    async_nats::connect(server.url()).await.unwrap()
}

#[runtime::test(tokio)]
async fn a_subscriber_receives_what_tasks_publish() {
    let Some(server) = nats::shared() else { return };
    let client = client(server).await;
    let mut subscriber = client.subscribe("published.*").await.unwrap();
    at_once(|n| {
        let client = client.clone();
        async move {
            for _ in 0..100 {
                let subject = format!("published.{n}");
                client
                    .publish(subject, vec![7; 1_000].into())
                    .await
                    .unwrap();
            }
        }
    })
    .await;
    for _ in 0..3_200 {
        assert_eq!(subscriber.next().await.unwrap().payload.len(), 1_000);
    }
    client.drain().await.unwrap();
    assert!(subscriber.next().await.is_none(), "it ends with the client");
}

/// Answers requests with twice the number, in a task of ours.
async fn serve(client: &Client, subject: &'static str) -> runtime::JoinHandle<()> {
    let queue = client.queue_subscribe(subject, "group".to_owned()).await;
    let (mut requests, client) = (queue.unwrap(), client.clone());
    // The server knows of the subscription before anyone asks.
    client.flush().await.unwrap();
    runtime::spawn(async move {
        while let Some(request) = requests.next().await {
            let n: i32 = std::str::from_utf8(&request.payload)
                .unwrap()
                .parse()
                .unwrap();
            let answer = (2 * n).to_string();
            let reply = request.reply.unwrap();
            client.publish(reply, answer.into()).await.unwrap();
        }
    })
}

#[runtime::test(tokio)]
async fn requests_of_tasks_are_answered_by_a_group_of_tasks() {
    let Some(server) = nats::shared() else { return };
    let client = client(server).await;
    let servers = [
        serve(&client, "double").await,
        serve(&client, "double").await,
    ];
    let answers = at_once(|n| {
        let client = client.clone();
        async move {
            let answer = client
                .request("double", n.to_string().into())
                .await
                .unwrap();
            String::from_utf8(answer.payload.to_vec()).unwrap()
        }
    });
    let expected: Vec<_> = (0..32).map(|n| (2 * n).to_string()).collect();
    assert_eq!(answers.await, expected);
    let error = client.request("unanswered", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    for server in servers {
        server.abort();
    }
}

#[runtime::test(tokio)]
async fn a_request_without_an_answer_times_out() {
    let Some(server) = nats::shared() else { return };
    let options = ConnectOptions::new().request_timeout(Some(Duration::from_millis(50)));
    let client = options.connect(server.url()).await.unwrap();
    let _silent = client.subscribe("silent").await.unwrap();
    client.flush().await.unwrap();
    let error = client.request("silent", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
}

#[runtime::test(tokio)]
async fn a_client_subscribes_again_after_a_restart_of_the_server() {
    let Some(mut server) = nats::start(None) else {
        return;
    };
    let options = ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(10))
        .request_timeout(Some(Duration::from_secs(1)));
    let client = options.connect(server.url()).await.unwrap();
    let answering = serve(&client, "double").await;
    let restart = move || {
        server.stop();
        server.start_again();
        server
    };
    let _server = runtime::spawn_blocking(restart).await.unwrap();
    let answer = until_ok(|| client.request("double", "21".into())).await;
    assert_eq!(&answer.payload[..], b"42");
    answering.abort();
}

/// Returns the error of a connection that has to fail.
async fn refused(options: ConnectOptions, server: &Server) -> async_nats::ConnectError {
    options.connect(server.url()).await.err().unwrap()
}

#[runtime::test(tokio)]
async fn a_client_and_a_server_authenticate_each_other_over_tls_and_again_after_a_restart() {
    let (identity, client) = (Identity::new(), Identity::new());
    let Some(mut server) = nats::start(Some(&identity.tls(Some(&client)))) else {
        return;
    };
    let file = |name| server.folder().join(name);
    fs::write(file("client.key"), &client.key).unwrap();

    // The client reads the files in tokio's blocking pool.
    let patient = ConnectOptions::new().connection_timeout(Duration::from_secs(60));
    let trusting = patient.clone().add_root_certificates(file("server.crt"));
    let with_certificate = trusting
        .clone()
        .add_client_certificate(file("client.crt"), file("client.key"))
        .reconnect_delay_callback(|_| Duration::from_millis(10))
        .request_timeout(Some(Duration::from_secs(1)));
    let client = with_certificate.connect(server.url()).await.unwrap();
    let answering = serve(&client, "double").await;
    let answers = at_once(|n| {
        let client = client.clone();
        async move { until_ok(|| client.request("double", n.to_string().into())).await }
    });
    for (n, answer) in answers.await.into_iter().enumerate() {
        assert_eq!(answer.payload, (2 * n).to_string().as_bytes());
    }

    let error = refused(trusting, &server).await;
    assert_eq!(error.kind(), ConnectErrorKind::Io, "{error}");
    let distrusting = patient.add_root_certificates(file("client.crt"));
    let error = refused(distrusting, &server).await;
    assert!(error.to_string().contains("certificate"), "{error}");

    let restart = move || {
        server.stop();
        server.start_again();
        server
    };
    let _server = runtime::spawn_blocking(restart).await.unwrap();
    let answer = until_ok(|| client.request("double", "21".into())).await;
    assert_eq!(&answer.payload[..], b"42");
    answering.abort();
}
