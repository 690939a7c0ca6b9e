//! Signing with an account key, by Microsoft's page "Authorize with Shared Key" (Blob service, version 2015-02-21 and later).
//!
//! Whoever can, gives the app's identity a role instead: an account key opens everything in the account.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::base64;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use crate::token::Secret;

/// Headers that are signed by their place, in this order. `Date` stays empty: `x-ms-date` takes its place.
const PLACES: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// A storage account's name and one of its keys.
#[derive(Clone)]
pub struct AccountKey {
    account: String,
    mac: Hmac<Sha256>,
}

impl AccountKey {
    /// None if the key is not what Azure gives out: base64 of at least 16 bytes.
    #[must_use]
    pub fn new(account: &str, key: &Secret) -> Option<Self> {
        let bytes = base64::decode(key.reveal()).ok().filter(|bytes| bytes.len() >= 16)?;
        let mac = Hmac::new_from_slice(&bytes).ok()?;
        Some(Self { account: account.to_owned(), mac })
    }

    /// The name.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    fn sign(&self, text: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        base64::encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKey").finish_non_exhaustive()
    }
}

/// Signs each try of a request, for `ClientOptions::per_try_policies`: a date that is 15 minutes old is refused.
pub struct SharedKey {
    key: AccountKey,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl SharedKey {
    /// `now` should be storage time: a machine whose clock is far off is refused once and then knows better.
    pub fn new(key: AccountKey, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { key, now: Box::new(now) }
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKey").finish_non_exhaustive()
    }
}

#[async_trait]
impl Policy for SharedKey {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let now = (self.now)();
        if let Ok(date) = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
            request.insert_header("x-ms-date", date);
        }
        let signature = self.key.sign(&string_to_sign(request, &self.key.account));
        request.insert_header("authorization", format!("SharedKey {}:{signature}", self.key.account));
        next[0].send(ctx, request, &next[1..]).await
    }
}

fn string_to_sign(request: &Request, account: &str) -> String {
    let mut placed: BTreeMap<&str, String> = BTreeMap::new();
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers().iter() {
        let (name, value) = (name.as_str().to_ascii_lowercase(), value.as_str().trim().to_owned());
        if let Some(place) = PLACES.iter().find(|place| **place == name) {
            placed.insert(place, value);
        } else if name.starts_with("x-ms-") {
            named.insert(name, value);
        }
    }
    // The transport adds it after this where it is not set.
    if let Some(length) = request.body().len() {
        placed.insert("content-length", length.to_string());
    }
    placed.remove("date");
    if placed.get("content-length").is_some_and(|length| length == "0") {
        placed.remove("content-length");
    }

    let mut text = format!("{}\n", request.method().as_ref());
    for place in PLACES {
        text.push_str(placed.get(place).map_or("", String::as_str));
        text.push('\n');
    }
    for (name, value) in named {
        text.extend([&name, ":", &value, "\n"]);
    }
    text.extend(["/", account, request.url().path()]);
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in request.url().query_pairs() {
        query.entry(name.to_lowercase()).or_default().push(value.into_owned());
    }
    for (name, mut values) in query {
        values.sort();
        text.extend(["\n", &name, ":", &values.join(",")]);
    }
    text
}

#[cfg(test)]
mod tests {
    use azure_core::http::{Method, Url};

    use super::*;

    fn request(method: Method, url: &str, headers: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::new(Url::parse(url).unwrap(), method);
        for (name, value) in headers {
            request.insert_header(*name, *value);
        }
        request
    }

    /// The page's own example of the text for one request.
    #[test]
    fn the_text_is_that_of_microsofts_example() {
        let request = request(
            Method::Get,
            "http://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20",
            &[("x-ms-version", "2015-02-21"), ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"), ("accept", "application/xml")],
        );
        let expected = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
                        /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
        assert_eq!(string_to_sign(&request, "myaccount"), expected);
    }

    /// The same page: repeated and escaped parameters, an emulator's path, a body, conditions.
    #[test]
    fn the_text_has_everything_in_its_place() {
        let mut with_body = request(
            Method::Put,
            "http://127.0.0.1:10000/devstoreaccount1/c/a%20b?B=2&b=1&a=x%3Dy",
            &[("if-match", "\"0x1\""), ("date", "ignored"), ("content-type", "text/plain"), ("x-ms-meta-m", "  v "), ("content-length", "3")],
        );
        with_body.set_body("abc");
        let expected = "PUT\n\n\n3\n\ntext/plain\n\n\n\"0x1\"\n\n\n\nx-ms-meta-m:v\n/devstoreaccount1/devstoreaccount1/c/a%20b\na:x=y\nb:1,2";
        assert_eq!(string_to_sign(&with_body, "devstoreaccount1"), expected);
        let empty = request(Method::Put, "http://127.0.0.1/c", &[("content-length", "0")]);
        assert_eq!(string_to_sign(&empty, "a"), "PUT\n\n\n\n\n\n\n\n\n\n\n\n/a/c");
    }

    /// Test case 2 of RFC 4231 has a key that is too short for an account; case 6 has 131 bytes.
    #[test]
    fn the_signature_is_hmac_sha256() {
        let key = AccountKey::new("a", &Secret::new(base64::encode([0xaa; 131]))).unwrap();
        let expected = [
            0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26, 0xaa, 0xcb, 0xf5, 0xb7, 0x7f, 0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5,
            0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54,
        ];
        assert_eq!(key.sign("Test Using Larger Than Block-Size Key - Hash Key First"), base64::encode(expected));
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_no_key_is_shown() {
        for key in ["", "made up", "c2hvcnQ=", "not base64 at all!!!!!!!!!!!!!!!!!!!"] {
            assert!(AccountKey::new("a", &Secret::new(key)).is_none(), "{key}");
        }
        let key = AccountKey::new("a", &Secret::new(base64::encode("made-up-canary-account-key"))).unwrap();
        let policy = SharedKey::new(key.clone(), || Timestamp::UNIX_EPOCH);
        assert_eq!(format!("{key:?} {policy:?}"), "AccountKey { .. } SharedKey { .. }");
    }
}
