//! Reading a document, and saying what is wrong with it without quoting it.

use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde_json::error::Category;
use serde_path_to_error::Segment;

use super::VERSION;
use super::form::{Form, Of, PROBLEMS};

/// Why a stored document cannot be read. Holds positions, and names and sentences of this program, never a piece of the document: a document
/// contains tokens, and so may what somebody put in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing, or white space.
    #[error("it is empty")]
    Empty,
    /// The beginning of a JSON document.
    #[error("it ends in the middle, at {0}")]
    CutOff(Position),
    /// Something else than JSON, or more than one document.
    #[error("it is not valid JSON from {0} on")]
    NotJson(Position),
    /// JSON, and not what this program writes.
    #[error("{field}: {problem} (before or at {position})")]
    Field {
        /// Such as `open[2].opened`; made of our own names.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
        /// Where reading stopped: the end of the value, or of the object that it is missing from.
        position: Position,
    },
    /// A later release wrote it, with this format version; None if that is no sensible number.
    #[error("its format version is {}; this program knows version 1, so it was written by a later release", named(*.0))]
    Version(Option<u64>),
}

/// A position in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1; 0 at the very beginning of a line.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Reads a document of the known version.
pub(super) fn parse<T: Form>(text: &str) -> Result<T, Malformed> {
    #[derive(Deserialize)]
    struct Envelope {
        v: u64,
    }
    if text.trim_ascii().is_empty() {
        return Err(Malformed::Empty);
    }
    match read::<Envelope>(text)?.v {
        VERSION => Ok(read::<Of<T>>(text)?.0),
        other => Err(Malformed::Version((other < 1000).then_some(other))),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    let mut from = serde_json::Deserializer::from_str(text);
    let content = serde_path_to_error::deserialize(&mut from).map_err(|error| explain(error.path(), error.inner()))?;
    from.end().map_err(|error| explain(&nowhere(), &error))?;
    Ok(content)
}

/// serde's own texts quote what they found ("invalid type: string …"), so none of them goes further than this function.
fn explain(path: &serde_path_to_error::Path, error: &serde_json::Error) -> Malformed {
    let position = Position { line: error.line(), column: error.column() };
    match error.classify() {
        Category::Eof => Malformed::CutOff(position),
        Category::Syntax | Category::Io => Malformed::NotJson(position),
        Category::Data => {
            let text = error.to_string();
            let mut field = our_names(path);
            let missing = NAMES.iter().find(|name| text.starts_with(&format!("missing field `{name}`")));
            if let Some(name) = missing {
                push_name(&mut field, name);
            }
            let ours = PROBLEMS.iter().find(|problem| text.starts_with(*problem)).copied();
            let problem = if missing.is_some() { "it is missing" } else { ours.unwrap_or("it is not of the expected kind") };
            if field.is_empty() {
                field.push_str("the document");
            }
            Malformed::Field { field, problem, position }
        }
    }
}

/// The path to a value, if it consists of names that this program gave. A name in a document can be anything.
fn our_names(path: &serde_path_to_error::Path) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            // Writing to a String cannot fail.
            Segment::Seq { index } => drop(write!(text, "[{index}]")),
            Segment::Map { key } => push_name(&mut text, NAMES.iter().find(|name| *name == key).unwrap_or(&"?")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn nowhere() -> serde_path_to_error::Path {
    serde_path_to_error::Track::new().path()
}

fn named(version: Option<u64>) -> String {
    version.map_or_else(|| "unknown".to_owned(), |version| version.to_string())
}

/// Every field name of every form. A test holds this list to what is written.
#[rustfmt::skip]
pub(super) const NAMES: &[&str] = &[
    "v",
    // credential
    "refresh_token", "access", "value", "expires_at", "lifetime_seconds", "granted_at", "renewable_at", "attempt", "epoch", "lock_id", "chain",
    "base_url", "client_id", "user",
    // ledger
    "generation", "head", "candidates", "open", "refusals", "backoff", "ungranted", "today", "dead", "misconfigured", "clock_behind_since",
    "last_failure", "rebuilt_at", "writer", "version", "fingerprint", "id", "opened", "quarantine_until", "unclear_since", "code_in", "refusal", "count",
    "last", "cause", "first", "until", "day", "requests", "since", "probes", "last_probe", "what", "settings", "at", "in_a_row",
    "recent_grants", "issued", "consents", "used", "begun", "person", "pending", "declined", "state", "pointer", "name", "login", "company", "division",
    // the embedded store's file
    "ledger", "written", "versions", "credential",
];
