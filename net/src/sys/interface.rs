//! The names and numbers of network interfaces.

use std::ffi::{CStr, CString};
use std::io;
use std::num::NonZeroU32;

/// Returns the number of the interface `name`.
///
/// # Errors
/// Returns ENXIO or ENODEV, depending on the system, if there is no such interface.
pub(crate) fn index_of(name: &[u8]) -> io::Result<NonZeroU32> {
    let Ok(name) = CString::new(name) else {
        return Err(io::Error::from_raw_os_error(libc::ENXIO)); // no name has a zero byte
    };
    // SAFETY: if_nametoindex reads a C string, which outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    NonZeroU32::new(index).ok_or_else(io::Error::last_os_error)
}

/// Returns the name of the interface with the number `index`.
///
/// # Errors
/// Returns ENXIO if there is no such interface.
pub(crate) fn name_of(index: NonZeroU32) -> io::Result<Vec<u8>> {
    let mut room = [0; libc::IF_NAMESIZE];
    // SAFETY: if_indextoname writes at most IF_NAMESIZE bytes, to an array of that many that
    // outlives the call.
    let name = unsafe { libc::if_indextoname(index.get(), room.as_mut_ptr()) };
    if name.is_null() {
        return Err(io::Error::last_os_error());
    }
    let name = room.map(|byte| byte as u8);
    let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
    Ok(name.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_a_number_and_the_number_its_name() {
        let loopback: &[u8] = if cfg!(any(target_os = "linux", target_os = "android")) {
            b"lo"
        } else {
            b"lo0"
        };
        let index = index_of(loopback).unwrap();
        assert_eq!(name_of(index).unwrap(), loopback);
        for missing in [&b"no such"[..], b"", b"lo\0"] {
            let errno = index_of(missing).unwrap_err().raw_os_error();
            assert!(
                matches!(errno, Some(libc::ENXIO | libc::ENODEV)),
                "{errno:?}"
            );
        }
        let error = name_of(NonZeroU32::MAX).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
    }
}
