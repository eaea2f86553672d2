//! The state machine of a TCP connection: what one of its ends has sent, received and still owes.
//!
//! It is pure. Segments and the time come in as arguments, segments to send are collected in `out`,
//! and the caller asks for the deadline of the earliest timer. Data is acknowledged cumulatively,
//! segments that arrive early are kept, and what stays unacknowledged is sent again after a time
//! that follows the measured round trips (RFC 6298), at once after three equal acknowledgments.
//! There is no congestion control: the receiver's window is the only limit.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::packet::Segment;
use super::timing::{KEEPALIVE_RETRIES, Keepalive, RoundTrip};

/// The number of times that a request to connect is repeated (`tcp_syn_retries` of Linux).
const SYN_RETRIES: u32 = 6;
/// The number of times that an answer to such a request is repeated (`tcp_synack_retries`).
const SYN_ACK_RETRIES: u32 = 5;
/// The number of times that data is repeated (`tcp_retries2`).
const DATA_RETRIES: u32 = 15;
/// The time for which a closed socket waits for the end of its peer (`tcp_fin_timeout`).
const FIN_TIMEOUT: Duration = Duration::from_secs(60);

/// The phase of a connection's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Phase {
    /// It was requested, and the answer is awaited.
    SynSent,
    /// The peer has requested it, and our answer is not acknowledged.
    SynReceived,
    /// Data flows, in one direction at least.
    Open,
    /// Both ends have finished, and everything is acknowledged.
    Finished,
    /// It failed or was reset.
    Dead,
}

/// The change that a segment makes for the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Change {
    Nothing,
    /// Something that a program can see: data, room, the end.
    Readiness,
    /// The connection is established.
    Established,
    /// The connection ended with this error.
    Failed(i32),
}

/// One end of a connection.
#[derive(Debug)]
pub(in super::super) struct Connection {
    /// See [`Segment::connection`].
    number: u64,
    pub(in super::super) phase: Phase,
    /// The most bytes of data in a segment.
    segment_size: usize,
    pub(in super::super) nodelay: bool,

    /// The bytes that are not acknowledged, from `unacknowledged` on.
    sending: VecDeque<u8>,
    pub(in super::super) send_capacity: usize,
    unacknowledged: u64,
    /// The next position to send.
    next: u64,
    /// The position up to which anything was ever sent.
    highest: u64,
    /// The position up to which the peer has room.
    peer_edge: u64,
    equal_acks: u32,
    fin_wanted: bool,
    fin_acknowledged: bool,

    received: VecDeque<u8>,
    pub(in super::super) receive_capacity: usize,
    /// The position up to which everything was received; one more once the end was.
    expected: u64,
    /// The position up to which a window was sent to the peer.
    own_edge: u64,
    early: BTreeMap<u64, Vec<u8>>,
    /// The position of the peer's end, if it is known.
    peer_end: Option<u64>,
    pub(in super::super) is_read_shut: bool,

    round_trip: RoundTrip,
    retransmission: Option<Duration>,
    retries: u32,
    last_heard: Duration,
    keepalive: Option<Keepalive>,
    probes: u32,
    /// True once the program has closed the socket.
    is_orphan: bool,
    /// When an orphan gives up.
    gives_up: Option<Duration>,
    /// True if this end finished first, so that it waits for stray segments afterwards.
    is_active_close: bool,

    pub(in super::super) out: Vec<Segment>,
}

impl Connection {
    fn new(number: u64, phase: Phase, segment_size: usize, send: usize, receive: usize) -> Self {
        Connection {
            number,
            phase,
            segment_size: segment_size.max(1),
            nodelay: false,
            sending: VecDeque::new(),
            send_capacity: send,
            unacknowledged: 0,
            next: 0,
            highest: 0,
            peer_edge: 0,
            equal_acks: 0,
            fin_wanted: false,
            fin_acknowledged: false,
            received: VecDeque::new(),
            receive_capacity: receive,
            expected: 0,
            own_edge: 0,
            early: BTreeMap::new(),
            peer_end: None,
            is_read_shut: false,
            round_trip: RoundTrip::default(),
            retransmission: None,
            retries: 0,
            last_heard: Duration::ZERO,
            keepalive: None,
            probes: 0,
            is_orphan: false,
            gives_up: None,
            is_active_close: false,
            out: Vec::new(),
        }
    }

