//! Log lines, written so that the Functions host gives each its right severity.
//!
//! The host knows a custom handler's two streams and nothing else (azure-functions-host, `WorkerProcess.ParseErrorMessageAndLog`): a line on
//! stdout is Information; a line on stderr is Error, or Warning if "warn" stands anywhere in it, in any case. One line is one record, without
//! correlation. Hence: info and below to stdout, the rest to stderr, one line per record whatever it contains, "warn" in a line exactly if it
//! is a warning, and the invocation's id as a field.
//!
//! Only this crate's own records are written, because nobody can promise that another crate's carry no secret.

mod filter;
mod line;

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use line::{Fields, SpanFields};

/// Starts logging in this process and takes over what a panic says. `filter` is the value of `RUST_LOG`; one that cannot be read is reported
/// by a warning, and `info` holds.
///
/// Call it once, first of all. A second call changes nothing but the panic hook.
pub fn init(filter: Option<&str>) {
    let (targets, problem) = filter::parse(filter);
    let _already_set = tracing::subscriber::set_global_default(with_targets(targets, Process));
    log_panics();
    if let Some(problem) = problem {
        tracing::warn!("{problem}");
    }
}

/// What [`init`] starts, writing to a sink of the caller's: for tests.
pub fn subscriber(filter: Option<&str>, sink: impl Sink) -> impl Subscriber + Send + Sync {
    with_targets(filter::parse(filter).0, sink)
}

/// Makes a panic one error line: where it happened, and not the payload, which can carry anything. The process goes on.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), |at| line::place(at.file(), at.line()));
        tracing::error!("internal error: the program panicked at {place}; this is a bug, please report it");
    }));
}

/// Where finished lines go.
pub trait Sink: Send + Sync + 'static {
    /// Takes one line, without its line end. Must not fail: there is nobody left to tell.
    fn write(&self, stream: Stream, line: &str);
}

/// One of the two streams that the host reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Information.
    Out,
    /// Error, or Warning.
    Err,
}

/// The process's own streams.
struct Process;

impl Sink for Process {
    fn write(&self, stream: Stream, line: &str) {
        match stream {
            Stream::Out => write_line(&mut io::stdout().lock(), line),
            Stream::Err => write_line(&mut io::stderr().lock(), line),
        }
    }
}

/// One write for line and line end. When the host has died the pipe is broken; `println!` would panic then, and a panic is not better than silence.
fn write_line(stream: &mut impl Write, line: &str) {
    let _broken_pipe = stream.write_all(format!("{line}\n").as_bytes()).and_then(|()| stream.flush());
}

fn with_targets(targets: Targets, sink: impl Sink) -> impl Subscriber + Send + Sync {
    Registry::default().with(targets).with(Lines { sink })
}

struct Lines<K> {
    sink: K,
}

impl<S, K> Layer<S> for Lines<K>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    K: Sink,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.rest));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = context.span(id)
            && let Some(SpanFields(known)) = span.extensions_mut().get_mut()
        {
            known.push_str(&fields.rest);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // The fields first: their `Debug` is foreign code, and no lock of the registry is held while it runs.
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(known)) = span.extensions().get() {
                fields.rest.push_str(known);
            }
        }
        let level = *event.metadata().level();
        let stream = if level <= Level::WARN { Stream::Err } else { Stream::Out };
        self.sink.write(stream, &line::render(level, event.metadata().target(), &fields));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<(Stream, String)>>>);

    impl Sink for Kept {
        fn write(&self, stream: Stream, line: &str) {
            self.0.lock().unwrap().push((stream, line.to_owned()));
        }
    }

    fn lines(filter: Option<&str>, act: impl FnOnce()) -> Vec<(Stream, String)> {
        let kept = Kept::default();
        tracing::subscriber::with_default(subscriber(filter, kept.clone()), act);
        kept.0.lock().unwrap().clone()
    }

    #[test]
    fn each_level_reaches_the_stream_that_gives_it_its_severity() {
        let said = lines(Some("trace"), || {
            tracing::trace!("t");
            tracing::debug!("d");
            tracing::info!("i");
            tracing::warn!("w");
            tracing::error!("e");
        });
        let expected = [
            (Stream::Out, "trace telemetry::tests: t"),
            (Stream::Out, "debug telemetry::tests: d"),
            (Stream::Out, "info telemetry::tests: i"),
            (Stream::Err, "warn telemetry::tests: w"),
            (Stream::Err, "error telemetry::tests: e"),
        ];
        assert_eq!(said, expected.map(|(stream, line)| (stream, line.to_owned())));
    }

    #[test]
    fn fields_and_the_fields_of_all_spans_stand_in_the_line() {
        let said = lines(None, || {
            let span = tracing::error_span!("invocation", invocation = "83a33220", trace = tracing::field::Empty);
            let _in = span.enter();
            span.record("trace", "bb2bd5ee");
            tracing::info!(seconds = 412, why = "too young", "handed out");
        });
        let line = "info telemetry::tests: handed out seconds=412 why=\"too young\" invocation=83a33220 trace=bb2bd5ee";
        assert_eq!(said, [(Stream::Out, line.to_owned())]);
    }

    #[test]
    fn other_crates_are_not_written_whatever_the_filter_says() {
        let said = lines(Some("trace,hyper=trace"), || {
            tracing::error!(target: "hyper::proto", "made-up-canary");
            tracing::info!("own");
        });
        assert_eq!(said.len(), 1);
    }

    #[test]
    fn a_closed_stream_is_ignored() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        write_line(&mut writer, "nobody reads this");
        write_line(&mut writer, "nor this");
    }
}
