//! A panic, in a process of its own: the hook belongs to the whole process.

use std::sync::{Arc, Mutex};

use exact_token_broker::telemetry::{self, Sink, Stream};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Stream, String)>>>);

impl Sink for Log {
    fn write(&self, stream: Stream, line: &str) {
        self.0.lock().expect("not poisoned").push((stream, line.to_owned()));
    }
}

#[test]
fn a_panic_is_one_error_line_without_its_payload() {
    let log = Log::default();
    tracing::subscriber::set_global_default(telemetry::subscriber(None, log.clone())).unwrap();
    telemetry::log_panics();
    let ended = std::thread::spawn(|| panic!("made-up-canary: Warning")).join();
    assert!(ended.is_err());
    let lines = log.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 1);
    let (stream, line) = &lines[0];
    assert_eq!(*stream, Stream::Err);
    assert!(line.starts_with("error telemetry: internal error: the program panicked at tests/panic_log.rs:"), "{line}");
    assert!(!line.contains("canary") && !line.to_lowercase().contains("warn"), "{line}");
}