    /// Begins a connection.
    pub(in super::super) fn connect(
        number: u64,
        now: Duration,
        segment_size: usize,
        (send, receive): (usize, usize),
    ) -> Connection {
        let mut new = Connection::new(number, Phase::SynSent, segment_size, send, receive);
        new.last_heard = now;
        new.send_syn(now);
        new
    }

    /// Answers the request of a peer.
    pub(in super::super) fn answer(
        syn: &Segment,
        now: Duration,
        segment_size: usize,
        (send, receive): (usize, usize),
    ) -> Connection {
        let phase = Phase::SynReceived;
        let mut new = Connection::new(syn.connection, phase, segment_size, send, receive);
        new.last_heard = now;
        new.peer_edge = syn.window;
        new.send_syn(now);
        new
    }

    /// Returns the number that the segments of the connection carry.
    pub(in super::super) fn number(&self) -> u64 {
        self.number
    }

    fn window(&self) -> u64 {
        self.receive_capacity.saturating_sub(self.received.len()) as u64
    }

    fn segment(&mut self) -> Segment {
        let window = self.window();
        self.own_edge = self.own_edge.max(self.expected + window);
        Segment {
            connection: self.number,
            seq: self.next,
            ack: Some(self.expected),
            window: self.own_edge - self.expected,
            ..Segment::default()
        }
    }

    fn send_syn(&mut self, now: Duration) {
        let mut syn = self.segment();
        syn.syn = true;
        if self.phase == Phase::SynSent {
            syn.ack = None;
        }
        self.out.push(syn);
        self.round_trip.begin(0, now);
        self.retransmission = Some(now + self.round_trip.timeout(self.retries));
    }

    fn send_ack(&mut self) {
        let ack = self.segment();
        self.out.push(ack);
    }

    /// The position after the last byte that the program has written.
    fn end(&self) -> u64 {
        self.unacknowledged + self.sending.len() as u64
    }

    /// Sends what the window allows.
    fn pump(&mut self, now: Duration) {
        if self.phase != Phase::Open && self.phase != Phase::Finished {
            return;
        }
        while self.next < self.end() && self.next < self.peer_edge {
            let allowed = (self.end() - self.next).min(self.peer_edge - self.next);
            let len = (allowed as usize).min(self.segment_size);
            // Nagle: less than a segment waits while anything is unacknowledged (RFC 896).
            let is_short = len < self.segment_size && self.next + (len as u64) == self.end();
            if is_short && !self.nodelay && !self.fin_wanted && self.next > self.unacknowledged {
                break;
            }
            self.send_data(len, now);
        }
        let owes_fin = self.fin_wanted && !self.fin_acknowledged && self.next == self.end();
        if owes_fin {
            let mut fin = self.segment();
            fin.fin = true;
            self.out.push(fin);
            self.next += 1;
            self.highest = self.highest.max(self.next);
        }
        let waits_for_window = self.next < self.end() && self.next >= self.peer_edge;
        let is_outstanding = self.next > self.unacknowledged || waits_for_window;
        if is_outstanding && !self.fin_acknowledged {
            let timeout = self.round_trip.timeout(self.retries);
            self.retransmission.get_or_insert(now + timeout);
        } else {
            self.retransmission = None;
        }
    }

    fn send_data(&mut self, len: usize, now: Duration) {
        let start = (self.next - self.unacknowledged) as usize;
        let mut segment = self.segment();
        segment.data = self.sending.range(start..start + len).copied().collect();
        self.out.push(segment);
        if self.next >= self.highest {
            self.round_trip.begin(self.next + len as u64, now);
        }
        self.next += len as u64;
        self.highest = self.highest.max(self.next);
    }

