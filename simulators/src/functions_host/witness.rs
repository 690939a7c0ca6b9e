//! Remembers what the handler let out, and searches it for secrets that must not be there.

use std::sync::Mutex;

use super::{
    console::{Line, Stream},
    host::lock,
    wire::Reply,
};

/// A secret found where it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The index of the secret in what was searched for. Not the secret itself, so that a failing test prints none.
    pub secret: usize,
    /// Where it was.
    pub channel: Channel,
    /// Which line or reply, counted from 0 within the channel's kind.
    pub index: usize,
}

/// A way out of the handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A line on standard output.
    Stdout,
    /// A line on standard error.
    Stderr,
    /// The body of a reply; log lines of an invocation are part of it.
    Body {
        /// The function called.
        function: String,
        /// The reply's status.
        status: u16,
    },
    /// A header of a reply.
    Header {
        /// The function called.
        function: String,
        /// The header's name.
        name: String,
    },
}

#[derive(Default)]
pub(super) struct Witness(Mutex<Vec<Seen>>);

struct Seen {
    function: String,
    reply: Reply,
    /// The one body that is meant to hold a token.
    body_exempt: bool,
}

impl Witness {
    pub(super) fn saw(&self, function: &str, reply: &Reply, token_function: &str) {
        lock(&self.0).push(Seen {
            function: function.to_owned(),
            reply: reply.clone(),
            body_exempt: reply.status == 200 && function.eq_ignore_ascii_case(token_function),
        });
    }

    pub(super) fn search(&self, lines: &[Line], secrets: &[String]) -> Vec<Place> {
        let mut places = Vec::new();
        let mut look = |text: &str, channel: &dyn Fn() -> Channel, index: usize| {
            for (secret, forms) in secrets.iter().map(|secret| forms(secret)).enumerate() {
                if forms.iter().any(|form| !form.is_empty() && text.contains(form)) {
                    let channel = channel();
                    places.push(Place { secret, channel, index });
                }
            }
        };
        for (index, line) in lines.iter().enumerate() {
            let channel = || match line.stream {
                Stream::Stdout => Channel::Stdout,
                Stream::Stderr => Channel::Stderr,
            };
            look(&line.text, &channel, index);
        }
        for (index, seen) in lock(&self.0).iter().enumerate() {
            let function = || seen.function.clone();
            if !seen.body_exempt {
                let status = seen.reply.status;
                let channel = || Channel::Body { function: function(), status };
                look(&String::from_utf8_lossy(&seen.reply.body), &channel, index);
            }
            for (name, value) in &seen.reply.headers {
                let channel = || Channel::Header { function: function(), name: name.clone() };
                look(value, &channel, index);
            }
        }
        places
    }
}

/// The secret itself, as a URL carries it, and as a JSON string carries it.
fn forms(secret: &str) -> [String; 3] {
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    [secret.to_owned(), super::forward::escape(secret), json]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions_host::Severity;

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Reply { status, headers: headers.collect(), body: body.into() }
    }

    #[test]
    fn a_planted_secret_is_found_in_every_channel_but_the_one_that_may_hold_it() {
        let witness = Witness::default();
        let secret = "FAKE/secret\"1";
        witness.saw("GetToken", &reply(200, &[("x-hint", secret)], secret), "GetToken");
        witness.saw("GetToken", &reply(503, &[], "?t=FAKE%2Fsecret%221"), "GetToken");
        witness.saw("RefreshToken", &reply(200, &[], r#"{"Logs":["FAKE/secret\"1"]}"#), "GetToken");
        let line = |stream, text: &str| Line { pid: 1, stream, severity: Severity::Error, shown: true, text: text.to_owned() };
        let lines = [line(Stream::Stdout, secret), line(Stream::Stderr, secret), line(Stream::Stderr, "clean")];
        let channels: Vec<Channel> = witness
            .search(&lines, &["absent".to_owned(), secret.to_owned()])
            .into_iter()
            .map(|place| {
                assert_eq!(place.secret, 1);
                place.channel
            })
            .collect();
        let body = |function: &str, status| Channel::Body { function: function.to_owned(), status };
        assert_eq!(
            channels,
            [
                Channel::Stdout,
                Channel::Stderr,
                Channel::Header { function: "GetToken".to_owned(), name: "x-hint".to_owned() },
                body("GetToken", 503),
                body("RefreshToken", 200),
            ]
        );
    }
}
