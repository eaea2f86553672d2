//! Faults of a world: crashes, partitions and held packets, planned or not.

use std::time::Duration;

use runtime_reactor::internal::Rng;
use runtime_reactor::sim::{Crash, HostId, Kernel};

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

    /// Crashes a host: its tasks are dropped, and its sockets vanish.
    ///
    /// With [`Crash::Reset`] its peers' connections are reset, as if the process had been killed.
    /// With [`Crash::Silent`] they get no answer, as if the machine had failed.
    ///
    /// # Panics
    /// Panics if there is no such host, or it is down already.
    #[track_caller]
    pub fn crash(&mut self, host: &str, how: Crash) {
        let index = self.index(host);
        assert!(
            self.hosts[index].is_up(),
            "the host {host:?} cannot crash: it is down already"
        );
        self.kernel.crash(self.hosts[index].net.id(), how);
        self.hosts[index].stop();
    }

    /// Starts a host again that has crashed, with a new future of its program.
    ///
    /// # Panics
    /// Panics if there is no such host, if it is up, or if it is a client, whose program runs once.
    #[track_caller]
    pub fn restart(&mut self, host: &str) {
        let index = self.index(host);
        assert!(
            !self.hosts[index].is_client(),
            "the client {host:?} cannot be restarted: its program runs once; use `host`"
        );
        assert!(
            !self.hosts[index].is_up(),
            "the host {host:?} cannot be restarted: it is up"
        );
        self.kernel.restart(self.hosts[index].net.id());
        self.start_host(index);
    }

    /// Returns true if a host is up: it has not crashed, or was restarted.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn is_up(&self, host: &str) -> bool {
        self.hosts[self.index(host)].is_up()
    }

    /// Drops all packets between two hosts, in both directions, until [`heal`](World::heal).
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn partition(&mut self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::partition);
    }

    /// Keeps all packets between two hosts back, in both directions, until [`heal`](World::heal).
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn hold(&mut self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::hold);
    }

    /// Lets packets between two hosts pass again, those that were held included.
    ///
    /// # Panics
    /// Panics if there is no such host.
    #[track_caller]
    pub fn heal(&mut self, one: &str, other: &str) {
        self.both_ways(one, other, Kernel::heal);
    }

    #[track_caller]
    fn both_ways(&self, one: &str, other: &str, set: fn(&Kernel, HostId, HostId)) {
        let id = |name| self.hosts[self.index(name)].net.id();
        let (one, other) = (id(one), id(other));
        set(&self.kernel, one, other);
        set(&self.kernel, other, one);
    }
}
