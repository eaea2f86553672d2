//! Where the panic of a `select!` without `else` points. By itself, since the panic hook is one for
//! the whole process.

use std::future::ready;
use std::panic;
use std::sync::mpsc;

#[test]
fn the_panic_of_select_names_the_file_and_line_of_the_select() {
    let (sender, places) = mpsc::channel();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|it| (it.file(), it.line()));
        sender
            .send(place.map(|(file, line)| (file.to_owned(), line)))
            .unwrap();
    }));
    let outcome = panic::catch_unwind(|| {
        runtime::block_on(async {
            runtime::select! { Some(()) = ready(None) => {} }
        });
    });
    let line = line!() - 3;
    let _ = panic::take_hook();

    assert!(outcome.is_err());
    assert_eq!(places.recv().unwrap(), Some((file!().to_owned(), line)));
}
