//! Durations as a reader of a list wants them.

use std::fmt;
use std::time::Duration;

/// The text of a duration, with two significant parts at most: `2.4 s`, `5 min 3 s`.
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span(span) = *self;
        let seconds = span.as_secs();
        if span < Duration::from_millis(1) {
            write!(f, "{} µs", span.as_micros())
        } else if span < Duration::from_secs(1) {
            write!(f, "{} ms", span.as_millis())
        } else if span < Duration::from_secs(10) {
            write!(f, "{:.1} s", span.as_secs_f64())
        } else if seconds < 120 {
            write!(f, "{seconds} s")
        } else if seconds < 2 * 60 * 60 {
            write!(f, "{} min {} s", seconds / 60, seconds % 60)
        } else {
            write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_in_the_unit_that_fits_it() {
        let texts = [
            (Duration::ZERO, "0 µs"),
            (Duration::from_micros(999), "999 µs"),
            (Duration::from_millis(250), "250 ms"),
            (Duration::from_millis(2_400), "2.4 s"),
            (Duration::from_millis(59_900), "59 s"),
            (Duration::from_secs(119), "119 s"),
            (Duration::from_secs(303), "5 min 3 s"),
            (Duration::from_secs(7_500), "2 h 5 min"),
        ];
        for (span, text) in texts {
            assert_eq!(Span(span).to_string(), text);
        }
    }
}
