//! Panics of bodies, children and destructors.

use super::*;

#[test]
fn a_panic_of_a_child_drops_the_others_in_order_and_is_resumed() {
    let dropped = RefCell::new(Vec::new());
    let note = |name| Note(&dropped, name);
    let scope = scope(async |s| {
        let _body = note("body");
        for name in ["first", "second", "third"] {
            let note = note(name);
            s.spawn(async move {
                let _note = note;
                pending::<()>().await;
            });
        }
        let failing = note("failing");
        s.spawn(async move {
            let _note = failing;
            yield_now().await;
            panic!("expected");
        });
        pending::<()>().await;
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| runtime::block_on(scope)));
    assert_eq!(text(&*panicked.unwrap_err()), "expected");
    assert_eq!(
        *dropped.borrow(),
        ["failing", "body", "first", "second", "third"]
    );
}

#[test]
fn a_panic_of_the_body_drops_the_children_and_is_resumed() {
    let dropped = RefCell::new(Vec::new());
    let scope = scope(async |s| {
        let note = Note(&dropped, "child");
        s.spawn(async move {
            let _note = note;
            pending::<()>().await;
        });
        yield_now().await;
        panic!("expected");
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| runtime::block_on(scope)));
    assert_eq!(text(&*panicked.unwrap_err()), "expected");
    assert_eq!(*dropped.borrow(), ["child"]);
}

#[test]
fn a_task_is_notified_of_the_panic_of_a_child() {
    runtime::block_on(async {
        let task = runtime::spawn(scope(async |s| {
            s.spawn(async { panic!("expected") });
        }));
        let payload = task.await.unwrap_err().into_panic();
        assert_eq!(text(&*payload), "expected");
    });
}

#[test]
fn destructors_that_panic_do_not_keep_the_others_from_being_dropped() {
    /// Panics with its name after noting it.
    struct Fail<'a>(&'a RefCell<Vec<&'static str>>, &'static str);
    impl Drop for Fail<'_> {
        fn drop(&mut self) {
            self.0.borrow_mut().push(self.1);
            std::panic::panic_any(self.1);
        }
    }
    let dropped = RefCell::new(Vec::new());
    let run = |panics: bool| {
        let scope = scope(async |s| {
            for name in ["one", "two"] {
                let fail = Fail(&dropped, name);
                s.spawn(async move {
                    let _fail = fail;
                    pending::<()>().await;
                });
            }
            let last = Note(&dropped, "three");
            s.spawn(async move {
                let _last = last;
                pending::<()>().await;
            });
            yield_now().await;
            if panics {
                panic!("expected");
            }
            s.exit(()).await;
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| runtime::block_on(scope)));
        assert_eq!(dropped.take(), ["one", "two", "three"]);
        text(&*panicked.unwrap_err()).to_owned()
    };
    assert_eq!(run(true), "expected", "the first panic counts");
    assert_eq!(run(false), "one");
}
