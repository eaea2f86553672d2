//! Spans of tracing: a future that is instrumented enters its span for each poll, and no other task
//! sees it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tracing::{Instrument, Span, info_span};

/// Makes a registry the subscriber of this thread, so that the current span is known.
fn subscribe() -> tracing::subscriber::DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry())
}

fn current() -> Option<&'static str> {
    Span::current().metadata().map(|metadata| metadata.name())
}

#[runtime::test]
async fn a_span_is_current_in_each_poll_of_its_own_task_only() {
    let _guard = subscribe();
    let first = runtime::spawn(
        async {
            let mut seen = vec![current()];
            runtime::task::yield_now().await;
            seen.push(current());
            runtime::time::sleep(Duration::from_millis(1)).await;
            seen.push(current());
            seen
        }
        .instrument(info_span!("first")),
    );
    let second = async {
        runtime::task::yield_now().await;
        current()
    };
    let second = runtime::spawn(second.instrument(info_span!("second")));
    assert_eq!(current(), None);
    assert_eq!(first.await.unwrap(), [Some("first"); 3]);
    assert_eq!(second.await.unwrap(), Some("second"));
    assert_eq!(current(), None);
}

#[runtime::test]
async fn a_spawned_task_inherits_the_span_only_if_it_is_instrumented() {
    let _guard = subscribe();
    let outer = async {
        let without = runtime::spawn(async { current() });
        let with = runtime::spawn(async { current() }.in_current_span());
        (without.await.unwrap(), with.await.unwrap())
    };
    assert_eq!(
        outer.instrument(info_span!("outer")).await,
        (None, Some("outer"))
    );
}

#[runtime::test]
async fn a_task_that_is_aborted_is_dropped_in_its_span() {
    struct Dropped(Rc<Cell<Option<&'static str>>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(current());
        }
    }
    let _guard = subscribe();
    let seen = Rc::new(Cell::new(None));
    let dropped = Dropped(seen.clone());
    let task = runtime::spawn(
        async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        }
        .instrument(info_span!("aborted")),
    );
    runtime::task::yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(seen.get(), Some("aborted"));
}
