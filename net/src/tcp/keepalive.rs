//! The parameters of keepalive probes.

use std::time::Duration;

/// The schedule of TCP keepalive probes: how long a connection is idle before the first one, their
/// interval, and how many go unanswered before the connection is closed.
///
/// A parameter that is not set keeps its value, which is initially the system's default.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use runtime::net::tcp::TcpKeepalive;
///
/// // A vanished peer is noticed after 60 + 3 * 10 seconds.
/// let keepalive = TcpKeepalive::new()
///     .with_time(Duration::from_secs(60))
///     .with_interval(Duration::from_secs(10))
///     .with_retries(3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[must_use = "it takes effect when it is passed to `set_tcp_keepalive`"]
pub struct TcpKeepalive {
    pub(crate) time: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    pub(crate) retries: Option<u32>,
}

impl TcpKeepalive {
    /// Returns a schedule in which nothing is set.
    pub const fn new() -> TcpKeepalive {
        TcpKeepalive {
            time: None,
            interval: None,
            retries: None,
        }
    }

    /// Sets the idle time before the first probe (`TCP_KEEPIDLE`, `TCP_KEEPALIVE` on macOS), in
    /// whole seconds.
    pub const fn with_time(self, time: Duration) -> TcpKeepalive {
        TcpKeepalive {
            time: Some(time),
            ..self
        }
    }

    /// Sets the interval between probes (`TCP_KEEPINTVL`), in whole seconds.
    pub const fn with_interval(self, interval: Duration) -> TcpKeepalive {
        TcpKeepalive {
            interval: Some(interval),
            ..self
        }
    }

    /// Sets the number of unanswered probes after which the connection is closed
    /// (`TCP_KEEPCNT`).
    pub const fn with_retries(self, retries: u32) -> TcpKeepalive {
        TcpKeepalive {
            retries: Some(retries),
            ..self
        }
    }
}
