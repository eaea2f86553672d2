//! The list of tasks and what each of them waits for.

use std::future::pending;
use std::io::ErrorKind;
use std::panic::Location;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::time::Duration;
use std::{fs, thread};

use runtime::insight::{TaskInfo, TaskList, TaskState, Wait};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream, UdpSocket, UnixStream, pipe};
use runtime::process::Command;
use runtime::signal::unix::{SignalKind, signal};
use runtime::{Backend, Handle, Runtime, task, time};

const LONG: Duration = Duration::from_secs(3 * 60 * 60);

/// Returns `text` with `N` in place of each number.
fn without_numbers(text: &str) -> String {
    let mut result = String::new();
    for c in text.chars() {
        if !c.is_ascii_digit() {
            result.push(c);
        } else if !result.ends_with('N') {
            result.push('N');
        }
    }
    result
}

/// Returns the waits of the task with this name, as text without numbers.
fn waits_of(tasks: &TaskList, name: &str) -> Vec<String> {
    let is_it = |task: &&TaskInfo| task.name.as_deref() == Some(name);
    let task = tasks.tasks.iter().find(is_it).expect(name);
    let texts = task.waits.iter().map(|wait| wait.to_string());
    texts.map(|text| without_numbers(&text)).collect()
}

/// Spawns a task with a name that ends with the runtime at the latest.
#[track_caller]
fn spawn<T: 'static>(name: &str, future: impl Future<Output = T> + 'static) -> task::JoinHandle<T> {
    task::Builder::new().name(name).spawn(future)
}

