//! Requests in steady state allocate nothing. A separate binary, because the global allocator
//! belongs to the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all calls are forwarded unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller upholds the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer was allocated by `System`, in `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> usize {
    COUNT.with(Cell::get)
}

async fn echo(stream: TcpStream) {
    let mut buffer = [0; 64];
    loop {
        match (&stream).read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => (&stream).write_all(&buffer[..n]).await.unwrap(),
        }
    }
}

#[runtime::test]
async fn a_request_in_steady_state_allocates_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..8 {
        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        runtime::spawn(echo(server));
        clients.push(client);
    }
    let round = async |clients: &mut Vec<TcpStream>| {
        for client in clients.iter_mut() {
            client.write_all(b"ping").await.unwrap();
        }
        for client in clients.iter_mut() {
            let mut pong = [0; 4];
            client.read_exact(&mut pong).await.unwrap();
            assert_eq!(&pong, b"ping");
        }
    };
    for _ in 0..10 {
        round(&mut clients).await; // until all buffers have grown
    }
    let before = allocations();
    for _ in 0..1000 {
        round(&mut clients).await;
    }
    assert_eq!(allocations() - before, 0, "in 8,000 requests");
}

#[runtime::test]
async fn spawning_allocates_once() {
    for _ in 0..10 {
        runtime::spawn(async {}).await.unwrap();
    }
    let before = allocations();
    for _ in 0..100 {
        runtime::spawn(async {}).await.unwrap();
    }
    assert_eq!(allocations() - before, 100);
}

#[runtime::test]
async fn a_timer_allocates_nothing_in_steady_state() {
    use std::time::Duration;
    let limit = Duration::from_secs(3600);
    for _ in 0..1000 {
        let _ = runtime::time::timeout(limit, runtime::task::yield_now()).await;
    }
    let before = allocations();
    for _ in 0..1000 {
        let _ = runtime::time::timeout(limit, runtime::task::yield_now()).await;
    }
    assert_eq!(allocations() - before, 0);
}

#[runtime::test]
async fn a_child_of_a_scope_allocates_three_times() {
    use runtime::task::scope;

    let before = allocations();
    scope(async |_| {}).await;
    let empty = allocations() - before;
    assert!(empty <= 6, "{empty} without a child");

    let before = allocations();
    scope(async |s| {
        for n in 0..1_000 {
            s.spawn(async move { n });
        }
    })
    .await;
    // The lists of children and of those that were woken grow now and then.
    let children = allocations() - before - empty;
    assert!((3_000..3_050).contains(&children), "{children} for 1,000");
}
