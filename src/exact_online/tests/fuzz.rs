//! Odd replies of the token service, for the fuzzer.

use fuzzing::Target;
use jiff::Timestamp;
use serde_json::Value;

use super::super::probe;
use super::super::response::classify_code;
use super::properties::displayed;
use super::*;
use crate::token::failure::Outcome;
use crate::token::ledger::FailureKind;
use crate::token::{AttemptId, CodeReply, Fingerprint, Ledger, LockId};

const WORDS: &[&str] = &[
    "access_token",
    "refresh_token",
    "token_type",
    "expires_in",
    "error",
    "error_description",
    "bearer",
    "Rate limit exceeded: access_token not expired",
    "TooEarlyToRefreshTokens: x",
    "Old refresh token used.",
    "Token is not allowed, because of invalid or empty chainId",
    "The refresh token expired at 10\\/11\\/2022",
    "Client with identifier x not found",
    "access_denied",
    "invalid_client",
    "unauthorized_client",
    "invalid_grant",
    SENT,
    "reason: ",
    "retry-after: ",
    "date: Mon, 23 Nov 2026 17:25:31 GMT",
    "200",
    "400",
    "401",
    "403",
    "429",
    "500",
    "\n\n",
    "cut",
    "\"refresh_token\":\"MADEUPcanary-next\"",
];

/// `400 cut`, headers, an empty line, and the body as it came.
struct Message {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Message {
    fn read(input: &[u8]) -> Option<Self> {
        let end = input.windows(2).position(|pair| pair == b"\n\n")?;
        let (head, bytes) = (String::from_utf8_lossy(&input[..end]), input[end + 2..].to_vec());
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let status = first.next()?.parse().ok()?;
        let cut = first.next().map(|_| Unclear::ConnectionLost);
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.trim().as_bytes())) {
                headers.append(name, value);
            }
        }
        Some(Self { status, headers, body: Body { bytes, cut } })
    }

    /// The refresh token that an independent reader of JSON finds, if a body that is whole has one that is new.
    fn new_refresh_token(&self) -> Option<String> {
        let value: Value = serde_json::from_slice(&self.body.bytes).ok()?;
        let token = value.get("refresh_token")?.as_str()?.to_owned();
        (!token.trim().is_empty() && token != SENT && !token.contains(char::REPLACEMENT_CHARACTER)).then_some(token)
    }
}

#[test]
fn token_reply() {
    Target::new("token-reply").words(WORDS).run(|input| {
        let Some(message) = Message::read(input) else { return String::new() };
        let Message { status, headers, body } = &message;
        let sent = Secret::new(SENT);
        let reply = classify(&sent, *status, headers, body);
        agrees(&message, &reply);
        let code = classify_code(&sent, *status, headers, body);
        match &code {
            CodeReply::Refused => assert!(matches!(reply, Reply::Unclear(_)) && status.is_client_error() && body.cut.is_none()),
            CodeReply::Other(other) => assert_eq!(told(other), told(&reply)),
        }
        // Names are told, if they look like names: of what else a report says, nothing may come from the reply.
        let looks = probe::looks(status.as_u16(), headers, &body.bytes);
        let values: Vec<String> = looks.headers.into_iter().chain(looks.members).map(|(_, value)| value).collect();
        format!("{reply:?} {reply:#?} {} {code:?} {} {values:?}", displayed(&reply), looks.body)
    });
}

fn agrees(message: &Message, reply: &Reply) {
    let Message { status, body, .. } = message;
    let whole = body.cut.is_none();
    match reply {
        Reply::Granted(grant) => {
            assert!(whole && *status == StatusCode::OK);
            let value: Value = serde_json::from_slice(body.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body.bytes)).unwrap_or_default();
            if value.is_object() {
                assert_eq!(value["refresh_token"].as_str(), Some(grant.refresh_token.reveal()));
                assert_eq!(value["access_token"].as_str(), Some(grant.access_token.reveal()));
            }
            assert!(!grant.refresh_token.reveal().trim().is_empty());
            assert!(!grant.access_token.reveal().is_empty() && grant.access_token.reveal().bytes().all(|byte| byte.is_ascii_graphic()));
            assert!((1..=86_400).contains(&grant.expires_in.as_secs()));
        }
        Reply::OddGrant { refresh_token, .. } => {
            assert!(!refresh_token.reveal().trim().is_empty() && refresh_token.reveal() != SENT);
        }
        Reply::NotSent(_) => panic!("an answer came, so it was sent"),
        Reply::TooEarly | Reply::Refused(_) | Reply::Misconfigured(_) => assert!(whole && status.is_client_error()),
        Reply::Throttled { retry_after } => {
            assert!(whole && status.is_client_error() && retry_after.is_none_or(|after| !after.is_negative()));
            // However long it is, the ledger can reckon with it.
            let (id, now) = (AttemptId("made-up".to_owned()), Timestamp::UNIX_EPOCH);
            let mut ledger = Ledger::begin(LockId("made-up".to_owned()), "made-up");
            ledger.announce(id.clone(), Fingerprint([1; 16]), now);
            ledger.record(&id, Outcome { what: FailureKind::Throttled, retry_after: *retry_after, settings: Fingerprint([2; 16]) }, now);
        }
        Reply::Unclear(_) => {}
    }
    // What Exact sent and we received is never dropped.
    if let Some(token) = message.new_refresh_token() {
        let kept = match reply {
            Reply::Granted(grant) => grant.refresh_token.reveal().to_owned(),
            Reply::OddGrant { refresh_token, .. } => refresh_token.reveal().to_owned(),
            other => panic!("a refresh token came, and this was made of it: {other:?}"),
        };
        // Of two in one body either is kept, the last where it is a new one.
        let twice = body.bytes.windows(13).filter(|window| *window == b"refresh_token").count() > 1;
        assert!(twice || kept == token);
    }
}

#[test]
fn current_me() {
    let words = ["UserID", "UserName", "FullName", "DivisionCustomerName", "CurrentDivision", "results", "\"d\"", "__metadata"];
    Target::new("current-me").words(&words).run(|input| {
        let person = super::super::me::read(input);
        if let Some(person) = &person {
            assert!(!person.id.is_empty() && person.id.len() <= 200 && person.id == person.id.trim());
            for text in [&person.name, &person.login, &person.company] {
                assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control));
            }
        }
        // Names and numbers of a person are shown to people; nothing else of the body may come out.
        format!("{:?}", person.and_then(|_| super::super::me::read(&without_names(input))))
    });
}

/// The same reply, of somebody who has an id and no names.
fn without_names(body: &[u8]) -> Vec<u8> {
    let mut reply: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(me) = reply.pointer_mut("/d/results/0").and_then(Value::as_object_mut) {
        for name in ["UserName", "FullName", "DivisionCustomerName"] {
            me.remove(name);
        }
        me.insert("UserID".to_owned(), "made-up".into());
    }
    reply.to_string().into_bytes()
}