#[test]
fn a_dump_says_what_each_task_waits_for() {
    let folder = std::env::temp_dir().join(format!("runtime-tasks-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let fifo = folder.join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());

    let runtime = Runtime::builder().name("golden").build().unwrap();
    let mut lines = Vec::new();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut reader = TcpStream::connect(address).await.unwrap();
        let (_reader_peer, _) = listener.accept().await.unwrap();
        spawn("read", async move { reader.read(&mut [0; 8]).await });
        let mut with_timeout = TcpStream::connect(address).await.unwrap();
        let (_timeout_peer, _) = listener.accept().await.unwrap();
        spawn("read with a timeout", async move {
            time::timeout(LONG, with_timeout.read(&mut [0; 8])).await
        });
        let mut writer = TcpStream::connect(address).await.unwrap();
        let (_writer_peer, _) = listener.accept().await.unwrap();
        spawn("write", async move {
            while writer.write(&[0; 65_536]).await.is_ok() {}
        });
        spawn("accept", async move { listener.accept().await });
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        spawn("receive", async move { udp.recv(&mut [0; 8]).await });
        let (mut unix, _unix_peer) = UnixStream::pair().unwrap();
        spawn("unix", async move { unix.read(&mut [0; 8]).await });
        let (_sender, mut receiver) = pipe::pipe().unwrap();
        spawn("pipe", async move { receiver.read(&mut [0; 8]).await });
        spawn("timer", time::sleep(LONG));
        let joined = spawn("joined", pending::<()>());
        spawn("join", joined);
        let handle = Handle::current();
        let remote = thread::spawn(move || handle.spawn(pending::<()>()));
        spawn("join of a task of another thread", remote.join().unwrap());
        spawn("join set", async {
            let mut set = task::JoinSet::new();
            set.spawn(pending::<()>());
            set.spawn(time::sleep(LONG));
            set.spawn(pending::<()>());
            set.join_next().await
        });
        spawn("empty scope", task::scope(async |_| pending::<()>().await));
        let (mut in_scope, _scope_peer) = UnixStream::pair().unwrap();
        spawn("scope", async move {
            task::scope(async |s| {
                s.spawn(async { in_scope.read(&mut [0; 8]).await });
                s.spawn(task::scope(async |inner| {
                    let mut set = task::JoinSet::new();
                    set.spawn(pending::<()>());
                    inner.spawn(async move { set.join_next().await });
                }));
                s.spawn(time::sleep(LONG));
                s.spawn(time::sleep(2 * LONG));
                s.spawn(pending::<()>());
            })
            .await;
        });
        let mut signals = signal(SignalKind::user_defined1()).unwrap();
        spawn("signal", async move { signals.recv().await });
        let mut child = Command::new("sleep")
            .arg("1000")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        spawn("child", async move { child.wait().await });
        let (_channel, from_channel) = async_channel::bounded::<()>(1);
        spawn("channel", async move { from_channel.recv().await });
        let (begin, has_begun) = channel();
        let (end, may_end) = channel::<()>();
        let job = runtime::spawn_blocking(move || {
            begin.send(()).unwrap();
            may_end.recv()
        });
        spawn("blocking job", job);
        has_begun.recv().unwrap();
        let path = fifo.clone();
        spawn("file", async move { runtime::fs::read(path).await });
        for _ in 0..3 {
            task::yield_now().await;
        }
        // Opening this end waits until the job has opened the other one, and so is running.
        let other_end = fs::OpenOptions::new().write(true).open(&fifo).unwrap();

        // The socket whose writer waits fills its buffers over several turns.
        let is_complete = |tasks: &TaskList| {
            waits_of(tasks, "write") != ["channel or other waker"]
                && tasks.count(TaskState::Scheduled) == 0
        };
        loop {
            let tasks = task::all();
            if is_complete(&tasks) {
                let text = without_numbers(&tasks.to_string());
                lines.extend(text.lines().map(str::to_owned));
                break;
            }
            task::yield_now().await;
        }
        drop((other_end, end));
    });
    drop(runtime);
    fs::remove_dir_all(&folder).unwrap();

    let here = without_numbers(&format!("{}:1:1", Location::caller().file()));
    let inner = "scope of N child: join of one of N task";
    let expected = format!(
        r#"runtime "golden": N tasks: N waiting
task N.N "read", spawned at {here}, N bytes: waiting
    read on TCP N.N.N.N:N -> N.N.N.N:N (fd N)
task N.N "read with a timeout", spawned at {here}, N bytes: waiting
    read on TCP N.N.N.N:N -> N.N.N.N:N (fd N)
    timer in N h N min
task N.N "write", spawned at {here}, N bytes: waiting
    write on TCP N.N.N.N:N -> N.N.N.N:N (fd N)
task N.N "accept", spawned at {here}, N bytes: waiting
    read on TCP listener N.N.N.N:N (fd N)
task N.N "receive", spawned at {here}, N bytes: waiting
    read on UDP N.N.N.N:N (fd N)
task N.N "unix", spawned at {here}, N bytes: waiting
    read on Unix stream (fd N)
task N.N "pipe", spawned at {here}, N bytes: waiting
    read on pipe (fd N)
task N.N "timer", spawned at {here}, N bytes: waiting
    timer in N h N min
task N.N "joined", spawned at {here}, N bytes: waiting
    channel or other waker
task N.N "join", spawned at {here}, N bytes: waiting
    join of task N.N "joined", spawned at {here}
task N.N "join of a task of another thread", spawned at {here}, N bytes: waiting
    join of task N.mN, spawned at {here}
task N.N "join set", spawned at {here}, N bytes: waiting
    join of one of N tasks
task N.N "empty scope", spawned at {here}, N bytes: waiting
    scope of N children
task N.N "scope", spawned at {here}, N bytes: waiting
    scope of N children: read on Unix stream (fd N); {inner}; timer in N h N min; N more
task N.N "signal", spawned at {here}, N bytes: waiting
    signal SIGUSRN
task N.N "child", spawned at {here}, N bytes: waiting
    exit of child N
task N.N "channel", spawned at {here}, N bytes: waiting
    channel or other waker
task N.N "blocking job", spawned at {here}, N bytes: waiting
    blocking job spawned at {here}, running for SPAN
task N.N "file", spawned at {here}, N bytes: waiting
    blocking job (read), running for SPAN
task N.N, spawned at {here}, N bytes: waiting
    channel or other waker
task N.N, spawned at {here}, N bytes: waiting
    timer in N h N min
task N.N, spawned at {here}, N bytes: waiting
    channel or other waker
task N.N, spawned at {here}, N bytes: waiting
    channel or other waker
task N.mN, spawned at {here}, N bytes: waiting
    channel or other waker"#
    );
    let without_span = |line: &String| match line.split_once(" running for ") {
        Some((before, _)) => format!("{before} running for SPAN"),
        None => line.clone(),
    };
    let lines: Vec<String> = lines.iter().map(without_span).collect();
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn a_set_and_a_scope_are_listed_with_the_number_of_their_members() {
    runtime::block_on(async {
        let find = |name| {
            let tasks = task::all().tasks;
            let is_it = |task: &TaskInfo| task.name.as_deref() == Some(name);
            tasks.into_iter().find(is_it).unwrap().waits
        };
        let (wake, woken) = async_channel::unbounded::<()>();
        spawn("set", async move {
            let mut set = task::JoinSet::new();
            set.spawn(async move { woken.recv().await });
            for _ in 0..4 {
                set.spawn(async { pending().await });
            }
            set.join_next().await.unwrap().unwrap().unwrap();
            set.join_next().await;
        });
        let (end, ended) = async_channel::unbounded::<()>();
        spawn("scope", async move {
            task::scope(async |s| {
                s.spawn(ended.recv());
                s.spawn(task::scope(async |inner| {
                    inner.spawn(time::sleep(LONG));
                    pending::<()>().await;
                }));
                time::sleep(2 * LONG).await;
            })
            .await;
        });
        for _ in 0..4 {
            task::yield_now().await;
        }
        assert_eq!(find("set"), [Wait::JoinNext { tasks: 5 }]);
        let timer = |wait: &Wait| matches!(wait, Wait::Timer { .. });
        let waits = find("scope");
        let [Wait::Scope { children: 2, waits }] = &waits[..] else {
            panic!("{waits:?}");
        };
        // The wait of the body is among them, and the wait for the channel is not known.
        let [
            Wait::Scope {
                children: 1,
                waits: inner,
            },
            last,
        ] = &waits[..]
        else {
            panic!("{waits:?}");
        };
        assert!(timer(last) && inner.len() == 1 && timer(&inner[0]));

        wake.send(()).await.unwrap();
        end.send(()).await.unwrap();
        for _ in 0..4 {
            task::yield_now().await;
        }
        assert_eq!(find("set"), [Wait::JoinNext { tasks: 4 }]);
        assert!(matches!(
            find("scope")[..],
            [Wait::Scope { children: 1, .. }]
        ));
    });
}

#[test]
fn a_wait_for_the_end_of_a_peer_is_an_event() {
    let runtime = Runtime::new().unwrap();
    if runtime.backend() == Backend::Select {
        return; // select cannot report it
    }
    runtime.block_on(async {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        spawn("closed", async move { ours.closed().await });
        task::yield_now().await;
        let expected = "hang-up, error or urgent data of Unix stream (fd N)";
        assert_eq!(waits_of(&task::all(), "closed"), [expected]);
    });
}

#[test]
fn the_future_of_block_on_is_listed_with_its_waits() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let asking = thread::spawn(move || {
        loop {
            let tasks = handle.tasks().wait(LONG).unwrap();
            if !tasks.root_waits.is_empty() {
                return (tasks, handle.spawn(async {}));
            }
        }
    });
    runtime.block_on(async {
        let (wake, woken) = async_channel::bounded::<()>(1);
        let task = spawn("awaited", async move { woken.recv().await });
        runtime::spawn(async move {
            while !asking.is_finished() {
                time::sleep(Duration::from_millis(1)).await;
            }
            let (tasks, _) = asking.join().unwrap();
            let text = without_numbers(&tasks.root_waits[0].to_string());
            let here = without_numbers(&format!("{}:1:1", file!()));
            assert_eq!(
                text,
                format!("join of task N.N \"awaited\", spawned at {here}")
            );
            assert!(
                tasks
                    .to_string()
                    .contains("\nthe future of block_on\n    join of task ")
            );
            wake.send(()).await.unwrap();
        });
        task.await.unwrap().unwrap();
    });
}

