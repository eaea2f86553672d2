//! Which system calls a runtime is built on is chosen when it is built. A binary of its own, with one
//! test, since it changes a variable of the process.

use std::env;
use std::io::ErrorKind;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::{Backend, Runtime};

fn set(value: &str) {
    // SAFETY: this process has one test, and so no other thread that reads the environment.
    unsafe { env::set_var("RUNTIME_BACKEND", value) };
}

fn assert_works(runtime: &Runtime) {
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = runtime::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"there and back").await.unwrap();
        client.close().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "there and back");
        server.await.unwrap();
    });
}

fn refused(runtime: std::io::Result<Runtime>, kind: ErrorKind) {
    let e = runtime.expect_err("there is no such backend");
    assert_eq!(e.kind(), kind);
    for backend in Backend::available() {
        assert!(e.to_string().contains(backend.name()), "{e}");
    }
}

#[test]
fn a_runtime_is_built_on_the_backend_that_was_asked_for() {
    let available = Backend::available();
    assert!(available.contains(&Backend::Poll) && available.contains(&Backend::Select));
    for &backend in available {
        let runtime = Runtime::builder().backend(backend).build().unwrap();
        assert_eq!(runtime.backend(), backend);
        assert_works(&runtime);
        set(backend.name());
        let by_variable = Runtime::new().unwrap();
        assert_eq!(by_variable.backend(), backend);
        assert_works(&by_variable);
    }
    // The builder's word counts for more than the variable's.
    set("abacus");
    let runtime = Runtime::builder().backend(available[0]).build().unwrap();
    assert_eq!(runtime.backend(), available[0]);
    refused(Runtime::new(), ErrorKind::InvalidInput);
    set("");
    refused(Runtime::new(), ErrorKind::InvalidInput);
    for backend in [Backend::Epoll, Backend::Kqueue] {
        if !available.contains(&backend) {
            refused(
                Runtime::builder().backend(backend).build(),
                ErrorKind::Unsupported,
            );
            set(backend.name());
            refused(Runtime::new(), ErrorKind::Unsupported);
        }
    }
}