    /// Processes a segment.
    pub(in super::super) fn on_segment(&mut self, segment: Segment, now: Duration) -> Change {
        self.last_heard = now;
        self.probes = 0;
        self.keepalive_restart(now);
        if segment.rst {
            return self.fail(match self.phase {
                Phase::SynSent => libc::ECONNREFUSED,
                // The peer had finished, so this end had nothing to receive: `tcp_reset` of Linux.
                Phase::Open if self.is_peer_finished() => libc::EPIPE,
                _ => libc::ECONNRESET,
            });
        }
        match self.phase {
            Phase::SynSent => self.on_answer(&segment, now),
            Phase::SynReceived if segment.syn && segment.ack.is_none() => {
                self.send_syn(now);
                Change::Nothing
            }
            Phase::SynReceived => {
                self.establish();
                self.on_data(segment, now);
                Change::Established
            }
            Phase::Open | Phase::Finished if segment.syn => {
                self.send_ack();
                Change::Nothing
            }
            Phase::Open | Phase::Finished => self.on_data(segment, now),
            Phase::Dead => Change::Nothing,
        }
    }

    fn on_answer(&mut self, segment: &Segment, now: Duration) -> Change {
        if !segment.syn {
            return Change::Nothing;
        }
        self.peer_edge = segment.window;
        if segment.ack.is_none() {
            // Both ends have requested it at the same time, or are the same.
            let mut answer = self.segment();
            answer.syn = true;
            self.out.push(answer);
            return Change::Nothing;
        }
        self.round_trip.end(0, now);
        self.establish();
        self.send_ack();
        self.pump(now);
        Change::Established
    }

    fn establish(&mut self) {
        self.phase = Phase::Open;
        self.retransmission = None;
        self.retries = 0;
    }

    fn on_data(&mut self, segment: Segment, now: Duration) -> Change {
        let had_room = self.has_room();
        let was_finished = self.is_peer_finished();
        let was_readable = self.received.len();
        self.on_ack(&segment, now);
        if self.is_orphan && segment.seq + segment.data.len() as u64 > self.expected {
            // No program can receive it any more (RFC 1122, 4.2.2.13).
            self.out.push(segment.reset());
            self.phase = Phase::Dead;
            return Change::Readiness;
        }
        let wants_ack = segment.probe || segment.fin || !segment.data.is_empty();
        self.take_data(segment);
        if wants_ack {
            self.send_ack();
        }
        self.pump(now);
        self.check_finished(now);
        let changed = self.received.len() > was_readable
            || (self.has_room() && !had_room)
            || self.is_peer_finished() != was_finished
            || self.phase == Phase::Finished;
        if changed {
            Change::Readiness
        } else {
            Change::Nothing
        }
    }

    fn on_ack(&mut self, segment: &Segment, now: Duration) {
        let Some(ack) = segment.ack else {
            return;
        };
        let had_window = self.peer_edge > self.next;
        self.peer_edge = self.peer_edge.max(ack + segment.window);
        if ack > self.unacknowledged && ack <= self.highest {
            let bytes = (ack.min(self.end()) - self.unacknowledged) as usize;
            let is_fin = ack > self.end();
            self.sending.drain(..bytes);
            self.unacknowledged = ack;
            if is_fin {
                self.fin_acknowledged = true;
                self.sending.clear();
            }
            self.next = self.next.max(ack);
            self.round_trip.end(ack, now);
            self.retransmission = None;
            self.retries = 0;
            self.equal_acks = 0;
        } else if ack == self.unacknowledged && segment.data.is_empty() && !segment.fin {
            let is_window_update = !had_window && self.peer_edge > self.next;
            if self.next > self.unacknowledged && !is_window_update {
                self.equal_acks += 1;
                if self.equal_acks == 3 {
                    self.send_first_again();
                }
            } else {
                // The peer lives, and its window is closed or has opened.
                self.retries = 0;
                self.retransmission = None;
            }
        }
    }

    /// Sends the first unacknowledged segment again.
    fn send_first_again(&mut self) {
        self.round_trip.forget();
        let next = std::mem::replace(&mut self.next, self.unacknowledged);
        let len = self.sending.len().min(self.segment_size);
        let mut segment = self.segment();
        segment.data = self.sending.range(..len).copied().collect();
        segment.fin = len == 0 && self.fin_wanted;
        self.out.push(segment);
        self.next = next;
    }

