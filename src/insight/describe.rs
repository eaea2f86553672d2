//! Descriptions of descriptors, made when a list is requested.

use std::fs;
use std::os::fd::RawFd;

use runtime_net::internal::describe_socket;

use super::tasks::Descriptor;

/// Describes a descriptor by a few system calls, none of which blocks.
pub(super) fn describe(fd: RawFd) -> Descriptor {
    let description = describe_socket(fd).or_else(|| path_of(fd));
    Descriptor {
        fd,
        description: description.unwrap_or_else(|| "descriptor".to_owned()),
    }
}

/// Returns the path or kind of a descriptor that is no socket, where the system has /proc.
fn path_of(fd: RawFd) -> Option<String> {
    let path = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let path = path.to_string_lossy();
    // `anon_inode:[eventpoll]`, `pipe:[4711]`: the number of the inode is of no use to a reader.
    let name = match path.split_once(":[") {
        Some(("anon_inode", name)) => name.trim_end_matches(']'),
        Some((kind, _)) => kind,
        None => &path,
    };
    Some(name.to_owned())
}

/// Returns the process whose exit a descriptor reports, if it is a pidfd.
pub(super) fn process_of(fd: RawFd) -> Option<u32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok()
}
