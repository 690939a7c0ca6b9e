//! What the endpoint makes of a request. No sockets, no clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::exact_online::{Delivery, MARKER, Reply};

/// The only version of the protocol that App Service speaks.
pub const API_VERSION: &str = "2019-08-01";

/// Whom tokens for blobs are for.
pub const STORAGE: &str = "https://storage.azure.com";

/// What the header has to hold.
const HEADER: &str = "SIMULATED-identity-header";

/// A request, as plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Only `GET` is right.
    pub method: String,
    /// Decoded.
    pub query: Vec<(String, String)>,
    /// `X-IDENTITY-HEADER`.
    pub header: Option<String>,
}

impl Request {
    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// One request and what came of it. No token in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When.
    pub at: Timestamp,
    /// Whom the token is for.
    pub resource: Option<String>,
    /// Which user-assigned identity was asked for.
    pub client_id: Option<String>,
    /// The status code of the reply.
    pub status: u16,
}

/// What a correct client never sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Another method than `GET`.
    NotGet,
    /// Another `api-version`.
    ApiVersion,
    /// The header is absent or wrong.
    Header,
    /// No `resource`, or one with `/.default`.
    Resource,
}

/// A failure on command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, without a token.
    Status(u16, Option<u32>),
    /// This becomes of the reply.
    Lost(Delivery),
}

/// The endpoint and the tokens that it gave out.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long tokens live.
    pub lifetime: Duration,
    /// User-assigned identities. The system-assigned one is always there.
    pub user_assigned: Vec<String>,
    /// Hands the same token out until it has expired, even if it was revoked, as the platform's own cache does.
    pub keeps_revoked: bool,
    tokens: BTreeMap<String, Token>,
    script: VecDeque<Fault>,
    standing: Option<Fault>,
    log: Vec<Logged>,
    violations: Vec<Violation>,
}

#[derive(Clone, Debug)]
struct Token {
    resource: String,
    expires: Timestamp,
    revoked: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_hours(24),
            user_assigned: Vec::new(),
            keeps_revoked: false,
            tokens: BTreeMap::new(),
            script: VecDeque::new(),
            standing: None,
            log: Vec::new(),
            violations: Vec::new(),
        }
    }
}

impl Rules {
    /// With other switches than usual.
    #[must_use]
    pub fn with(set: impl FnOnce(&mut Self)) -> Self {
        let mut rules = Self::default();
        set(&mut rules);
        rules
    }

    /// The value for `IDENTITY_HEADER`.
    #[must_use]
    pub fn header() -> &'static str {
        HEADER
    }

    /// Fails the next request that no earlier fault is for.
    pub fn script(&mut self, fault: Fault) {
        self.script.push_back(fault);
    }

    /// Fails every request that no scripted fault is for.
    pub fn always(&mut self, fault: Option<Fault>) {
        self.standing = fault;
    }

    /// Every token that is out is worth nothing from now on.
    pub fn revoke_all(&mut self) {
        self.tokens.values_mut().for_each(|token| token.revoked = true);
    }

    /// Gives a token out without being asked. One for storage is a JSON Web Token, because Azurite looks into it.
    pub fn issue(&mut self, now: Timestamp, resource: &str) -> String {
        let mark = format!("{MARKER}-identity-token-{}", self.tokens.len() + 1);
        let value = if resource == STORAGE { signed(&mark, resource, now, now + self.lifetime) } else { mark };
        self.tokens.insert(value.clone(), Token { resource: resource.to_owned(), expires: now + self.lifetime, revoked: false });
        value
    }

    /// Whether a bearer token opens a resource.
    #[must_use]
    pub fn opens(&self, token: &str, resource: &str, now: Timestamp) -> bool {
        self.tokens.get(token).is_some_and(|token| token.resource == resource && now < token.expires && !token.revoked)
    }

    /// Every request so far.
    #[must_use]
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// What was wrong with them.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// One request.
    pub fn token(&mut self, now: Timestamp, request: &Request) -> Reply {
        let fault = self.script.pop_front().or_else(|| self.standing.clone());
        let reply = match fault {
            Some(Fault::Status(status, retry_after)) => {
                let retry_after = retry_after.map(|it| it.to_string()).unwrap_or_default();
                let headers: &[_] = if retry_after.is_empty() { &[] } else { &[("Retry-After", retry_after.as_str())] };
                Reply::new(status, headers, error("simulated failure"))
            }
            Some(Fault::Lost(delivery)) => self.judge(now, request).delivered(delivery),
            None => self.judge(now, request),
        };
        let text = |name| request.value(name).map(str::to_owned);
        self.log.push(Logged { at: now, resource: text("resource"), client_id: text("client_id"), status: reply.status });
        reply
    }

    fn judge(&mut self, now: Timestamp, request: &Request) -> Reply {
        let mut wrong = Vec::new();
        let resource = request.value("resource").unwrap_or_default();
        if request.method != "GET" {
            wrong.push(Violation::NotGet);
        }
        if request.value("api-version") != Some(API_VERSION) {
            wrong.push(Violation::ApiVersion);
        }
        if request.header.as_deref() != Some(HEADER) {
            wrong.push(Violation::Header);
        }
        if resource.is_empty() || resource.ends_with(".default") {
            wrong.push(Violation::Resource);
        }
        if !wrong.is_empty() {
            self.violations.extend(&wrong);
            let status = if wrong.contains(&Violation::Header) { 401 } else { 400 };
            return Reply::new(status, &[("Content-Type", "application/json")], error("malformed request"));
        }
        let client_id = request.value("client_id");
        if client_id.is_some_and(|id| !self.user_assigned.iter().any(|known| known.eq_ignore_ascii_case(id))) {
            return Reply::new(400, &[("Content-Type", "application/json")], error("No User Assigned or Delegated Managed Identity found"));
        }
        let mut known = self.tokens.iter().filter(|(_, token)| token.resource == resource && now < token.expires);
        let cached = known.rfind(|(_, token)| !token.revoked || self.keeps_revoked).map(|(value, token)| (value.clone(), token.expires));
        let (value, expires) = cached.unwrap_or_else(|| (self.issue(now, resource), now + self.lifetime));
        let body = serde_json::json!({
            "access_token": value,
            "expires_on": expires.as_second().to_string(),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": client_id.unwrap_or("00000000-0000-4000-8000-000000000001"),
        });
        Reply::new(200, &[("Content-Type", "application/json")], body.to_string())
    }
}

/// A token with issuer, audience and times as Entra ID writes them, and the mark in place of a signature.
fn signed(mark: &str, audience: &str, from: Timestamp, until: Timestamp) -> String {
    // In the order of the alphabet: `serde_json` keeps the order or sorts, whichever feature another crate has switched on.
    let header = serde_json::json!({ "alg": "RS256", "typ": "JWT" });
    let claims = serde_json::json!({
        "aud": audience,
        "exp": until.as_second(),
        // Clocks differ a little, so it is good from a while ago.
        "iat": from.as_second() - 300,
        "iss": "https://sts.windows.net/00000000-0000-4000-8000-00000000c0de/",
        "nbf": from.as_second() - 300,
    });
    format!("{}.{}.{mark}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()))
}

/// RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|at| char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63])));
    }
    text
}

fn error(message: &str) -> String {
    serde_json::json!({ "statusCode": 400, "message": message, "correlationId": "00000000-0000-4000-8000-00000000c0de" }).to_string()
}