    /// Takes what is new and in the window, and keeps what came early.
    fn take_data(&mut self, segment: Segment) {
        if segment.fin {
            self.peer_end = Some(segment.seq + segment.data.len() as u64);
        }
        if !segment.data.is_empty() && !self.is_peer_finished() {
            let room = self.own_edge;
            if segment.seq < room && segment.seq + segment.data.len() as u64 > self.expected {
                self.early.insert(segment.seq, segment.data);
            }
        }
        while let Some((&seq, _)) = self.early.first_key_value() {
            if seq > self.expected {
                break;
            }
            let data = self.early.remove(&seq).unwrap_or_default();
            let known = (self.expected - seq) as usize;
            if let Some(new) = data.get(known..) {
                let room = (self.own_edge - self.expected) as usize;
                let new = &new[..new.len().min(room)];
                self.expected += new.len() as u64;
                // Data that arrives after reading was shut down is discarded.
                if !self.is_read_shut {
                    self.received.extend(new);
                }
            }
        }
        if self.peer_end == Some(self.expected) {
            self.expected += 1;
        }
    }

    /// Returns true if everything up to the peer's end was received.
    pub(in super::super) fn is_peer_finished(&self) -> bool {
        self.peer_end.is_some_and(|end| self.expected > end)
    }

    fn check_finished(&mut self, now: Duration) {
        if self.fin_acknowledged && self.phase == Phase::Open {
            if self.is_peer_finished() {
                self.phase = Phase::Finished;
                self.retransmission = None;
            } else if self.is_orphan {
                self.gives_up.get_or_insert(now + FIN_TIMEOUT);
            }
        }
    }

    fn fail(&mut self, errno: i32) -> Change {
        if self.phase == Phase::Dead || (self.phase == Phase::Finished && self.is_orphan) {
            return Change::Nothing;
        }
        self.phase = Phase::Dead;
        self.sending.clear();
        self.early.clear();
        self.retransmission = None;
        self.keepalive = None;
        self.gives_up = None;
        Change::Failed(errno)
    }

