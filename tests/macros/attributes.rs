//! `#[runtime::main]` and `#[runtime::test]`.

use super::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[runtime::test]
async fn a_test_returns_a_result() -> Outcome {
    let number: u8 = ready("1").await.parse()?;
    if number == 1 {
        return Ok(());
    }
    Err("not one")?
}

#[runtime::test]
async fn a_test_returns_any_termination() -> impl Termination {
    ExitCode::SUCCESS
}

#[runtime::test]
#[ignore = "it never returns; only its types are checked"]
async fn a_test_that_never_returns_compiles() -> std::io::Result<()> {
    loop {
        yield_now().await;
    }
}

#[runtime::test]
#[should_panic(expected = "kept")]
async fn should_panic_is_kept() {
    panic!("kept");
}

#[runtime::test]
#[ignore = "checks that the attribute `ignore` is kept"]
async fn ignore_is_kept() {
    panic!("ran an ignored test");
}

#[runtime::test(crate = "runtime")]
async fn the_path_of_the_runtime_is_an_argument() {}

#[runtime::test(crate = "::runtime")]
async fn the_argument_takes_a_trailing_comma() {}

macro_rules! make {
    ($(#[$meta:meta])* $vis:vis $name:ident $body:block) => {
        #[runtime::test]
        $(#[$meta])*
        $vis async fn $name() $body
    };
}
make! {
    /// Documented.
    #[should_panic(expected = "from a macro")]
    pub(super) a_test_is_written_by_a_macro { panic!("from a macro") }
}

/// The attribute keeps documentation and visibility.
#[runtime::main]
#[must_use]
pub(super) async fn start() -> Result<u8, std::num::ParseIntError> {
    let number: u8 = "x1".trim_start_matches('x').parse()?;
    Ok(number)
}

#[runtime::main]
async fn never() -> ! {
    panic!("left");
}

#[runtime::main]
async fn forever() -> std::io::Result<()> {
    loop {
        yield_now().await;
    }
}

#[runtime::main]
async fn calls_itself() -> u8 {
    async fn again(left: u8) -> u8 {
        if left == 0 {
            0
        } else {
            1 + Box::pin(again(left - 1)).await
        }
    }
    again(3).await
}

#[test]
fn main_works_on_a_function_of_any_name() {
    assert_eq!(start(), Ok(1));
    assert_eq!(calls_itself(), 3);
    assert!(std::panic::catch_unwind(|| never()).is_err());
    let _: fn() -> std::io::Result<()> = forever;
}
