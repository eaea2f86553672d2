//! Two ends of a connection that exchange segments.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::packet::Segment;
use super::{Change, Connection, Phase};

const MS: Duration = Duration::from_millis(1);
const BUFFERS: (usize, usize) = (4000, 3000);
const SEGMENT: usize = 1000;

/// Both ends, and the segments between them.
struct Wire {
    now: Duration,
    ends: [Connection; 2],
    /// The segments to each end.
    under_way: [VecDeque<Segment>; 2],
}

impl Wire {
    /// Returns an established connection.
    fn connected() -> Wire {
        let mut one = Connection::connect(7, Duration::ZERO, SEGMENT, BUFFERS);
        let syn = one.out.pop().unwrap();
        assert!(syn.syn && syn.ack.is_none());
        let two = Connection::answer(&syn, Duration::ZERO, SEGMENT, BUFFERS);
        let mut wire = Wire {
            now: MS,
            ends: [one, two],
            under_way: [VecDeque::new(), VecDeque::new()],
        };
        wire.exchange();
        assert!(wire.ends.iter().all(|end| end.phase == Phase::Open));
        wire
    }

    /// Puts what the ends have to send on the wire.
    fn collect(&mut self) {
        for (end, other) in [(0, 1), (1, 0)] {
            let out = self.ends[end].out.drain(..);
            self.under_way[other].extend(out);
        }
    }

    /// Delivers everything until nothing is under way.
    fn exchange(&mut self) {
        self.collect();
        while self.under_way.iter().any(|segments| !segments.is_empty()) {
            for end in 0..2 {
                if let Some(segment) = self.under_way[end].pop_front() {
                    self.ends[end].on_segment(segment, self.now);
                }
            }
            self.collect();
        }
    }

    /// Loses all that is under way.
    fn lose(&mut self) -> usize {
        self.collect();
        let lost = self
            .under_way
            .iter_mut()
            .map(|segments| segments.drain(..).count());
        lost.sum()
    }

    /// Moves the time to the next timer of an end, and runs it.
    fn run_timer(&mut self, end: usize) -> Change {
        self.now = self.ends[end].deadline().expect("a timer");
        self.ends[end].on_timer(self.now)
    }

    fn write(&mut self, end: usize, data: &[u8]) -> usize {
        self.ends[end].write([data], self.now)
    }

    fn read(&mut self, end: usize) -> Vec<u8> {
        let mut buf = vec![0; 10_000];
        let n = self.ends[end].read(&mut [&mut buf], false);
        buf.truncate(n);
        buf
    }
}

#[test]
fn bytes_arrive_and_are_acknowledged() {
    let mut wire = Wire::connected();
    assert_eq!(wire.write(0, b"hello"), 5);
    assert!(wire.ends[0].deadline().is_some(), "it is not acknowledged");
    wire.exchange();
    assert_eq!(wire.read(1), b"hello");
    assert_eq!(wire.ends[0].deadline(), None);
}

#[test]
fn the_window_of_the_receiver_limits_the_sender_until_it_has_read() {
    let mut wire = Wire::connected();
    let data: Vec<u8> = (0..7000_u32).map(|n| n as u8).collect();
    assert_eq!(
        wire.write(0, &data),
        4000,
        "as much as the send buffer takes"
    );
    wire.exchange();
    assert_eq!(wire.ends[1].readable(), 3000, "as much as the window takes");
    assert_eq!(wire.write(0, &data[4000..]), 3000);
    wire.exchange();
    let mut received = Vec::new();
    while received.len() < 7000 {
        let read = wire.read(1);
        assert!(!read.is_empty());
        received.extend(read);
        wire.exchange();
    }
    assert_eq!(received, data);
}

#[test]
fn lost_segments_are_sent_again_after_a_while_that_doubles() {
    let mut wire = Wire::connected();
    wire.write(0, b"lost");
    let mut pauses = Vec::new();
    for _ in 0..3 {
        assert!(wire.lose() > 0);
        let before = wire.now;
        assert_eq!(wire.run_timer(0), Change::Nothing);
        pauses.push(wire.now - before);
    }
    assert_eq!(pauses[1], pauses[0] * 2);
    assert_eq!(pauses[2], pauses[0] * 4);
    wire.exchange();
    assert_eq!(wire.read(1), b"lost");
}

#[test]
fn a_connection_whose_segments_are_all_lost_times_out() {
    let mut wire = Wire::connected();
    wire.write(0, b"lost");
    let change = loop {
        wire.lose();
        match wire.run_timer(0) {
            Change::Nothing => {}
            change => break change,
        }
    };
    assert_eq!(change, Change::Failed(libc::ETIMEDOUT));
    assert_eq!(wire.ends[0].deadline(), None);
}

