//! The options of the page.

use std::time::Duration;

use crate::stalls::StallLog;

/// The shortest period.
const MIN_PERIOD: Duration = Duration::from_millis(10);

/// Builder of the page of a runtime, with options.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = runtime::net::TcpListener::bind("127.0.0.1:6669").await?;
/// runtime_console::Builder::new()
///     .period(Duration::from_millis(250))
///     .slow_poll(Duration::from_millis(5))
///     .spawn(listener)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `serve` or `spawn` is called"]
pub struct Builder {
    pub(crate) period: Duration,
    pub(crate) slow_poll: Duration,
    pub(crate) max_pages: usize,
    pub(crate) send_timeout: Duration,
    pub(crate) header_timeout: Duration,
    pub(crate) allow_remote: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) stalls: Option<StallLog>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            period: Duration::from_secs(1),
            slow_poll: Duration::from_millis(10),
            max_pages: 8,
            send_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            allow_remote: false,
            hosts: Vec::new(),
            stalls: None,
        }
    }
}

impl Builder {
    /// Returns a builder with default options.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Sets how often an open page is refreshed. Minimum 10 milliseconds, default one second.
    pub fn period(mut self, period: Duration) -> Builder {
        self.period = period.max(MIN_PERIOD);
        self
    }

    /// Sets the duration of a poll from which on its task is marked as slow. Default 10
    /// milliseconds.
    pub fn slow_poll(mut self, duration: Duration) -> Builder {
        self.slow_poll = duration;
        self
    }

    /// Sets the maximum number of open pages; further ones say that there are too many. Minimum 1,
    /// default 8.
    pub fn max_pages(mut self, pages: usize) -> Builder {
        self.max_pages = pages.max(1);
        self
    }

    /// Sets how long a connection is kept if its client accepts no data. Default 10 seconds.
    pub fn send_timeout(mut self, limit: Duration) -> Builder {
        self.send_timeout = limit;
        self
    }

    /// Sets how long the head of a request may take. Default 10 seconds.
    pub fn header_timeout(mut self, limit: Duration) -> Builder {
        self.header_timeout = limit;
        self
    }

    /// Sets whether a listener that is not on loopback is permitted. Default false.
    ///
    /// The page shows names of tasks, addresses of peers and paths of files. There is no
    /// authentication and no encryption.
    pub fn allow_remote(mut self, allow: bool) -> Builder {
        self.allow_remote = allow;
        self
    }

    /// Permits requests for a host name, such as that of a proxy in front of the page. `localhost`
    /// and IP addresses are always permitted. It can be called several times.
    pub fn allow_host(mut self, name: impl Into<String>) -> Builder {
        self.hosts.push(name.into());
        self
    }

    /// Sets the log of long polls that the page shows. Default none.
    pub fn stalls(mut self, stalls: StallLog) -> Builder {
        self.stalls = Some(stalls);
        self
    }
}
