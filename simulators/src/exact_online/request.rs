//! A token request as it arrives, and what is wrong with its form.

use std::fmt;

use super::config::Config;
use super::form;
use super::log::{Kind, Outcome, Violation};

/// A request to the token endpoint, as plain data.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The method; only `POST` is right.
    pub method: String,
    /// What stands behind `?` in the URL, undecoded; nothing should.
    pub query: Option<String>,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The form, still encoded.
    pub body: Vec<u8>,
}

impl TokenRequest {
    /// A right `POST` of an encoded form.
    #[must_use]
    pub fn post(body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST".to_owned(),
            query: None,
            headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
            body: body.into(),
        }
    }

    /// A right `POST` of these fields.
    #[must_use]
    pub fn form<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> Self {
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", form::encode(name.as_ref()), form::encode(value.as_ref()))).collect();
        Self::post(pairs.join("&"))
    }

    /// The refresh that a correct client of this app sends.
    #[must_use]
    pub fn refresh(config: &Config, refresh_token: &str) -> Self {
        Self::form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", &config.client_id),
            ("client_secret", &config.client_secret),
        ])
    }

    /// The code exchange that a correct client of this app sends.
    #[must_use]
    pub fn code(config: &Config, code: &str, redirect_uri: &str) -> Self {
        Self::form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("client_id", &config.client_id),
            ("client_secret", &config.client_secret),
        ])
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Says nothing of the values: they are secrets.
impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("method", &self.method).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What a request asks for.
pub(super) enum Ask {
    Refresh { token: String },
    Exchange { code: String, redirect_uri: String },
}

/// A request, read.
pub(super) struct Reading {
    pub(super) kind: Kind,
    /// The token or the code that was presented, whatever else is wrong.
    pub(super) presented: Option<String>,
    pub(super) violations: Vec<Violation>,
    pub(super) ask: Result<Ask, Outcome>,
}

/// Reads a request as the gateway does: its shape, then its fields, then who the client is.
pub(super) fn read(request: &TokenRequest, config: &Config) -> Reading {
    let mut violations = shape(request);
    let basic = request.header("authorization").is_some();
    let Some(fields) = form::parse(&request.body) else {
        violations.push(Violation::UnreadableForm);
        return Reading { kind: Kind::Other, presented: None, violations, ask: Err(Outcome::InvalidRequest) };
    };
    let field = |name: &str| fields.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
    let (kind, presented, wanted) = match field("grant_type").as_deref() {
        Some("refresh_token") => (Kind::Refresh, field("refresh_token"), &["refresh_token"][..]),
        Some("authorization_code") => (Kind::Code, field("code"), &["code", "redirect_uri"][..]),
        Some(_) => {
            violations.push(Violation::UnknownGrantType);
            (Kind::Other, None, &[][..])
        }
        None => (Kind::Other, None, &["grant_type"][..]),
    };
    let wanted = wanted.iter().chain(&["client_id", "client_secret"]);
    violations.extend(wanted.filter(|name| field(name).is_none_or(|value| value.is_empty())).map(|name| Violation::MissingField(name)));
    violations.extend(odd_fields(kind, &fields));

    let ask = if basic {
        Err(Outcome::InvalidClientInHeader)
    } else if !violations.is_empty() {
        Err(Outcome::InvalidRequest)
    } else if !is_client(config, field("client_id"), field("client_secret").as_deref()) {
        Err(Outcome::InvalidClient)
    } else {
        match (kind, presented.clone(), field("redirect_uri")) {
            (Kind::Refresh, Some(token), _) => Ok(Ask::Refresh { token }),
            (Kind::Code, Some(code), Some(redirect_uri)) => Ok(Ask::Exchange { code, redirect_uri }),
            (Kind::Refresh | Kind::Code | Kind::Other, _, _) => Err(Outcome::InvalidRequest),
        }
    };
    Reading { kind, presented, violations, ask }
}

fn shape(request: &TokenRequest) -> Vec<Violation> {
    let mut violations = Vec::new();
    if request.method != "POST" {
        violations.push(Violation::NotPost);
    }
    if request.query.is_some() {
        violations.push(Violation::QueryString);
    }
    if request.header("authorization").is_some() {
        violations.push(Violation::AuthorizationHeader);
    }
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        violations.push(Violation::ContentType);
    }
    violations
}

/// A `redirect_uri` in a refresh is known to be harmless, so it is let pass.
fn odd_fields(kind: Kind, fields: &[(String, String)]) -> Vec<Violation> {
    let known: &[&'static str] = match kind {
        Kind::Refresh => &["grant_type", "client_id", "client_secret", "refresh_token", "redirect_uri"],
        Kind::Code => &["grant_type", "client_id", "client_secret", "code", "redirect_uri"],
        Kind::Other => &["grant_type", "client_id", "client_secret"],
    };
    let mut violations = Vec::new();
    for (position, (name, value)) in fields.iter().enumerate() {
        match known.iter().find(|it| *it == name) {
            None => violations.push(Violation::UnknownField),
            Some(it) if fields[..position].iter().any(|(earlier, _)| earlier == name) => {
                violations.push(Violation::DuplicateField(it));
            }
            Some(it) if value.chars().any(char::is_control) => {
                violations.push(Violation::ControlCharacter(it));
            }
            Some(_) => {}
        }
    }
    violations
}

fn is_client(config: &Config, id: Option<String>, secret: Option<&str>) -> bool {
    is_client_id(config, &id.unwrap_or_default()) && secret == Some(&config.client_secret)
}

/// A GUID, in braces or not, in any letter case.
pub(super) fn is_client_id(config: &Config, id: &str) -> bool {
    let bare = id.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or(id);
    bare.eq_ignore_ascii_case(&config.client_id)
}
