//! What the broker reads of a reply's body. Pure.
//!
//! A body is read field by field, so that a refresh token is found in whatever came before the body broke off or stopped being JSON: a token that
//! Exact sent and we received is not thrown away because its frame is damaged.

use std::fmt;

use jiff::SignedDuration;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::token::{Grant, Secret};

const KNOWN: [&str; 6] = ["access_token", "refresh_token", "token_type", "expires_in", "error", "error_description"];

/// The known fields of a body. Fields of the same name further inside do not count.
#[derive(Default)]
pub(super) struct Fields {
    /// Every refresh token in the body that is not blank.
    refresh_tokens: Vec<Secret>,
    access_token: Option<Secret>,
    token_type: Option<Value>,
    expires_in: Option<Value>,
    error: Option<String>,
    error_description: Option<String>,
    seen: [bool; KNOWN.len()],
    /// Some known field came twice.
    repeated: bool,
    /// The body is one JSON object and nothing else, with no known field twice.
    whole: bool,
}

impl Fields {
    /// Never fails: a body that is no JSON object has no fields.
    pub(super) fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let mut fields = Self::default();
        let mut json = serde_json::Deserializer::from_str(text.trim_start_matches(is_padding));
        let read = json.deserialize_map(&mut fields).and_then(|()| json.end());
        fields.whole = read.is_ok() && !fields.repeated;
        fields
    }

    /// The refresh token that replaces `sent`, if there is one: the last, should there be several.
    pub(super) fn new_refresh_token(&mut self, sent: &Secret) -> Option<Secret> {
        self.refresh_tokens.retain(|token| token.reveal() != sent.reveal());
        self.refresh_tokens.pop()
    }

    /// Both tokens with a believable lifetime and the right type, if the body is whole.
    pub(super) fn grant(&self) -> Option<Grant> {
        let [refresh_token] = self.refresh_tokens.as_slice() else { return None };
        let bearer = match &self.token_type {
            None | Some(Value::Null) => true,
            Some(other) => other.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")),
        };
        // Callers put it into a header, where a line end would begin another.
        let access_token = self.access_token.as_ref().filter(|token| token.reveal().bytes().all(|byte| byte.is_ascii_graphic()))?;
        if !self.whole || !bearer {
            return None;
        }
        Some(Grant { access_token: access_token.clone(), refresh_token: refresh_token.clone(), expires_in: seconds(self.expires_in.as_ref()?)? })
    }

    /// The error code, if the body is whole.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref().filter(|_| self.whole)
    }

    /// What the body says in words, if it is whole. Some replies have the words where the code belongs.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        [&self.error_description, &self.error].into_iter().flatten().map(String::as_str).filter(|_| self.whole)
    }
}

/// `expires_in` is a string of digits at Exact (`ossobv/exactonline`, `rawapi.py`) and a number by RFC 6749. More than a day is not believed.
fn seconds(expires_in: &Value) -> Option<SignedDuration> {
    let seconds = match expires_in {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
        Value::Number(number) => number.as_i64()?,
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (1..=86_400).contains(&seconds).then(|| SignedDuration::from_secs(seconds))
}

/// A token, unless it is blank or was mangled by bytes that are not UTF-8.
fn token(text: String) -> Option<Secret> {
    (!text.trim().is_empty() && !text.contains(char::REPLACEMENT_CHARACTER)).then(|| Secret::new(text))
}

fn is_padding(character: char) -> bool {
    character == '\u{feff}' || character.is_whitespace()
}

impl<'de> Visitor<'de> for &mut Fields {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    /// What was read before an error stays read.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let Some(known) = KNOWN.iter().position(|name| *name == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<Value>()?;
            self.repeated |= std::mem::replace(&mut self.seen[known], true);
            match (key.as_str(), value) {
                ("refresh_token", Value::String(text)) => self.refresh_tokens.extend(token(text)),
                ("access_token", Value::String(text)) => self.access_token = token(text),
                ("token_type", value) => self.token_type = Some(value),
                ("expires_in", value) => self.expires_in = Some(value),
                ("error", Value::String(text)) => self.error = Some(text),
                ("error_description", Value::String(text)) => self.error_description = Some(text),
                (_, _) => {}
            }
        }
        Ok(())
    }
}
