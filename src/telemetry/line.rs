//! One record as one line of text. Pure.

use std::fmt::Write;

use tracing::Level;

/// No line is longer than this many bytes: a log is read by people and paid for by volume.
const MOST: usize = 8 * 1024;
/// A message is cut earlier than the line, so that the fields behind it, the invocation's id above all, survive.
const MOST_MESSAGE: usize = 6 * 1024;
const CUT: &str = "… (shortened)";

/// The parts of a record.
#[derive(Default)]
pub(super) struct Fields {
    message: String,
    /// ` name=value` for each other field.
    pub(super) rest: String,
}

/// What a span keeps for the lines inside it.
pub(super) struct SpanFields(pub(super) String);

impl Fields {
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let _infallible = match name {
            "message" => self.message.write_str(value),
            _ if value.is_empty() || value.contains(|c: char| c.is_whitespace() || c == '"' || c == '=') => write!(self.rest, " {name}={value:?}"),
            _ => write!(self.rest, " {name}={value}"),
        };
    }
}

/// The line, without its end.
pub(super) fn render(level: Level, target: &str, fields: &Fields) -> String {
    let target = target.strip_prefix("exact_token_broker::").unwrap_or(target);
    let name = level.as_str().to_ascii_lowercase();
    let message = cut(one_line(&fields.message), MOST_MESSAGE);
    let line = format!("{name} {target}: {message}{}", one_line(&fields.rest));
    cut(if level == Level::ERROR { no_warning(&line) } else { line }, MOST)
}

/// Where code stands, without the folders of the machine that built it.
pub(super) fn place(file: &str, line: u32) -> String {
    let parts: Vec<&str> = file.split(['/', '\\']).collect();
    let last = if file.starts_with("src/") { 0 } else { parts.len().saturating_sub(3) };
    format!("{}:{line}", parts[last..].join("/"))
}

/// Writes line ends, and whatever else is not text, as escapes.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// The host would show an error line that contains "warn" as a warning: "w-arn" can still be read, and is no longer what it looks for.
fn no_warning(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let mut told = String::with_capacity(line.len() + 8);
    let mut from = 0;
    for (at, _) in lower.match_indices("warn") {
        told.push_str(&line[from..=at]);
        told.push('-');
        from = at + 1;
    }
    told.push_str(&line[from..]);
    told
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - CUT.len()));
        text.push_str(CUT);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(level: Level, message: &str) -> String {
        let mut fields = Fields::default();
        fields.add("message", message);
        fields.add("invocation", "83a33220");
        render(level, "exact_token_broker::functions", &fields)
    }

    #[test]
    fn an_error_line_never_contains_warn() {
        let line = say(Level::ERROR, "Warning: WARN, forewarned, wwarnwarn");
        assert_eq!(line, "error functions: W-arning: W-ARN, forew-arned, ww-arnw-arn invocation=83a33220");
        assert!(!line.to_lowercase().contains("warn"));
    }

    #[test]
    fn a_warning_always_does() {
        assert!(say(Level::WARN, "not writable").starts_with("warn functions: not writable"));
    }

    #[test]
    fn a_record_is_one_line() {
        let line = say(Level::INFO, "a\r\nb\tc\u{1b}[31m\u{85}\u{2028}d ünï \\ ok");
        assert_eq!(line, "info functions: a\\r\\nb\\tc\\u{1b}[31m\\u{85}\\u{2028}d ünï \\ ok invocation=83a33220");
    }

    #[test]
    fn a_line_is_bounded_and_keeps_its_fields() {
        for long in ["x".repeat(100_000), "é".repeat(50_000), "warn".repeat(30_000), "\n".repeat(70_000)] {
            for level in [Level::ERROR, Level::WARN, Level::INFO] {
                let line = say(level, &long);
                assert!(line.len() <= MOST, "{}", line.len());
                assert!(line.contains(CUT));
                assert!(line.ends_with("invocation=83a33220"), "{}", &line[line.len() - 60..]);
                assert!(level != Level::ERROR || !line.contains("warn"));
            }
        }
        let mut fields = Fields::default();
        fields.add("value", &"y".repeat(20_000));
        assert_eq!(render(Level::INFO, "exact_token_broker::x", &fields).len(), MOST);
    }

    #[test]
    fn values_are_quoted_where_they_would_run_into_each_other() {
        let mut fields = Fields::default();
        for (name, value) in [("a", "1"), ("b", "two words"), ("c", ""), ("d", "x=\"y\""), ("e", "line\nline")] {
            fields.add(name, value);
        }
        assert_eq!(fields.rest, r#" a=1 b="two words" c="" d="x=\"y\"" e="line\nline""#);
    }

    #[test]
    fn a_place_does_not_tell_who_built_it() {
        assert_eq!(place("src/functions/mod.rs", 12), "src/functions/mod.rs:12");
        assert_eq!(place("/home/somebody/.cargo/registry/src/index/tokio-1.54.1/src/task.rs", 7), "tokio-1.54.1/src/task.rs:7");
    }
}
