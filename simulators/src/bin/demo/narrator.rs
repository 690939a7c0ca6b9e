//! Prints what happens, one line each, in the order of cause and effect as far as that can be told.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use simulators::exact_online::{Clock, ExactOnline, Logged, system_clock};
use simulators::functions_host::{Event, EventKind, FunctionsHost};

use super::words;

/// Who does what is told.
#[derive(Clone, Copy)]
pub(super) enum Who {
    Demo,
    Host,
    Handler,
    Exact,
    Caller,
}

/// How a line looks on a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// The handler's own log: for those who want to know more.
    Quiet,
    Odd,
}

pub(super) struct Line {
    pub(super) who: Who,
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Line {
    pub(super) fn plain(who: Who, text: impl Into<String>) -> Self {
        Self { who, tone: Tone::Plain, text: text.into() }
    }

    pub(super) fn odd(who: Who, text: impl Into<String>) -> Self {
        Self { who, tone: Tone::Odd, text: text.into() }
    }
}

pub(super) struct Narrator {
    clock: Clock,
    lines: mpsc::UnboundedSender<(Timestamp, Line)>,
    own_calls: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Narrator {
    /// Tells what host and Exact Online do from now on.
    pub(super) fn begin(host: &FunctionsHost, exact: &ExactOnline) -> Self {
        let (lines, own) = mpsc::unbounded_channel();
        let own_calls = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(Sources { host: host.subscribe(), exact: exact.subscribe(), own, own_calls: Arc::clone(&own_calls) }.narrate());
        Self { clock: system_clock(), lines, own_calls, task }
    }

    pub(super) fn say(&self, who: Who, text: &str) {
        self.send(Line::plain(who, text));
    }

    pub(super) fn odd(&self, who: Who, text: &str) {
        self.send(Line::odd(who, text));
    }

    /// The next call at the host's front end is the demo's own, which tells of it itself.
    pub(super) fn own_call(&self) {
        self.own_calls.fetch_add(1, Ordering::SeqCst);
    }

    /// Tells what is left to tell.
    pub(super) async fn finish(self) {
        drop(self.lines);
        // A narrator that panicked has nothing left to tell.
        let _ = self.task.await;
    }

    fn send(&self, line: Line) {
        // The narrator lives as long as the sender.
        let _ = self.lines.send(((self.clock)(), line));
    }
}

/// Events of three sources, each late by its own little way, are put in the order of their times.
const SETTLE: Duration = Duration::from_millis(20);

/// Exact notes when a request arrives. What the handler printed before it sent the request has then still to come out of its pipe.
const PIPE: Duration = Duration::from_micros(1500);

struct Sources {
    host: broadcast::Receiver<Event>,
    exact: broadcast::Receiver<Logged>,
    own: mpsc::UnboundedReceiver<(Timestamp, Line)>,
    own_calls: Arc<AtomicUsize>,
}

impl Sources {
    /// Until the demo has nothing more to say.
    async fn narrate(mut self) {
        loop {
            let mut lines = Vec::new();
            let goes_on = tokio::select! {
                Ok(event) = self.host.recv() => { lines.extend(self.of_host(&event)); true }
                Ok(logged) = self.exact.recv() => { lines.push((logged.at, words::of_exact(&logged))); true }
                line = self.own.recv() => { let goes_on = line.is_some(); lines.extend(line); goes_on }
            };
            tokio::time::sleep(SETTLE).await;
            while let Ok(event) = self.host.try_recv() {
                lines.extend(self.of_host(&event));
            }
            while let Ok(logged) = self.exact.try_recv() {
                lines.push((logged.at, words::of_exact(&logged)));
            }
            while let Ok(line) = self.own.try_recv() {
                lines.push(line);
            }
            lines.sort_by_key(|(at, line)| if matches!(line.who, Who::Exact) { *at + PIPE } else { *at });
            for (at, line) in &lines {
                tell(*at, line);
            }
            if !goes_on {
                return;
            }
        }
    }

    fn of_host(&self, event: &Event) -> Option<(Timestamp, Line)> {
        let of_own_call = matches!(&event.kind, EventKind::HttpForwarded { .. }) && is_own(&self.own_calls);
        (!of_own_call).then(|| words::of_host(&event.kind)).flatten().map(|line| (event.at, line))
    }
}

fn is_own(calls: &AtomicUsize) -> bool {
    calls.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

fn tell(at: Timestamp, line: &Line) {
    let time = TimeZone::system().to_datetime(at).time().strftime("%H:%M:%S").to_string();
    let who = match line.who {
        Who::Demo => "demo",
        Who::Host => "host",
        Who::Handler => "handler",
        Who::Exact => "exact",
        Who::Caller => "caller",
    };
    let odd = if line.tone == Tone::Odd { "! " } else { "" };
    let text = format!("{time}  {who:<7} | {odd}{}", line.text);
    let colour = std::io::stdout().is_terminal();
    print(&match line.tone {
        Tone::Quiet if colour => format!("\u{1b}[2m{text}\u{1b}[0m"),
        Tone::Odd if colour => format!("\u{1b}[33m{text}\u{1b}[0m"),
        Tone::Plain | Tone::Quiet | Tone::Odd => text,
    });
}

/// A reader that has gone away is no reason to fail.
pub(super) fn print(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}
