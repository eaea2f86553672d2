//! Who the peer is.

/// Whom a process ran as when it connected, or began to listen: see
/// [`UnixStream::peer_cred`](crate::UnixStream::peer_cred).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UCred {
    uid: libc::uid_t,
    gid: libc::gid_t,
    pid: Option<libc::pid_t>,
}

impl UCred {
    pub(crate) fn new(uid: libc::uid_t, gid: libc::gid_t, pid: Option<libc::pid_t>) -> UCred {
        UCred { uid, gid, pid }
    }

    /// The user.
    pub fn uid(&self) -> libc::uid_t {
        self.uid
    }

    /// The group.
    pub fn gid(&self) -> libc::gid_t {
        self.gid
    }

    /// The process, which may have ended since.
    ///
    /// # Platform notes
    /// `None` on the BSDs, and where the process belongs to a namespace that ours cannot see.
    pub fn pid(&self) -> Option<libc::pid_t> {
        self.pid
    }
}
