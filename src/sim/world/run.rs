//! Running the hosts of a world, and moving its time.

use std::fmt::Write;
use std::time::Duration;

use super::World;
use crate::sim::failure::{Failure, FailureKind};
use crate::sim::host::{Host, Problem};

impl World {
    /// Runs the hosts until all clients have finished.
    ///
    /// # Errors
    /// Returns a [`Failure`] if a host fails or panics, if virtual time or the number of turns
    /// reaches its limit, or if nothing is left that could let the clients finish.
    ///
    /// # Panics
    /// Panics if the world has no client.
    #[track_caller]
    pub fn run(&mut self) -> Result<(), Failure> {
        assert!(
            self.hosts.iter().any(Host::is_client),
            "the world has no client, so `run` would not end: add one, or call `run_for`"
        );
        self.drive(|world| !world.hosts.iter().any(Host::is_awaited))
    }

    /// Runs the hosts until a condition is true. It is asked whenever no host has anything to do.
    ///
    /// # Errors
    /// Returns the same errors as [`run`](World::run), for the condition instead of the clients.
    ///
    /// # Examples
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use std::time::Duration;
    ///
    /// let mut world = runtime::sim::Builder::new().build();
    /// let ticks = Rc::new(Cell::new(0));
    /// let counted = ticks.clone();
    /// world.host("clock", move || {
    ///     let ticks = counted.clone();
    ///     async move {
    ///         loop {
    ///             runtime::time::sleep(Duration::from_secs(1)).await;
    ///             ticks.set(ticks.get() + 1);
    ///         }
    ///     }
    /// });
    /// world.run_until(|_| ticks.get() == 5).unwrap();
    /// assert_eq!(world.elapsed(), Duration::from_secs(5));
    /// ```
    pub fn run_until(&mut self, mut condition: impl FnMut(&World) -> bool) -> Result<(), Failure> {
        self.drive(|world| condition(world))
    }

    fn drive(&mut self, mut is_done: impl FnMut(&World) -> bool) -> Result<(), Failure> {
        loop {
            self.settle()?;
            if is_done(self) {
                return Ok(());
            }
            let Some(next) = self.next_time() else {
                let text = "nothing is left that a host waits for";
                return Err(self.failure_with_tasks(FailureKind::Stuck, text));
            };
            if next > self.options.max_time {
                let text = format!("the limit of {:?} is reached", self.options.max_time);
                return Err(self.failure_with_tasks(FailureKind::TimeLimit, &text));
            }
            self.advance_to(next);
        }
    }

    /// Runs the hosts for a time.
    ///
    /// # Errors
    /// Returns a [`Failure`] if a host fails or panics, or the number of turns reaches its limit.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Failure> {
        let end = self.elapsed().saturating_add(time);
        loop {
            self.settle()?;
            match self.next_time() {
                Some(next) if next <= end => self.advance_to(next),
                _ => break,
            }
        }
        self.handle.kernel().advance_to(end);
        self.settle()
    }

    /// Runs the hosts until none has anything to do, and moves time to the next event. Returns
    /// false if there is none.
    ///
    /// # Errors
    /// Returns a [`Failure`] if a host fails or panics, or the number of turns reaches its limit.
    pub fn step(&mut self) -> Result<bool, Failure> {
        self.settle()?;
        let next = self.next_time();
        if let Some(next) = next {
            self.advance_to(next);
        }
        Ok(next.is_some())
    }

    /// Turns the hosts, in an order that the seed decides, until none has anything to do.
    fn settle(&mut self) -> Result<(), Failure> {
        self.make_plan();
        let now = self.elapsed();
        let mut turns = 0;
        let mut busy = Vec::new();
        self.apply_states();
        loop {
            let is_due = |host: &Host| host.next_deadline().is_some_and(|due| due <= now);
            busy.clear();
            busy.extend((0..self.hosts.len()).filter(|index| is_due(&self.hosts[*index])));
            self.order.shuffle(&mut busy);
            for index in &busy {
                self.turn(*index)?;
            }
            if busy.is_empty() && !self.run_blocking_job() {
                return Ok(());
            }
            turns += busy.len().max(1) as u64;
            if turns > self.options.max_turns {
                let text = format!("no rest after {turns} turns at one instant of virtual time");
                return Err(self.failure_with_tasks(FailureKind::NeverQuiet, &text));
            }
        }
    }

    fn turn(&mut self, index: usize) -> Result<(), Failure> {
        let host = &mut self.hosts[index];
        let turned = host.turn();
        let output = turned.map(|()| host.take_output()).transpose();
        self.apply_states();
        match output {
            None => Ok(()),
            Some(result) => self.note_end(index, result.and_then(|output| output)),
        }
    }

    /// Writes the end of a main future into the trace.
    fn note_end(&mut self, index: usize, output: Result<(), Problem>) -> Result<(), Failure> {
        let text = match &output {
            Ok(()) => "finished".to_owned(),
            Err((_, text)) => format!("failed: {text}"),
        };
        let name = self.hosts[index].name.clone();
        let now = self.elapsed();
        self.handle.record(&name, crate::sim::Event::Host(text));
        output.map_err(|(kind, text)| Failure {
            seed: self.options.seed,
            at: now,
            kind,
            host: Some(name.to_string()),
            text,
        })
    }

    /// Runs a blocking job of some host. Returns false if there is none.
    fn run_blocking_job(&mut self) -> bool {
        let count = self.hosts.len();
        let first = self.jobs.below(count as u64) as usize;
        let (hosts, jobs) = (&self.hosts, &mut self.jobs);
        let ran = (0..count).any(|offset| hosts[(first + offset) % count].run_blocking_job(jobs));
        // A job may have crashed a host.
        self.apply_states();
        ran
    }

    /// Returns the virtual time of the next event, timer or fault.
    fn next_time(&self) -> Option<Duration> {
        let timers = self.hosts.iter().filter_map(Host::next_deadline);
        let planned = self.plan.as_ref().and_then(|plan| plan.last());
        timers
            .chain(self.handle.kernel().next_visible_event())
            .chain(planned.map(|(at, _)| *at))
            .min()
    }

    fn advance_to(&mut self, time: Duration) {
        self.handle.kernel().advance_to(time);
        while let Some((at, change)) = self.plan.as_mut().and_then(Vec::pop) {
            if at > time {
                self.plan.get_or_insert_default().push((at, change));
                break;
            }
            self.apply(change);
        }
    }

    fn failure_with_tasks(&self, kind: FailureKind, text: &str) -> Failure {
        let mut text = text.to_owned();
        for host in &self.hosts {
            let what = match (host.is_client(), host.is_awaited()) {
                (true, true) => " (a client that has not finished)",
                (true, false) => " (a client that has finished)",
                (false, _) => "",
            };
            let described = host.describe().replace('\n', "\n  ");
            // Writing to a string does not fail.
            let _ = write!(text, "\nhost {:?}{what}:\n  {described}", host.name);
        }
        Failure {
            seed: self.options.seed,
            at: self.elapsed(),
            kind,
            host: None,
            text,
        }
    }
}