    /// Appends bytes to what is to be sent, and returns how many there was room for.
    pub(in super::super) fn write<'a>(
        &mut self,
        bufs: impl IntoIterator<Item = &'a [u8]>,
        now: Duration,
    ) -> usize {
        let mut written = 0;
        for buf in bufs {
            let len = buf.len().min(self.room());
            self.sending.extend(&buf[..len]);
            written += len;
        }
        self.pump(now);
        written
    }

    fn room(&self) -> usize {
        self.send_capacity.saturating_sub(self.sending.len())
    }

    /// Returns true if there is room for so much that a program should be woken: a third.
    pub(in super::super) fn has_room(&self) -> bool {
        self.room() * 3 >= self.send_capacity.max(1)
    }

    /// Returns true if nothing can be appended.
    pub(in super::super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Returns the number of bytes that can be read.
    pub(in super::super) fn readable(&self) -> usize {
        self.received.len()
    }

    /// Copies received bytes to `bufs`, and removes them unless `peek`. Returns their number.
    pub(in super::super) fn read(&mut self, bufs: &mut [&mut [u8]], peek: bool) -> usize {
        let n = copy_out(&self.received, bufs);
        if !peek {
            self.received.drain(..n);
            let could_be = self.expected + self.window();
            let step = self.segment_size.min(self.receive_capacity / 2) as u64;
            if n > 0 && self.phase == Phase::Open && could_be >= self.own_edge + step.max(1) {
                self.send_ack();
            }
        }
        n
    }

    /// Ends the data of this direction, once all of it was sent.
    pub(in super::super) fn finish(&mut self, now: Duration) {
        if !self.fin_wanted {
            self.fin_wanted = true;
            self.is_active_close = !self.is_peer_finished();
            self.pump(now);
        }
    }

    /// Returns true if the program has ended this direction.
    pub(in super::super) fn is_finishing(&self) -> bool {
        self.fin_wanted
    }

    /// Discards what was received and what will be.
    pub(in super::super) fn shut_read(&mut self) {
        self.is_read_shut = true;
    }

    /// Closes the socket of the connection. Returns true if the connection continues by itself, and
    /// false if it was reset, as after data that no program has read.
    pub(in super::super) fn close(&mut self, abort: bool, now: Duration) -> bool {
        self.is_orphan = true;
        self.keepalive = None;
        let is_established = matches!(self.phase, Phase::Open | Phase::Finished);
        if !is_established || abort || !self.received.is_empty() {
            if self.phase == Phase::Open || self.phase == Phase::SynReceived {
                let reset = self.segment().reset();
                self.out.push(reset);
            }
            self.phase = Phase::Dead;
            return false;
        }
        self.finish(now);
        self.check_finished(now);
        true
    }

    /// Returns true if nothing is left to do for a connection whose socket is closed.
    pub(in super::super) fn is_over(&self) -> bool {
        self.is_orphan && matches!(self.phase, Phase::Finished | Phase::Dead)
    }

    /// Returns true if this end has to wait for stray segments of the finished connection.
    pub(in super::super) fn needs_time_wait(&self) -> bool {
        self.phase == Phase::Finished && self.is_active_close
    }

    /// Returns true if the socket is closed, and the connection waits for its peer's end alone.
    pub(in super::super) fn waits_for_end(&self) -> bool {
        self.gives_up.is_some() && self.deadline() == self.gives_up
    }

    /// Returns the segment that answers a repeated end of the peer.
    pub(in super::super) fn final_ack(&self) -> Segment {
        Segment {
            connection: self.number,
            seq: self.next,
            ack: Some(self.expected),
            ..Segment::default()
        }
    }

    /// Sets or removes the schedule of keepalive probes.
    pub(in super::super) fn set_keepalive(&mut self, schedule: Option<Keepalive>, now: Duration) {
        self.keepalive = schedule;
        self.probes = 0;
        self.keepalive_restart(now);
    }

    fn keepalive_restart(&mut self, now: Duration) {
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.due = now + keepalive.time;
        }
    }

    /// Returns when [`on_timer`](Connection::on_timer) has something to do.
    pub(in super::super) fn deadline(&self) -> Option<Duration> {
        if self.phase == Phase::Dead {
            return None;
        }
        let keepalive = self
            .keepalive
            .as_ref()
            .filter(|_| self.phase == Phase::Open);
        let timers = [self.retransmission, self.gives_up, keepalive.map(|k| k.due)];
        timers.into_iter().flatten().min()
    }

    /// Does what is due.
    pub(in super::super) fn on_timer(&mut self, now: Duration) -> Change {
        if self.gives_up.is_some_and(|at| at <= now) {
            self.phase = Phase::Dead;
            return Change::Readiness;
        }
        if self.retransmission.is_some_and(|at| at <= now) {
            return self.retransmit(now);
        }
        let Some(keepalive) = self.keepalive.as_mut().filter(|k| k.due <= now) else {
            return Change::Nothing;
        };
        if self.probes >= keepalive.retries.min(KEEPALIVE_RETRIES) {
            let reset = self.segment().reset();
            self.out.push(reset);
            return self.fail(libc::ETIMEDOUT);
        }
        keepalive.due = now + keepalive.interval;
        self.probes += 1;
        self.send_probe();
        Change::Nothing
    }

    fn send_probe(&mut self) {
        let mut probe = self.segment();
        probe.probe = true;
        self.out.push(probe);
    }

    fn retransmit(&mut self, now: Duration) -> Change {
        let limit = match self.phase {
            Phase::SynSent => SYN_RETRIES,
            Phase::SynReceived => SYN_ACK_RETRIES,
            _ => DATA_RETRIES,
        };
        if self.retries >= limit {
            return self.fail(libc::ETIMEDOUT);
        }
        self.retries += 1;
        self.retransmission = None;
        self.round_trip.forget();
        self.equal_acks = 0;
        match self.phase {
            Phase::SynSent | Phase::SynReceived => {
                self.send_syn(now);
                self.round_trip.forget();
            }
            _ if self.next == self.unacknowledged => {
                // Nothing is outstanding, but the window is closed.
                self.send_probe();
                self.pump(now);
            }
            _ => {
                self.next = self.unacknowledged;
                self.pump(now);
            }
        }
        Change::Nothing
    }
}

/// Copies the start of a queue to buffers.
pub(in super::super) fn copy_out(queue: &VecDeque<u8>, bufs: &mut [&mut [u8]]) -> usize {
    let mut copied = 0;
    for buf in bufs {
        let n = buf.len().min(queue.len() - copied);
        for (place, byte) in buf[..n].iter_mut().zip(queue.range(copied..copied + n)) {
            *place = *byte;
        }
        copied += n;
    }
    copied
}
