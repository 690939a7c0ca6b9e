//! Hears every line that the product logs, whatever its level, and searches it for secrets: each one here bears a mark.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use simulators::exact_online::MARKER;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Of one history.
#[derive(Clone, Debug, Default)]
pub struct Ears(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    lines: AtomicU64,
    secret: AtomicBool,
}

impl Ears {
    /// Whether a secret was in any of the lines.
    #[must_use]
    pub fn heard_a_secret(&self) -> bool {
        self.0.secret.load(Ordering::Relaxed)
    }

    /// How many lines there were.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.0.lines.load(Ordering::Relaxed)
    }
}

impl<S: Subscriber> Layer<S> for Ears {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // The libraries below log under names of their own; the shipped filter lets through what this one does.
        metadata.target().starts_with("exact_token_broker")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.lines.fetch_add(1, Ordering::Relaxed);
        let mut text = Text(String::new());
        event.record(&mut text);
        if text.0.contains(MARKER) {
            self.0.secret.store(true, Ordering::Relaxed);
        }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, " {value:?}");
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_planted_secret_is_heard() {
        let ears = Ears::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(ears.clone()), || {
            tracing::debug!(target: "exact_token_broker::made_up", "nothing");
            assert!(!ears.heard_a_secret());
            tracing::debug!(target: "exact_token_broker::made_up", token = "a SIMULATED one", "something");
            assert!(ears.heard_a_secret() && ears.lines() == 2);
        });
    }
}
