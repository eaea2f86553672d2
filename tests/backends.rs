//! The choice of a backend by the builder or by `RUNTIME_BACKEND`. A separate binary with one test,
//! because it changes an environment variable of the process.

use std::env;
use std::io::ErrorKind;

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::{Backend, Runtime};

fn set(value: &str) {
    // SAFETY: set_var requires that no other thread reads the environment; this process has one
    // test.
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

fn assert_rejected(runtime: std::io::Result<Runtime>, kind: ErrorKind) {
    let e = runtime.expect_err("the backend does not exist");
    assert_eq!(e.kind(), kind);
    for backend in Backend::available() {
        assert!(e.to_string().contains(backend.name()), "{e}");
    }
}

#[test]
fn a_runtime_uses_the_requested_backend() {
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
    // The builder takes precedence over the variable.
    set("abacus");
    let runtime = Runtime::builder().backend(available[0]).build().unwrap();
    assert_eq!(runtime.backend(), available[0]);
    assert_rejected(Runtime::new(), ErrorKind::InvalidInput);
    set("");
    assert_rejected(Runtime::new(), ErrorKind::InvalidInput);
    for backend in [Backend::Epoll, Backend::Kqueue] {
        if !available.contains(&backend) {
            assert_rejected(
                Runtime::builder().backend(backend).build(),
                ErrorKind::Unsupported,
            );
            set(backend.name());
            assert_rejected(Runtime::new(), ErrorKind::Unsupported);
        }
    }
}
