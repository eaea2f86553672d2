//! The errors of operations that a simulated world does not have.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use runtime::io::AsyncReadExt;
use runtime::net::UnixStream;
use runtime::sim::Builder;

#[test]
fn a_descriptor_of_the_system_is_refused_with_an_error_that_says_so() {
    let mut world = Builder::new().build();
    world.client("client", async {
        let (one, _other) = std::os::unix::net::UnixStream::pair()?;
        let mut stream = UnixStream::try_from(OwnedFd::from(one))?;
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(
            error.to_string().contains("not one of this simulation"),
            "{error}"
        );
        Ok(())
    });
    world.run().unwrap();
}
