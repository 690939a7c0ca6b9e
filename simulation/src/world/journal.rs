//! What happened, line by line: the same for the same seed, byte for byte. Nothing random of the product's own comes in here.

use std::fmt::Write;

use jiff::Timestamp;

use super::ProcessId;

/// The lines of one history.
#[derive(Debug)]
pub struct Journal {
    start: Timestamp,
    text: String,
}

impl Journal {
    /// Empty.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { start, text: String::new() }
    }

    /// Another line.
    pub fn write(&mut self, now: Timestamp, process: ProcessId, line: &str) {
        let millis = now.duration_since(self.start).as_millis();
        let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60);
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{hours:02}:{minutes:02}:{seconds:02}.{:03} p{process:<3} {line}", millis % 1_000);
    }

    /// All lines.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
