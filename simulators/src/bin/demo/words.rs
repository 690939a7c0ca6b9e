//! Events in words. Pure.

use simulators::exact_online::{Delivery, Kind, Logged, Outcome};
use simulators::functions_host::{EventKind, Severity};

use super::narrator::{Line, Tone, Who};

pub(super) fn of_host(event: &EventKind) -> Option<Line> {
    let line = match event {
        EventKind::HandlerStarted { pid, ready_after, .. } => {
            Line::plain(Who::Host, format!("exact-token-broker is the handler (process {pid}) and answers after {} ms", ready_after.as_millis()))
        }
        EventKind::HandlerExited { pid, how, respawned: true } => Line::odd(Who::Host, format!("process {pid} {how}; it is started again")),
        EventKind::GivenUp { why } => Line::odd(Who::Host, why.as_str()),
        EventKind::TimerFired { retry, past_due, .. } => {
            let retry = if *retry > 0 { format!(", retry {retry}") } else { String::new() };
            Line::plain(Who::Host, format!("timer ticks{}{retry}", if *past_due { ", late" } else { "" }))
        }
        EventKind::TimerCompleted { verdict, duration, logs, .. } => match verdict.failure() {
            None => Line::plain(Who::Host, format!("tick over after {:.1} s: {}", duration.as_secs_f64(), without_next(&logs.join("; ")))),
            Some(failure) => Line::odd(Who::Host, format!("tick failed after {:.1} s: {failure}", duration.as_secs_f64())),
        },
        // An exit that is not followed by a start is the demo's own stop, or Ctrl+C, which reaches the handler as well.
        EventKind::HandlerExited { respawned: false, .. } | EventKind::NextTick { .. } => return None,
        EventKind::HttpForwarded { method, path, status, .. } => {
            // Two pages are for browsers: most likely it is the reader's own.
            let from = if path.starts_with("/api/Consent") { "a browser" } else { "another caller" };
            Line::plain(Who::Host, format!("{from}: {method} {path}, answered {status}"))
        }
        EventKind::Console(line) if !line.shown => return None,
        EventKind::Console(line) => {
            let tone = if line.severity == Severity::Information { Tone::Quiet } else { Tone::Odd };
            Line { who: Who::Handler, tone, text: message(&line.text).to_owned() }
        }
    };
    Some(line)
}

pub(super) fn of_exact(logged: &Logged) -> Line {
    let asked = match logged.kind {
        Kind::Refresh => "refresh",
        Kind::Code => "code exchange",
        Kind::Other => "unknown request",
    };
    let refused = match logged.outcome {
        Outcome::Granted | Outcome::GrantedByGrace if logged.delivery == Delivery::Whole => {
            return Line::plain(Who::Exact, format!("{asked} granted: new access token, new refresh token; the old refresh token is void"));
        }
        Outcome::Granted | Outcome::GrantedByGrace => "granted, but the reply was lost",
        Outcome::TooEarly => "refused: the access token is too young",
        Outcome::OldToken => "refused: an old refresh token",
        Outcome::ChainId => "refused: the chain was broken",
        Outcome::Expired => "refused: the refresh token has expired",
        Outcome::SignedData => "refused: not a token of ours",
        Outcome::InvalidRequest => "refused: the form is wrong",
        Outcome::InvalidClient | Outcome::InvalidClientInHeader => "refused: wrong client id or secret",
        Outcome::NotJudged => "not judged",
    };
    Line::odd(Who::Exact, format!("{asked} {refused} (status {})", logged.status))
}

/// A handler's log line without its target and without the ids that tie it to an invocation in Azure.
fn message(line: &str) -> &str {
    let line = line.split(" function=").next().unwrap_or(line);
    line.split_once(": ").map_or(line, |(_target, message)| message)
}

/// A tick's report ends with the time of the next refresh, in UTC and in full sentences; here the next tick is near enough.
fn without_next(report: &str) -> &str {
    report.split("; next not before").next().unwrap_or(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_reduced_to_what_a_reader_wants() {
        let line = "info refresh_token::tick: holding: until then seconds=2 function=RefreshToken invocation=83a33220";
        assert_eq!(message(line), "holding: until then seconds=2");
        assert_eq!(message("something else"), "something else");
    }

    #[test]
    fn a_click_of_the_reader_is_not_somebody_elses() {
        let said = |method: &str, path: &str| {
            let (method, path) = (method.to_owned(), path.to_owned());
            of_host(&EventKind::HttpForwarded { method, path, status: 303, duration: std::time::Duration::ZERO }).map(|line| line.text)
        };
        assert_eq!(said("POST", "/api/Consent").as_deref(), Some("a browser: POST /api/Consent, answered 303"));
        assert_eq!(said("GET", "/api/ConsentCallback").as_deref(), Some("a browser: GET /api/ConsentCallback, answered 303"));
        assert_eq!(said("GET", "/api/GetToken").as_deref(), Some("another caller: GET /api/GetToken, answered 303"));
    }

    #[test]
    fn a_report_keeps_what_happened() {
        assert_eq!(without_next("refreshed; it lives 59 s more; next not before 2026-11-23T17:25:31Z: too young"), "refreshed; it lives 59 s more");
        assert_eq!(without_next("no refresh"), "no refresh");
    }
}
