//! zbus: with tokio's context, and with a thread of async-io for its sockets without it.

use std::time::Duration;

use futures_util::StreamExt;
use interop_services::servers::{Server, dbus, find};
use runtime::process::Command;
use zbus::connection::Builder;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, fdo, interface};

use crate::at_once;

/// An object whose methods use this crate.
struct Greeter;

#[interface(name = "org.example.Greeter", proxy(default_path = "/org/example"))]
impl Greeter {
    /// Answers after a timer, in a task of ours.
    async fn greet(&self, name: String) -> fdo::Result<String> {
        let task = async move {
            runtime::time::sleep(Duration::from_millis(1)).await;
            format!("hello {name}")
        };
        let greeting = runtime::spawn(task).await;
        greeting.map_err(|e| fdo::Error::Failed(e.to_string()))
    }

    async fn announce(
        &self,
        name: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<()> {
        Ok(emitter.announced(name).await?)
    }

    #[zbus(signal)]
    async fn announced(emitter: &SignalEmitter<'_>, name: &str) -> zbus::Result<()>;
}

const NAME: &str = "org.example.Greeter";

fn builder(server: &Server) -> Builder<'static> {
    Builder::address(server.url().as_str()).unwrap()
}

fn greeter(server: &Server) -> Builder<'static> {
    let builder = builder(server).name(NAME).unwrap();
    builder.serve_at("/org/example", Greeter).unwrap()
}

/// Calls the methods of the object in 32 tasks at once, and receives its signals.
async fn use_client(client: Connection) {
    let proxy = GreeterProxy::builder(&client);
    let proxy = proxy.destination(NAME).unwrap().build().await.unwrap();
    let greetings = at_once(|n| {
        let proxy = proxy.clone();
        async move { proxy.greet(n.to_string()).await.unwrap() }
    });
    let expected: Vec<_> = (0..32).map(|n| format!("hello {n}")).collect();
    assert_eq!(greetings.await, expected);

    let mut signals = proxy.receive_announced().await.unwrap();
    for name in ["a", "b", "c"] {
        proxy.announce(name).await.unwrap();
    }
    for name in ["a", "b", "c"] {
        let signal = signals.next().await.unwrap();
        assert_eq!(signal.args().unwrap().name, name);
    }
}

/// Calls a method from a program of the reference implementation.
async fn check_dbus_send(server: &Server) {
    let Some(program) = find("dbus-send") else {
        return;
    };
    let output = Command::new(program)
        .arg(format!("--bus={}", server.url()))
        .args(["--print-reply=literal", "--reply-timeout=600000"])
        .arg("--dest=org.example.Greeter")
        .args(["/org/example", "org.example.Greeter.Greet", "string:x"])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello x");
}

#[runtime::test(tokio)]
async fn an_object_and_its_clients_need_the_context_alone() {
    let Some(server) = dbus::start() else { return };
    let _served = greeter(&server).build().await.unwrap();
    use_client(builder(&server).build().await.unwrap()).await;
    check_dbus_send(&server).await;
}

#[runtime::test]
async fn a_task_of_ours_drives_an_object_without_the_context() {
    let Some(server) = dbus::start() else { return };
    let served = greeter(&server).internal_executor(false);
    let served = served.build().await.unwrap();
    let executor = served.executor().clone();
    let driver = runtime::spawn(async move {
        loop {
            executor.tick().await;
        }
    });
    use_client(builder(&server).build().await.unwrap()).await;
    check_dbus_send(&server).await;
    driver.abort();
}
