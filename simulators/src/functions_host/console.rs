//! What the handler prints, with the severity that the host gives each line.
//!
//! Source: azure-functions-host `WorkerProcess.ParseErrorMessageAndLog`.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::watch,
};

use super::event::{EventKind, Events};

/// A level of `Microsoft.Extensions.Logging`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Only as a threshold in host.json.
    Trace,
    /// Only as a threshold in host.json.
    Debug,
    /// Every line of standard output.
    Information,
    /// A line of standard error that contains "warn".
    Warning,
    /// Any other line of standard error.
    Error,
    /// Only as a threshold in host.json.
    Critical,
    /// As a threshold: nothing is shown.
    None,
}

impl Severity {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "trace" => Self::Trace,
            "debug" => Self::Debug,
            "information" => Self::Information,
            "warning" => Self::Warning,
            "error" => Self::Error,
            "critical" => Self::Critical,
            "none" => Self::None,
            _ => return None,
        })
    }
}

/// Which pipe a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line that a handler printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The process that printed it.
    pub pid: u32,
    /// Where.
    pub stream: Stream,
    /// What the host makes of it.
    pub severity: Severity,
    /// False if host.json's log level hides it, or if the host takes it for its own system log.
    pub shown: bool,
    /// Without the line end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// The severity of a line.
#[must_use]
pub fn severity(stream: Stream, text: &str) -> Severity {
    match stream {
        Stream::Stdout => Severity::Information,
        Stream::Stderr if text.to_ascii_lowercase().contains("warn") => Severity::Warning,
        Stream::Stderr => Severity::Error,
    }
}

#[derive(Clone)]
pub(super) struct Console {
    lines: Arc<Mutex<Vec<Line>>>,
    least: Severity,
    events: Events,
}

impl Console {
    pub(super) fn new(least: Severity, events: Events) -> Self {
        Self { lines: Arc::default(), least, events }
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        self.lock().clone()
    }

    /// The last three lines on standard error, which the host adds to the report of a crash.
    pub(super) fn last_errors(&self, pid: u32) -> String {
        let lines = self.lock();
        let mut last: Vec<&str> =
            lines.iter().rev().filter(|line| line.pid == pid && line.stream == Stream::Stderr).take(3).map(|line| line.text.as_str()).collect();
        last.reverse();
        last.join(",")
    }

    /// Reads lines until the end, or until `closed` becomes true: then the pipe's read end is closed.
    pub(super) async fn read(self, pid: u32, stream: Stream, pipe: impl AsyncRead + Unpin, mut closed: watch::Receiver<bool>) {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = tokio::select! {
                read = pipe.read_until(b'\n', &mut bytes) => read,
                _ = closed.wait_for(|closed| *closed && stream == Stream::Stdout) => return,
            };
            match read {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&bytes);
            self.add(pid, stream, text.trim_end_matches(['\r', '\n']));
        }
    }

    fn add(&self, pid: u32, stream: Stream, text: &str) {
        let severity = severity(stream, text);
        let system = text.starts_with("LanguageWorkerConsoleLog");
        let line = Line { pid, stream, severity, shown: !system && severity >= self.least && self.least != Severity::None, text: text.to_owned() };
        self.lock().push(line.clone());
        self.events.emit(EventKind::Console(line));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_follows_the_pipe_and_the_word_warn() {
        assert_eq!(severity(Stream::Stdout, "ERROR warn"), Severity::Information);
        assert_eq!(severity(Stream::Stderr, "2026 INFO started"), Severity::Error);
        assert_eq!(severity(Stream::Stderr, "a WARNing"), Severity::Warning);
    }
}
