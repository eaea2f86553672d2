//! The limits of waits, as the system calls take them.

use std::time::Duration;

/// The longest wait that is passed to a kernel, because some refuse longer ones. A wait may end
/// early, so a longer limit is cut to this.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest wait where something waits for an error alone and the wait does not end with it.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Converts a limit for ppoll and pselect.
pub(super) fn timespec(limit: Duration) -> libc::timespec {
    let limit = limit.min(MAX_WAIT);
    libc::timespec {
        tv_sec: limit.as_secs() as _,
        tv_nsec: limit.subsec_nanos() as _,
    }
}

/// Converts a limit for epoll_wait and poll. Rounds up, because a wait that ends before the
/// deadline only has to be repeated.
#[allow(dead_code, reason = "for epoll, and for poll where there is no ppoll")]
pub(super) fn round_up_to_milliseconds(limit: Duration) -> libc::c_int {
    let milliseconds = limit.as_nanos().div_ceil(1_000_000);
    libc::c_int::try_from(milliseconds).unwrap_or(libc::c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_rounded_up_to_milliseconds() {
        assert_eq!(round_up_to_milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(round_up_to_milliseconds(Duration::from_millis(1)), 1);
        assert_eq!(round_up_to_milliseconds(Duration::from_micros(1001)), 2);
        assert_eq!(round_up_to_milliseconds(Duration::MAX), libc::c_int::MAX);
    }
}
