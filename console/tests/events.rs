//! The stream of events and its content.

mod support;

use std::future::pending;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use runtime::{Runtime, task, time};
use runtime_console::{Builder, StallLog};
use support::{Program, row, spawn};

fn often() -> Builder {
    Builder::new().period(Duration::from_millis(10))
}

#[test]
fn an_event_is_one_line_of_json_and_an_empty_line() {
    let program = Program::start(Runtime::builder(), often(), || {
        spawn("two\nlines\r\n\ndata: {}", pending());
    });
    let mut events = program.events();
    assert!(
        events.head.starts_with("HTTP/1.0 200 OK\r\n"),
        "{}",
        events.head
    );
    assert!(events.head.contains("content-type: text/event-stream\r\n"));
    assert!(events.head.contains("cache-control: no-store\r\n"));
    for _ in 0..3 {
        let event = events.next_text().unwrap();
        assert!(event.starts_with("data: {") && event.ends_with("}\n\n"));
        assert_eq!(event.matches('\n').count(), 2);
        assert!(!event.contains('\r'));
    }
    assert!(row(&events.next(), "two\nlines\r\n\ndata: {}").is_some());
}

#[test]
fn the_events_of_http_1_1_are_chunks() {
    let program = Program::idle();
    let mut stream = program.connect();
    let request = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let text = loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the stream goes on");
        received.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&received);
        if text.contains("}\n\n\r\n") {
            break text.into_owned();
        }
    };
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let (size, chunk) = body.split_once("\r\n").unwrap();
    let size = usize::from_str_radix(size, 16).unwrap();
    assert!(chunk[..size].ends_with("}\n\n"));
}

#[test]
fn a_task_is_listed_with_its_name_place_state_and_waits() {
    let runtime = Runtime::builder().name("listed").track_tasks(true);
    let program = Program::start(runtime, often(), || {
        spawn("sleeper", time::sleep(Duration::from_secs(3600)));
        let joined = task::Builder::new().name("joined").spawn(pending::<()>());
        spawn("joins", async { drop(joined.await) });
    });
    let mut events = program.events();
    let event = events.find(|event| row(event, "joins").is_some_and(|row| row["polls"] == 1));
    assert_eq!(event["runtime"], "listed");
    assert_eq!(event["process"], std::process::id());
    let sleeper = row(&event, "sleeper").unwrap();
    assert_eq!(sleeper["state"], "waiting");
    let wait = sleeper["waits"]["shown"][0].as_str().unwrap();
    assert!(wait.starts_with("timer in "), "{wait}");
    assert!(sleeper["size"].as_u64().unwrap() > 0);
    assert!(sleeper["age"].is_f64() && sleeper["idle"].is_f64());
    let place = sleeper["spawned_at"].as_str().unwrap();
    assert!(place.contains("tests/support/mod.rs:"), "{place}");
    let join = row(&event, "joins").unwrap()["waits"]["shown"][0].as_str();
    assert!(join.unwrap().contains("\"joined\""), "{join:?}");
    assert_eq!(event["tasks"]["total"], 3);
    let counts = &event["metrics"]["tracked"]["poll_times"]["counts"];
    assert!(counts.as_array().unwrap().iter().any(|count| count != 0));
}

#[test]
fn the_tasks_of_the_console_are_counted_and_left_out() {
    let program = Program::start(Runtime::builder(), often(), || spawn("only", pending()));
    let mut events = program.events();
    let _second = program.events();
    let event = events.find(|event| event["tasks"]["own"] == 3);
    assert_eq!(event["tasks"]["total"], 1);
    assert_eq!(event["tasks"]["rows"].as_array().unwrap().len(), 1);
    assert_eq!(event["metrics"]["tasks"], 4);
}

#[test]
fn a_runtime_that_tracks_nothing_has_no_durations() {
    let program = Program::start(Runtime::builder(), often(), || spawn("plain", pending()));
    let event = program.events().next();
    let plain = row(&event, "plain").unwrap();
    for value in [
        &plain["polls"],
        &plain["age"],
        &plain["longest_poll"],
        &event["metrics"]["tracked"],
        &event["stalls"],
    ] {
        assert!(value.is_null(), "{event}");
    }
    assert_eq!(plain["is_slow"], false);
}

