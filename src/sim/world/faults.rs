//! Faults of a world: crashes, partitions and held packets, planned or not.

use std::time::Duration;

use runtime_reactor::internal::Rng;
use runtime_reactor::sim::{Crash, Link};

use super::{Change, PLAN, World};
use crate::sim::faults::{Fault, FaultKind};
use crate::sim::host::Host;

impl World {
    /// Draws the faults, once the hosts are known.
    pub(super) fn make_plan(&mut self) {
        if self.plan.is_some() {
            return;
        }
        let mut changes: Vec<(Duration, Change)> = self
            .fault_plan()
            .into_iter()
            .flat_map(|fault| {
                let begin = (fault.begins, Change::Begin(fault.kind.clone()));
                [begin, (fault.ends, Change::End(fault.kind))]
            })
            .collect();
        changes.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        self.plan = Some(changes);
    }

    /// Returns the faults that this seed has, for the hosts that were added so far.
    pub fn fault_plan(&self) -> Vec<Fault> {
        let Some(faults) = &self.options.faults else {
            return Vec::new();
        };
        let names = |keep: fn(&Host) -> bool| -> Vec<&str> {
            let kept = self.hosts.iter().filter(|host| keep(host));
            kept.map(|host| &*host.name).collect()
        };
        let (servers, all) = (names(|host| !host.is_client()), names(|_| true));
        faults.plan_for(&Rng::new(self.options.seed).fork(PLAN), &servers, &all)
    }

    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Begin(FaultKind::Crash { host, silent }) => {
                let how = if silent { Crash::Silent } else { Crash::Reset };
                if self.is_up(&host) {
                    self.crash(&host, how);
                }
            }
            Change::End(FaultKind::Crash { host, .. }) => {
                if !self.is_up(&host) {
                    self.restart(&host);
                }
            }
            Change::Begin(FaultKind::Partition { one, other }) => self.partition(&one, &other),
            Change::Begin(FaultKind::Hold { one, other }) => self.hold(&one, &other),
            Change::End(FaultKind::Partition { one, other } | FaultKind::Hold { one, other }) => {
                self.heal(&one, &other);
            }
        }
    }

    /// Drops the tasks of hosts that have crashed, and begins the programs of those that are up
    /// again. A program may crash and restart hosts in turn, which the next call applies.
    pub(super) fn apply_states(&mut self) {
        if !self.handle.take_change() {
            return;
        }
        for index in 0..self.hosts.len() {
            let host = &mut self.hosts[index];
            if host.is_crashed() {
                host.stop();
            }
            // Read after the tasks are dropped: their destructors may change it.
            if self.handle.state(index).is_up && !self.hosts[index].is_running() {
                self.handle.kernel().restart(self.hosts[index].net.id());
                self.start_host(index);
            }
        }
    }

    /// Crashes a host: its tasks are dropped, and its sockets vanish.
    ///
    /// With [`Crash::Reset`] its peers' connections are reset, as if the process had been killed.
    /// With [`Crash::Silent`] they get no answer, as if the machine had failed.
    ///
    /// # Panics
    /// Panics if there is no such host, or it is down already.
    #[track_caller]
    pub fn crash(&mut self, host: &str, how: Crash) {
        self.handle.crash(host, how);
        self.apply_states();
    }

    /// Starts a host again that has crashed, with a new future of its program.
    ///
    /// # Panics
    /// Panics if there is no such host, if it is up, or if it is a client, whose program runs once.
    #[track_caller]
    pub fn restart(&mut self, host: &str) {
        self.handle.restart(host);
        self.apply_states();
    }

    /// Returns true if a host is up: it has not crashed, or was restarted.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn is_up(&self, host: &str) -> bool {
        self.handle.is_up(host)
    }

    /// Drops all packets between two hosts, in both directions, until [`heal`](World::heal).
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn partition(&mut self, one: &str, other: &str) {
        self.handle.partition(one, other);
    }

    /// Keeps all packets between two hosts back, in both directions, until [`heal`](World::heal).
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn hold(&mut self, one: &str, other: &str) {
        self.handle.hold(one, other);
    }

    /// Lets packets between two hosts pass again, those that were held included.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn heal(&mut self, one: &str, other: &str) {
        self.handle.heal(one, other);
    }

    /// Sets latency, loss, bandwidth and the other properties of the way between two hosts, in both
    /// directions. Packets that are under way keep their times.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn set_link(&mut self, one: &str, other: &str, link: Link) {
        self.handle.set_link(one, other, link);
    }
}
