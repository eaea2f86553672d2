//! The system call select(2), and the descriptor sets that it takes.
//!
//! The sets are our own and as long as the largest descriptor needs. Kernels accept any length, but
//! the `fd_set` of C ends at descriptor 1023 (255 on NetBSD), and FD_SET writes past its end from
//! there on.

use std::os::fd::RawFd;
use std::time::Duration;
use std::{io, ptr};

use super::cvt::cvt;
use super::timeout::timespec;

/// The initial capacity of a set: 1024 descriptors, so that a small program allocates it once.
const FIRST_WORDS: usize = 1024 / Word::BITS as usize;

/// Waits in pselect, and leaves what is ready in the sets. They are empty after an error.
pub(super) fn select(
    readable: &mut FdSet,
    writable: &mut FdSet,
    mut exceptional: Option<&mut FdSet>,
    limit: Option<Duration>,
) -> io::Result<()> {
    let mut n = readable.end().max(writable.end());
    if let Some(set) = &exceptional {
        n = n.max(set.end());
    }
    let words = (n as u32).div_ceil(Word::BITS) as usize;
    readable.0.resize(words, 0);
    writable.0.resize(words, 0);
    if let Some(set) = &mut exceptional {
        set.0.resize(words, 0);
    }
    let limit = limit.map(timespec);
    // SAFETY: the kernel reads and writes the words of the first `n` bits in each set, and each has
    // these words; `limit` is null or points to a timespec that outlives the call, and a null set
    // and the null signal mask are allowed.
    let ready = cvt(unsafe {
        pselect(
            n,
            readable.0.as_mut_ptr().cast(),
            writable.0.as_mut_ptr().cast(),
            exceptional
                .as_mut()
                .map_or(ptr::null_mut(), |set| set.0.as_mut_ptr().cast()),
            limit.as_ref().map_or(ptr::null(), ptr::from_ref),
            ptr::null(),
        )
    });
    if ready.is_err() {
        // A call that failed leaves the sets as they were passed, which is no result.
        for set in [Some(readable), Some(writable), exceptional]
            .into_iter()
            .flatten()
        {
            set.clear();
        }
    }
    ready.map(drop)
}

/// A set of descriptors in the kernel's layout.
#[derive(Debug, Default)]
pub(super) struct FdSet(Vec<Word>);

impl FdSet {
    pub(super) const fn new() -> FdSet {
        FdSet(Vec::new())
    }

    pub(super) fn with_first_capacity() -> FdSet {
        FdSet(Vec::with_capacity(FIRST_WORDS))
    }

    /// Removes all descriptors and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[inline(never)] // Three inlined copies would be most of this backend's code.
    pub(super) fn insert(&mut self, fd: RawFd) {
        let (word, bit) = word_and_bit(fd);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    /// Returns the number after the largest descriptor in the set, or 0.
    pub(super) fn end(&self) -> RawFd {
        let last = self.0.iter().rposition(|&word| word != 0);
        let end = last.map_or(0, |index| {
            (index as u32 + 1) * Word::BITS - self.0[index].leading_zeros()
        });
        end as RawFd
    }

    pub(super) fn contains(&self, fd: RawFd) -> bool {
        let (word, bit) = word_and_bit(fd);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

fn word_and_bit(fd: RawFd) -> (usize, Word) {
    let fd = fd as u32;
    ((fd / Word::BITS) as usize, 1 << (fd % Word::BITS))
}

/// The element of an `fd_set`, whose lowest bit stands for its lowest descriptor.
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd"))]
type Word = u32;
#[cfg(not(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd")))]
type Word = libc::c_ulong;

#[cfg(not(target_vendor = "apple"))]
use libc::pselect;
#[cfg(target_vendor = "apple")]
unsafe extern "C" {
    /// The variant that a program compiled with _DARWIN_UNLIMITED_SELECT calls. The common one
    /// refuses descriptors of 1024 and over (select(2)).
    #[link_name = "pselect$DARWIN_EXTSN"]
    fn pselect(
        n: libc::c_int,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        limit: *const libc::timespec,
        mask: *const libc::sigset_t,
    ) -> libc::c_int;
}

#[cfg(test)]
mod tests {
    use std::{mem, slice};

    use super::*;

    #[test]
    fn a_set_has_the_layout_of_the_fd_set_of_c() {
        let last = libc::FD_SETSIZE as RawFd - 1; // 255 on NetBSD, 1023 elsewhere
        let fds = [0, 1, 31, 32, 33, 63, 64, 100, last];
        let mut ours = FdSet::default();
        // SAFETY: an fd_set consists of integers, for which all-zero is valid.
        let mut theirs: libc::fd_set = unsafe { mem::zeroed() };
        for fd in fds {
            ours.insert(fd);
            // SAFETY: the descriptor is below FD_SETSIZE, and the pointer is valid for an fd_set.
            unsafe { libc::FD_SET(fd, &mut theirs) };
        }
        let theirs = (&raw const theirs).cast::<Word>();
        let words = size_of::<libc::fd_set>() / size_of::<Word>();
        // SAFETY: an fd_set consists of words of this type, and outlives the slice.
        let theirs = unsafe { slice::from_raw_parts(theirs, words) };
        assert_eq!(ours.0[..words], *theirs);
        assert!(ours.0[words..].iter().all(|&word| word == 0));
        assert!(fds.iter().all(|&fd| ours.contains(fd)));
        assert!(!ours.contains(2) && !ours.contains(5000));
    }

    #[test]
    fn the_end_of_a_set_follows_its_largest_descriptor() {
        let mut set = FdSet::new();
        assert_eq!(set.end(), 0);
        for fd in [0, 5, 31, 32, 63, 64, 1023, 1024] {
            set.insert(fd);
            assert_eq!(set.end(), fd + 1);
        }
    }
}
