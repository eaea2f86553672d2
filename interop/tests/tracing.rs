//! The spans and events of `Builder::trace`.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::Runtime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument, Metadata, Subscriber};

/// A subscriber that writes down what happens, in one line for each.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    names: Arc<Mutex<Vec<String>>>,
    next: Arc<AtomicU64>,
}

impl Log {
    fn write(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn name(&self, id: &Id) -> String {
        self.names.lock().unwrap()[id.into_u64() as usize - 1].clone()
    }
}

/// Collects fields as text.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("runtime::") || metadata.target() == "test"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields(attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        let name = fields.0.split(" id=").next().unwrap().to_owned();
        let named = fields
            .0
            .split_once(" name=")
            .map(|(_, rest)| rest.to_owned());
        let name = named.map_or(name.clone(), |rest| {
            format!("{name} {}", rest.split(' ').next().unwrap())
        });
        self.names.lock().unwrap().push(name);
        Id::from_u64(self.next.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        if metadata.target() == "runtime::turn" {
            return self.write("turn".to_owned());
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.write(format!(
            "{} {}:{}",
            metadata.level(),
            metadata.target(),
            fields.0
        ));
    }

    fn enter(&self, id: &Id) {
        self.write(format!("enter {}", self.name(id)));
    }

    fn exit(&self, id: &Id) {
        self.write(format!("exit {}", self.name(id)));
    }
}

#[test]
fn each_poll_of_a_task_is_in_its_span_and_an_instrumented_future_in_its_own_inside() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let runtime = Runtime::builder().trace(true).build().unwrap();
        runtime.block_on(async {
            let inner = tracing::info_span!(target: "test", "inner");
            let future = async {
                tracing::info!(target: "test", "first");
                runtime::time::sleep(Duration::from_millis(1)).await;
                tracing::info!(target: "test", "second");
            };
            let task = runtime::task::Builder::new().name("traced");
            task.spawn(future.instrument(inner)).await.unwrap();
            runtime::spawn(async { panic!("expected") })
                .await
                .unwrap_err();
            tracing::info!(target: "test", "outside");
        });
    });
    let mut lines = log.lines.lock().unwrap().clone();
    assert!(lines.contains(&"turn".to_owned()));
    lines.retain(|line| line != "turn");
    let expected = [
        "enter task \"traced\"",
        "enter inner",
        "INFO test: message=first",
        "exit inner",
        "exit task \"traced\"",
        "enter task \"traced\"",
        "enter inner",
        "INFO test: message=second",
        "exit inner",
        // The instrumented future is dropped in its span.
        "enter inner",
        "exit inner",
        "exit task \"traced\"",
        "enter task",
        "exit task",
        "INFO test: message=outside",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn without_the_option_there_is_no_span() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        runtime::block_on(async { runtime::spawn(async {}).await.unwrap() });
    });
    assert!(log.lines.lock().unwrap().is_empty());
}
