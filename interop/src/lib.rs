//! Integration tests of `runtime` with libraries that expect tokio: see the folder `tests`.
