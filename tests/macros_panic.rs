//! The location in the panic of a `select!` without `else`. A separate binary, because the panic
//! hook belongs to the process.

use std::future::ready;
use std::panic;
use std::sync::mpsc;

#[test]
fn the_panic_of_select_names_the_file_and_line_of_the_select() {
    let (sender, locations) = mpsc::channel();
    panic::set_hook(Box::new(move |info| {
        let location = info.location().map(|at| (at.file(), at.line()));
        sender
            .send(location.map(|(file, line)| (file.to_owned(), line)))
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
    assert_eq!(locations.recv().unwrap(), Some((file!().to_owned(), line)));
}