#[test]
fn a_gap_is_filled_after_three_equal_acknowledgments_without_a_timer() {
    let mut wire = Wire::connected();
    // Four segments of a window that is large enough.
    wire.ends[1].receive_capacity = 8000;
    wire.ends[0].send_capacity = 8000;
    wire.write(0, b"x");
    wire.exchange();
    wire.read(1);
    wire.exchange();
    let data: Vec<u8> = (0..5000_u32).map(|n| (n / 7) as u8).collect();
    assert_eq!(wire.write(0, &data), 5000);
    wire.collect();
    assert_eq!(wire.under_way[1].len(), 5);
    wire.under_way[1].pop_front();
    let before = wire.now;
    wire.exchange();
    assert_eq!(wire.now, before);
    assert_eq!(wire.read(1), data);
}

#[test]
fn segments_that_arrive_early_or_twice_are_put_in_order() {
    let mut wire = Wire::connected();
    let data: Vec<u8> = (0..3000_u32).map(|n| (n / 11) as u8).collect();
    wire.write(0, &data);
    wire.collect();
    let all: Vec<Segment> = wire.under_way[1].drain(..).collect();
    assert_eq!(all.len(), 3);
    for index in [2, 1, 2, 0, 0, 1] {
        wire.ends[1].on_segment(all[index].clone(), wire.now);
    }
    assert_eq!(wire.read(1), data);
    wire.exchange();
    assert_eq!(wire.ends[0].deadline(), None);
}

#[test]
fn both_ends_finish_and_the_first_one_waits_for_stray_segments() {
    let mut wire = Wire::connected();
    wire.write(0, b"last");
    assert!(
        wire.ends[0].close(false, wire.now),
        "it continues by itself"
    );
    wire.exchange();
    assert!(!wire.ends[1].is_peer_finished() || wire.ends[1].readable() == 4);
    assert_eq!(wire.read(1), b"last");
    assert!(wire.ends[1].is_peer_finished());
    assert!(wire.ends[0].waits_for_end());
    wire.ends[1].close(false, wire.now);
    wire.exchange();
    assert!(wire.ends[0].is_over() && wire.ends[0].needs_time_wait());
    assert!(wire.ends[1].is_over() && !wire.ends[1].needs_time_wait());
}

#[test]
fn an_end_that_was_lost_is_sent_again() {
    let mut wire = Wire::connected();
    wire.ends[0].finish(wire.now);
    assert_eq!(wire.lose(), 1);
    wire.run_timer(0);
    wire.exchange();
    assert!(wire.ends[1].is_peer_finished());
    assert_eq!(wire.ends[0].deadline(), None);
}

#[test]
fn closing_with_unread_data_resets_the_peer() {
    let mut wire = Wire::connected();
    wire.write(0, b"unread");
    wire.exchange();
    assert!(!wire.ends[1].close(false, wire.now));
    wire.collect();
    let reset = wire.under_way[0].pop_back().unwrap();
    assert!(reset.rst);
    let change = wire.ends[0].on_segment(reset, wire.now);
    assert_eq!(change, Change::Failed(libc::ECONNRESET));
}

#[test]
fn data_after_a_close_is_answered_by_a_reset() {
    let mut wire = Wire::connected();
    wire.ends[0].close(false, wire.now);
    wire.exchange();
    wire.write(1, b"too late");
    wire.exchange();
    assert_eq!(wire.ends[1].phase, Phase::Dead);
}

#[test]
fn small_writes_wait_for_an_acknowledgment_unless_they_must_not() {
    for (nodelay, expected) in [(false, 1), (true, 3)] {
        let mut wire = Wire::connected();
        wire.ends[0].nodelay = nodelay;
        for _ in 0..3 {
            wire.write(0, b"x");
        }
        wire.collect();
        assert_eq!(wire.under_way[1].len(), expected);
        wire.exchange();
        assert_eq!(wire.read(1), b"xxx");
    }
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    let mut wire = Wire::connected();
    wire.write(0, &[1; 4000]);
    wire.exchange();
    // The segment that opens the window is lost.
    assert_eq!(wire.read(1).len(), 3000);
    assert_eq!(wire.lose(), 1);
    assert_eq!(wire.run_timer(0), Change::Nothing);
    wire.exchange();
    assert_eq!(wire.read(1).len(), 1000);
}
