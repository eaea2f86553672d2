//! Runtimes on several threads.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::pending;
use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::{PerCore, Runtime, per_core};

#[test]
fn each_core_runs_once_and_the_results_are_in_order() {
    let threads = Mutex::new(BTreeSet::new());
    let out = per_core(4, async |core: PerCore| {
        let name = thread::current().name().unwrap().to_owned();
        threads.lock().unwrap().insert(name);
        assert_eq!(core.handles().len(), 4);
        // The first core finishes last.
        for _ in core.index()..4 {
            runtime::task::yield_now().await;
        }
        Ok(core.index())
    });
    assert_eq!(out.unwrap(), [0, 1, 2, 3]);
    let names: Vec<String> = threads.into_inner().unwrap().into_iter().collect();
    assert_eq!(
        names,
        (0..4)
            .map(|n| format!("runtime-core-{n}"))
            .collect::<Vec<_>>()
    );
}

/// Counts its live instances.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Counted<'a> {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn the_error_of_one_core_stops_the_others_and_names_the_core() {
    static TASKS: AtomicUsize = AtomicUsize::new(0);
    let roots = AtomicUsize::new(0);
    let error = per_core(3, async |core: PerCore| {
        let _counted = Counted::new(&roots);
        if core.index() == 1 {
            // Wait until the other cores wait.
            while roots.load(Ordering::SeqCst) < 3 || TASKS.load(Ordering::SeqCst) < 2 {
                runtime::task::yield_now().await;
            }
            return Err::<(), _>(io::Error::new(ErrorKind::AddrInUse, "taken"));
        }
        runtime::spawn(async {
            let _counted = Counted::new(&TASKS);
            pending::<()>().await;
        });
        pending().await
    })
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert_eq!(error.to_string(), "core 1: taken");
    assert_eq!((roots.into_inner(), TASKS.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn the_errors_of_several_cores_are_all_reported() {
    let arrived = Mutex::new(0);
    let error = per_core(2, async |core: PerCore| {
        *arrived.lock().unwrap() += 1;
        // Wait within one poll, so that neither core is stopped before it fails.
        while *arrived.lock().unwrap() < 2 {
            thread::yield_now();
        }
        Err::<(), _>(io::Error::other(format!("no {}", core.index())))
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "core 0: no 0; core 1: no 1");
}

#[test]
fn the_panic_of_one_core_stops_the_others_and_is_resumed() {
    let roots = AtomicUsize::new(0);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        per_core(3, async |core: PerCore| {
            let _counted = Counted::new(&roots);
            if core.index() == 2 {
                panic!("on purpose");
            }
            pending::<io::Result<()>>().await
        })
    }));
    let panic = panicked.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    assert_eq!(roots.into_inner(), 0);
}

#[test]
fn invalid_arguments_start_no_core() {
    let started = AtomicUsize::new(0);
    let main = async |_: PerCore| {
        started.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let none = per_core(0, main).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidInput);
    let builder = Runtime::builder().blocking_thread_name("nul\0");
    let error = builder.run_per_core(2, main).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("core 0: "), "{error}");
    assert_eq!(started.into_inner(), 0);
}

#[test]
fn per_core_inside_a_runtime_panics() {
    let panic = runtime::block_on(async {
        let main = async |_| Ok(());
        catch_unwind(AssertUnwindSafe(|| drop(per_core(1, main)))).unwrap_err()
    });
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("per_core was called at tests/per_core.rs"),
        "{text}"
    );
}

#[test]
fn cores_can_be_pinned() {
    let builder = Runtime::builder().pin_cores(true);
    let parallel = builder.run_per_core(3, async |_| Ok(thread::available_parallelism()?.get()));
    let parallel = parallel.unwrap();
    assert_eq!(parallel.len(), 3);
    if cfg!(target_os = "linux") {
        assert_eq!(parallel, [1, 1, 1]);
    }
}

#[test]
fn a_connection_that_is_moved_belongs_to_the_core_where_it_first_waits() {
    thread_local! {
        static CORE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let handed = Mutex::new(None);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(first, [1], "the number of the core");
        // The stream waits on core 1 now or soon; core 0 has finished or will.
        stream.write_all(b"x").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"x");
    });
    let listener = Mutex::new(Some(TcpListener::from_std(listener).unwrap()));
    per_core(2, async |core: PerCore| {
        CORE.set(core.index());
        if core.index() == 0 {
            let listener = listener.lock().unwrap().take().unwrap();
            let (stream, _) = listener.accept().await?;
            let serving = core.handles()[1].spawn_fn(move || runtime::spawn(serve(stream)));
            *handed.lock().unwrap() = Some(serving);
            return Ok(()); // this drops the reactor of core 0
        }
        let serving = loop {
            let taken = handed.lock().unwrap().take();
            match taken {
                Some(serving) => break serving,
                None => runtime::task::yield_now().await,
            }
        };
        serving.await?.await?
    })
    .unwrap();
    client.join().unwrap();

    async fn serve(mut stream: TcpStream) -> io::Result<()> {
        stream.write_all(&[CORE.get() as u8]).await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        stream.write_all(&byte).await
    }
}

/// On systems other than Linux, DragonFly BSD and FreeBSD one listener gets all clients.
#[test]
#[cfg(target_os = "linux")]
fn listeners_that_share_a_port_share_its_clients() {
    let first = runtime::block_on(TcpListener::bind_shared("127.0.0.1:0")).unwrap();
    let address = first.local_addr().unwrap();
    let first = Mutex::new(Some(first));
    let listening = std::sync::Barrier::new(3);
    let clients = thread::scope(|s| {
        let connecting = s.spawn(|| {
            listening.wait();
            let mut seen = BTreeSet::new();
            // The chance that all 200 arrive at one core is 2^-199.
            for _ in 0..200 {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                let mut core = [0];
                stream.read_exact(&mut core).unwrap();
                seen.insert(core[0]);
                if seen.len() == 2 {
                    break;
                }
            }
            seen.len()
        });
        let ended = per_core(2, async |core: PerCore| {
            let taken = match core.index() {
                0 => first.lock().unwrap().take(),
                _ => None,
            };
            let listener = match taken {
                Some(listener) => listener,
                None => TcpListener::bind_shared(address).await?,
            };
            listening.wait();
            while !connecting.is_finished() {
                let accepted = listener.accept();
                let limit = std::time::Duration::from_millis(10);
                if let Ok(accepted) = runtime::time::timeout(limit, accepted).await {
                    let (mut stream, _) = accepted?;
                    stream.write_all(&[core.index() as u8]).await?;
                }
            }
            Ok(())
        });
        ended.unwrap();
        connecting.join().unwrap()
    });
    assert_eq!(clients, 2);
}