#[test]
fn each_task_is_listed_in_its_state() {
    runtime::block_on(async {
        let complete = spawn("complete", async {});
        let waiting = spawn("waiting", pending::<()>());
        let large = runtime::spawn(async {
            let large = [0_u8; 100_000];
            task::yield_now().await;
            pending::<()>().await;
            std::hint::black_box(&large);
        });
        task::yield_now().await;
        let scheduled = spawn("scheduled", async {});
        let asking = runtime::spawn(async { task::all() });
        let asking_id = asking.id();
        let tasks = asking.await.unwrap();
        let find = |id| tasks.tasks.iter().find(|task| task.id == id).unwrap();
        // The task that asks ran after the one that was scheduled before it.
        assert_eq!(find(scheduled.id()).state, TaskState::Complete);
        assert_eq!(find(complete.id()).state, TaskState::Complete);
        assert!(find(complete.id()).waits.is_empty());
        assert_eq!(find(waiting.id()).state, TaskState::Waiting);
        assert_eq!(find(waiting.id()).waits, [Wait::Other]);
        assert_eq!(find(asking_id).state, TaskState::Running);
        // Its future has an allocation of its own.
        assert!(find(large.id()).size > Some(100_000));
        let here = find(large.id()).spawned_at.unwrap();
        assert_eq!(here.file(), file!());

        let scheduled = spawn("scheduled", async {});
        let tasks = task::all();
        let found = tasks.tasks.iter().find(|task| task.id == scheduled.id());
        assert_eq!(found.unwrap().state, TaskState::Scheduled);
    });
}

