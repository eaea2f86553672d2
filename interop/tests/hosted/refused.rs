//! Operations that a runtime with tokio's context rejects with an error.

use std::io::ErrorKind;
use std::time::Duration;

use runtime::{Backend, Runtime};

#[test]
fn a_backend_without_a_descriptor_is_refused_by_name() {
    for backend in [Backend::Poll, Backend::Select] {
        let builder = Runtime::builder().backend(backend).tokio(true);
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("epoll or kqueue"), "{text}");
        assert!(text.contains(&backend.to_string()), "{text}");
    }
}

#[test]
fn a_loop_of_ones_own_is_refused() {
    let runtime = Runtime::builder().tokio(true).build().unwrap();
    let turned = runtime.turn(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(turned.kind(), ErrorKind::Unsupported);
    let descriptor = runtime.pollable_fd().unwrap_err();
    assert_eq!(descriptor.kind(), ErrorKind::Unsupported);
    assert!(descriptor.to_string().contains("tokio"), "{descriptor}");
}

#[test]
fn block_on_in_a_task_of_tokio_is_refused() {
    let runtime = Runtime::builder().tokio(true).build().unwrap();
    let joined =
        runtime.block_on(async { tokio::spawn(async { runtime::block_on(async {}) }).await });
    let panic = joined.unwrap_err().into_panic();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("inside a runtime"), "{text}");
}

#[test]
fn without_tokio_there_is_no_context() {
    let runtime = Runtime::new().unwrap();
    assert!(runtime.tokio_handle().is_none());
    let found = runtime.block_on(async { tokio::runtime::Handle::try_current().is_ok() });
    assert!(!found);
}
