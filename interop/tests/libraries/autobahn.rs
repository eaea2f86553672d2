//! The suite of Autobahn, which sends right and wrong frames to a WebSocket server.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use runtime::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;

use crate::{installed_peer, peer};

/// Echoes until the client closes or breaks a rule. The library answers pings and closes.
async fn echo(stream: TcpStream) {
    let Ok(mut socket) = accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let is_data = message.is_text() || message.is_binary();
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Returns how many cases had each result, and those that failed.
fn results(report: &Path) -> (BTreeMap<String, usize>, Vec<String>) {
    let text = std::fs::read_to_string(report.join("index.json")).unwrap();
    let agents: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut counts, mut failed) = (BTreeMap::new(), Vec::new());
    for (case, result) in agents["runtime"].as_object().unwrap() {
        let behavior = result["behavior"].as_str().unwrap();
        *counts.entry(behavior.to_owned()).or_default() += 1;
        let is_right = ["OK", "NON-STRICT", "INFORMATIONAL"].contains(&behavior);
        if !is_right || result["behaviorClose"] == "FAILED" {
            failed.push(format!("{case}: {result}"));
        }
    }
    (counts, failed)
}

#[runtime::test]
async fn no_case_of_autobahn_fails() {
    let Some(wstest) = installed_peer("wstest") else {
        return;
    };
    let report = std::env::temp_dir().join(format!("runtime-autobahn-{}", std::process::id()));
    std::fs::create_dir(&report).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Performance, and compression, which tungstenite does not support, are left out.
    let specification = serde_json::json!({
        "outdir": report,
        "servers": [{
            "agent": "runtime",
            "url": format!("ws://{}", listener.local_addr().unwrap()),
            "options": {"version": 18},
        }],
        "cases": ["*"],
        "exclude-cases": ["9.*", "12.*", "13.*"],
        "exclude-agent-cases": {},
    });
    let path = report.join("specification.json");
    std::fs::write(&path, specification.to_string()).unwrap();
    let server = runtime::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            runtime::spawn(echo(stream));
        }
    });
    let arguments = ["-m", "fuzzingclient", "-s", path.to_str().unwrap()];
    peer(wstest.to_str().unwrap(), arguments).await.unwrap();
    let (counts, failed) = results(&report);
    eprintln!("results of Autobahn: {counts:?}");
    assert!(failed.is_empty(), "{failed:#?}");
    let total: usize = counts.values().sum();
    assert_eq!(total, 247, "{counts:?}");
    server.abort();
    std::fs::remove_dir_all(report).unwrap();
}