#[test]
fn each_of_two_runtimes_lists_its_own_tasks_under_its_name() {
    let build = |name| Runtime::builder().name(name).build().unwrap();
    let (one, other) = (build("one"), build("other"));
    let _first = one.spawn(pending::<()>());
    let _second = other.spawn(pending::<()>());
    let _third = other.spawn(pending::<()>());
    // Both are suspended, and this thread is theirs.
    let list = |runtime: &Runtime| runtime.handle().tasks().wait(Duration::ZERO).unwrap();
    let text = list(&one).to_string();
    assert!(
        text.starts_with("runtime \"one\": 1 task: 1 scheduled\n"),
        "{text}"
    );
    let text = list(&other).to_string();
    assert!(
        text.starts_with("runtime \"other\": 2 tasks: 2 scheduled\n"),
        "{text}"
    );
}

#[test]
fn a_task_of_another_runtime_awaits_the_list() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let other = thread::spawn(move || {
        runtime::block_on(async move {
            let tasks = handle.tasks().await.unwrap();
            handle.spawn(async {}); // ends nothing, and is allowed
            tasks
        })
    });
    let _waiting = runtime.spawn(pending::<()>());
    while !other.is_finished() {
        runtime.block_on(time::sleep(Duration::from_millis(1)));
    }
    assert_eq!(other.join().unwrap().tasks.len(), 1);
}

#[test]
fn a_request_to_a_runtime_that_does_not_run_times_out_or_reports_its_drop() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let asking = handle.clone();
    let limit = Duration::from_millis(1);
    let other = thread::spawn(move || asking.tasks().wait(limit));
    let error = other.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(
        error.to_string(),
        "the thread of the runtime did not answer in 1ms"
    );

    let asking = handle.clone();
    let (sent, is_sent) = channel();
    let other = thread::spawn(move || {
        let request = asking.tasks();
        sent.send(()).unwrap();
        request.wait(LONG)
    });
    is_sent.recv().unwrap();
    drop(runtime);
    let error = other.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    let error = handle.tasks().wait(LONG).unwrap_err();
    let expected = "the runtime was dropped before it could answer";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_request_sent_while_the_runtime_is_dropped_gets_an_answer() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    /// Asks from another thread, and from this one, when it is dropped.
    struct AskOnDrop(Handle, std::sync::mpsc::Sender<bool>);
    impl Drop for AskOnDrop {
        fn drop(&mut self) {
            let (handle, answered) = (self.0.clone(), self.1.clone());
            let other = thread::spawn(move || handle.tasks().wait(LONG).is_err());
            answered.send(other.join().unwrap()).unwrap();
            let mut request = self.0.tasks();
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let polled = std::pin::Pin::new(&mut request).poll(&mut cx);
            let is_ready = matches!(polled, Poll::Ready(_));
            self.1.send(is_ready).unwrap();
        }
    }
    let (answer, answers) = channel();
    let guard = AskOnDrop(handle, answer);
    let _task = runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    drop(runtime);
    assert!(answers.recv().unwrap() && answers.recv().unwrap());
}

#[test]
fn thousands_of_tasks_are_listed_in_full_and_their_text_is_bounded() {
    runtime::block_on(async {
        for _ in 0..5_000 {
            drop(runtime::spawn(time::sleep(LONG)));
        }
        task::yield_now().await;
        let tasks = task::all();
        assert_eq!(tasks.tasks.len(), 5_000);
        let has_timer = |task: &TaskInfo| matches!(task.waits[..], [Wait::Timer { .. }]);
        assert!(tasks.tasks.iter().all(has_timer));
        let text = tasks.to_string();
        assert!(text.ends_with("\nand 4800 more: 4800 timer"), "{text}");
    });
}