#[test]
fn thousands_of_tasks_with_long_names_make_an_event_of_bounded_size() {
    const TASKS: usize = 5_000;
    let runtime = Runtime::builder()
        .track_tasks(true)
        .name("\"<n>&".repeat(500));
    let program = Program::start(runtime, often(), || {
        for _ in 0..TASKS {
            spawn(&"<\"\u{1}ä".repeat(1_000), async {
                // More waits than are shown.
                let sleeps = (0..9).map(|n| time::sleep(Duration::from_secs(3600 + n)));
                let mut sleeps: Vec<_> = sleeps.map(Box::pin).collect();
                std::future::poll_fn::<(), _>(|cx| {
                    for sleep in &mut sleeps {
                        assert!(sleep.as_mut().poll(cx).is_pending());
                    }
                    std::task::Poll::Pending
                })
                .await;
            });
        }
    });
    let mut events = program.events();
    let text = loop {
        let text = events.next_text().unwrap();
        if text.contains("[\"waiting\",5000]") {
            break text;
        }
    };
    assert!(text.len() < 256 << 10, "{}", text.len());
    let event: serde_json::Value = serde_json::from_str(&text["data: ".len()..]).unwrap();
    let tasks = &event["tasks"];
    assert_eq!(tasks["total"], TASKS);
    assert_eq!(tasks["rows"].as_array().unwrap().len(), 100);
    assert_eq!(tasks["rest"], TASKS - 100);
    assert_eq!(tasks["rest_waits"][0][0], "timer");
    assert_eq!(tasks["rest_waits"][0][1], 9 * (TASKS - 100));
    assert_eq!(
        tasks["rows"][0]["waits"]["shown"].as_array().unwrap().len(),
        4
    );
    assert_eq!(tasks["rows"][0]["waits"]["rest"], 5);
}

#[test]
fn of_many_tasks_the_slowest_and_those_that_have_waited_longest_are_listed() {
    const SLOW: Duration = Duration::from_secs(3600);
    let runtime = Runtime::builder().track_tasks(true);
    // No task is slow by this option, however busy the machine is.
    let program = Program::start(runtime, often().slow_poll(SLOW), || {
        for _ in 0..500 {
            spawn("restless", async {
                loop {
                    task::yield_now().await;
                }
            });
        }
        spawn("old", pending());
        spawn("slow", async {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(500) {}
            loop {
                task::yield_now().await;
            }
        });
    });
    let mut events = program.events();
    let event = events.find(|event| row(event, "slow").is_some() && row(event, "old").is_some());
    assert_eq!(event["tasks"]["rows"].as_array().unwrap().len(), 100);
    let slow = row(&event, "slow").unwrap();
    assert!(slow["longest_poll"].as_f64().unwrap() >= 0.5);
    assert_eq!(slow["is_slow"], false);
}

#[test]
fn a_task_is_marked_as_slow_after_a_long_poll() {
    let runtime = Runtime::builder().track_tasks(true);
    let console = often().slow_poll(Duration::from_millis(20));
    let program = Program::start(runtime, console, || {
        spawn("slow", async {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(20) {}
            pending::<()>().await;
        });
    });
    let mut events = program.events();
    let event = events.find(|event| row(event, "slow").is_some_and(|row| row["polls"] == 1));
    assert_eq!(row(&event, "slow").unwrap()["is_slow"], true);
    assert_eq!(event["slow_poll"], 0.02);
}

#[test]
fn a_task_that_has_kept_the_thread_is_named_afterwards() {
    let (stalls, was_seen) = (StallLog::new(), Arc::new(AtomicBool::new(false)));
    let (log, seen) = (stalls.clone(), was_seen.clone());
    let runtime = Runtime::builder().on_stall(Duration::from_millis(20), move |stall| {
        log.record(stall);
        let is_hog = stall.name.as_deref() == Some("hog");
        seen.fetch_or(is_hog, Ordering::Relaxed);
    });
    let program = Program::start(runtime, often().stalls(stalls), || {
        spawn("hog", async move {
            while !was_seen.load(Ordering::Relaxed) {}
            pending::<()>().await;
        });
    });
    let is_named = |stall: &serde_json::Value| stall["name"] == "hog" && stall["is_over"] == true;
    let mut events = program.events();
    let event = events.find(|event| event["stalls"].as_array().unwrap().iter().any(is_named));
    let stalls = event["stalls"].as_array().unwrap();
    assert!(stalls.iter().filter(|stall| stall["name"] == "hog").count() == 1);
    let hog = stalls.iter().find(|stall| stall["name"] == "hog").unwrap();
    assert!(hog["duration"].as_f64().unwrap() >= 0.02);
    assert!(
        hog["spawned_at"]
            .as_str()
            .unwrap()
            .contains("support/mod.rs")
    );
}
