//! Binding a thread to a processor.

use std::io;

/// Binds the calling thread to one of the processors that it may use. `index` counts those, and
/// wraps around after the last.
///
/// # Errors
/// Returns the error of sched_setaffinity(2), such as `EINVAL` on a machine with more than 1024
/// processors.
///
/// # Platform-specific behavior
/// Does nothing except on Linux and Android. macOS offers only hints, and the calls of the BSDs
/// differ in name and effect.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn pin_thread(index: usize) -> io::Result<()> {
    const SIZE: usize = size_of::<libc::cpu_set_t>();
    // SAFETY: cpu_set_t is an array of integers, for which zeroes are the empty set.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most SIZE bytes into the set; 0 is the calling thread.
    cvt(unsafe { libc::sched_getaffinity(0, SIZE, &mut allowed) })?;
    let may_use = |&cpu: &usize| {
        // SAFETY: CPU_ISSET indexes an array that has a bit for each of these.
        unsafe { libc::CPU_ISSET(cpu, &allowed) }
    };
    let cpus: Vec<usize> = (0..SIZE * 8).filter(may_use).collect();
    let Some(&cpu) = cpus.get(index % cpus.len().max(1)) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    // SAFETY: cpu_set_t is an array of integers, for which zeroes are the empty set.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` was a bit of a set of the same type.
    unsafe { libc::CPU_SET(cpu, &mut one) };
    // SAFETY: the kernel reads SIZE bytes of the set and keeps no pointer.
    cvt(unsafe { libc::sched_setaffinity(0, SIZE, &one) })
}

/// Does nothing on other systems.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::unnecessary_wraps, reason = "fails on Linux")]
pub(crate) fn pin_thread(_: usize) -> io::Result<()> {
    Ok(())
}

/// Converts the result of a system call that returns -1 and sets errno when it fails.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn cvt(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_index_is_one_of_the_processors_there_are() {
        // On another thread, so that the mask of this one is unchanged.
        let pinned = std::thread::spawn(|| {
            for index in [0, 1, 2, usize::MAX] {
                pin_thread(index).unwrap();
                #[cfg(any(target_os = "linux", target_os = "android"))]
                assert_eq!(std::thread::available_parallelism().unwrap().get(), 1);
            }
        });
        pinned.join().unwrap();
    }
}
