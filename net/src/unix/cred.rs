//! Credentials of the peer.

/// The user, group and process that a peer ran as: see
/// [`UnixStream::peer_cred`](crate::UnixStream::peer_cred).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UCred {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

impl UCred {
    pub(crate) fn new(uid: u32, gid: u32, pid: Option<i32>) -> UCred {
        UCred { uid, gid, pid }
    }

    /// Returns the user ID.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the group ID.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Returns the process ID, if it is known. The process may have ended.
    ///
    /// # Platform-specific behavior
    /// It is known on Linux, Android and Apple's systems, unless the process is in a PID namespace
    /// that is not visible from this one. It is `None` elsewhere.
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }
}
