//! `GET` and `POST /api/oauth2/auth`: what a person sees between the app's button and the app's redirect URI.
//!
//! A choice of user, six digits of an authenticator, then *Allow* or *Deny*. Each step is a form that is sent to the URL of the page itself, so
//! that nothing is remembered between them but what the browser holds: the back button and several tabs work as they do on any plain page.

mod pages;

use std::fmt;

use jiff::Timestamp;
use reqwest::Url;

use super::config::Config;
use super::credentials::Fingerprint;
use super::form;
use super::log::{Violation, Visit, Visited};
use super::reply::Reply;
use super::request::is_client_id;
use super::rules::Rules;

/// Holds the id of the user who is logged in. Its path keeps it away from an app on the same host.
const LOGIN_COOKIE: &str = "SimulatedExactLogin";

/// A request to the authorize endpoint, as plain data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthRequest {
    /// What stands behind `?` in the URL, undecoded.
    pub query: Option<String>,
    /// The `Cookie` header.
    pub cookie: Option<String>,
    /// The form of a `POST`, still encoded; `None` for a `GET`.
    pub form: Option<Vec<u8>>,
}

/// Says nothing of the values: `state` is a secret.
impl fmt::Debug for AuthRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest").field("form", &self.form.is_some()).finish_non_exhaustive()
    }
}

/// The parameters of the URL, the same on every step.
struct Wanted {
    redirect_uri: String,
    state: Option<String>,
    force_login: bool,
}

/// Where a person is.
enum Step {
    Choose,
    Digits { user: usize, wrong: bool },
    Consent { user: usize },
    Allow { user: usize },
    Deny { user: usize },
}

impl Rules {
    /// One request to the authorize endpoint.
    pub fn auth(&mut self, now: Timestamp, request: &AuthRequest) -> Reply {
        let parameters = form::parse(request.query.as_deref().unwrap_or_default().as_bytes()).unwrap_or_default();
        if request.form.is_none() {
            let odd = odd_parameters(&parameters);
            self.violations.extend(odd.into_iter().map(|it| (now, it)));
        }
        let parameter = |name: &str| parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone()).filter(|it| !it.is_empty());
        let state = parameter("state");
        let mut visit =
            Visit { at: now, visited: Visited::UnknownClient, user: None, redirect_uri: None, state: state.as_deref().map(Fingerprint::of) };

        let client = parameter("client_id").unwrap_or_default();
        let reply = if !is_client_id(&self.config, &client) {
            pages::unknown_client(&client)
        } else if let Some(redirect_uri) = parameter("redirect_uri").filter(|it| is_acceptable(it)) {
            visit.redirect_uri = Some(redirect_uri.clone());
            let wanted = Wanted { redirect_uri, state, force_login: parameter("force_login").as_deref() == Some("1") };
            if !is_registered(&self.config, &wanted.redirect_uri) {
                visit.visited = Visited::WrongRedirectUri;
                back_with_error(&wanted, "unauthorized_client")
            } else if parameter("response_type").as_deref() != Some("code") {
                visit.visited = Visited::UnknownResponseType;
                back_with_error(&wanted, "unsupported_response_type")
            } else {
                self.walk(now, request, &wanted, &mut visit)
            }
        } else {
            visit.visited = Visited::UnacceptableRedirectUri;
            pages::unacceptable_redirect_uri()
        };
        self.visits.push(visit);
        reply
    }

    fn walk(&mut self, now: Timestamp, request: &AuthRequest, wanted: &Wanted, visit: &mut Visit) -> Reply {
        let step = step(request, wanted, &self.config);
        let person = |user: usize| &self.config.users[user];
        let (visited, user, reply) = match step {
            Step::Choose => (Visited::LoginShown, None, pages::choose(&self.config.users)),
            Step::Digits { user, wrong } => (Visited::LoginShown, Some(user), pages::digits(person(user), wrong)),
            Step::Consent { user } => {
                let cookie = format!("{LOGIN_COOKIE}={}; Path=/api/oauth2; HttpOnly; SameSite=Lax", person(user).id);
                let mut reply = pages::consent(person(user));
                reply.headers.push(("Set-Cookie".to_owned(), cookie));
                (Visited::ConsentShown, Some(user), reply)
            }
            Step::Deny { user } => (Visited::Denied, Some(user), back_with_error(wanted, "access_denied")),
            Step::Allow { user } => {
                let id = person(user).id.clone();
                let code = self.authorize(now, &id, &wanted.redirect_uri);
                (Visited::Allowed, Some(user), back(&Self::redirect_url(&wanted.redirect_uri, &code, wanted.state.as_deref())))
            }
        };
        visit.visited = visited;
        visit.user = user.map(|it| self.config.users[it].id.clone());
        reply
    }
}

/// What the form, or without one the cookie, says of the place where the person is.
fn step(request: &AuthRequest, wanted: &Wanted, config: &Config) -> Step {
    let find = |id: &str| config.users.iter().position(|it| it.id == id);
    let Some(form) = &request.form else {
        return match logged_in(request).and_then(find) {
            Some(user) if !wanted.force_login => Step::Consent { user },
            _ => Step::Choose,
        };
    };
    let fields = form::parse(form).unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
    let Some(user) = field("user").and_then(find) else {
        return Step::Choose;
    };
    match (field("decision"), field("digits").map(str::trim)) {
        (Some("allow"), _) => Step::Allow { user },
        (Some(_), _) => Step::Deny { user },
        (None, Some(digits)) if digits.len() == 6 && digits.bytes().all(|it| it.is_ascii_digit()) => Step::Consent { user },
        (None, digits) => Step::Digits { user, wrong: digits.is_some() },
    }
}

fn logged_in(request: &AuthRequest) -> Option<&str> {
    let mut cookies = request.cookie.as_deref()?.split(';').filter_map(|it| it.trim().split_once('='));
    cookies.find(|(name, _)| *name == LOGIN_COOKIE).map(|(_, value)| value)
}

/// Https, or http on this machine: an app that is being tried out.
fn is_acceptable(redirect_uri: &str) -> bool {
    let Ok(url) = Url::parse(redirect_uri) else {
        return false;
    };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

fn is_registered(config: &Config, redirect_uri: &str) -> bool {
    config.redirect_uris.is_empty() || config.redirect_uris.iter().any(|it| it == redirect_uri)
}

fn odd_parameters(parameters: &[(String, String)]) -> Vec<Violation> {
    const KNOWN: [&str; 5] = ["client_id", "redirect_uri", "response_type", "state", "force_login"];
    let has = |name: &str| parameters.iter().any(|(it, value)| it == name && !value.is_empty());
    let missing = ["client_id", "redirect_uri", "response_type", "state"].into_iter().filter(|name| !has(name)).map(Violation::MissingField);
    let unknown = parameters.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str())).map(|_| Violation::UnknownParameter);
    missing.chain(unknown).collect()
}

fn back_with_error(wanted: &Wanted, error: &str) -> Reply {
    let join = if wanted.redirect_uri.contains('?') { '&' } else { '?' };
    let state = wanted.state.as_deref().map_or_else(String::new, |it| format!("&state={}", form::encode(it)));
    back(&format!("{}{join}error={error}{state}", wanted.redirect_uri))
}

fn back(location: &str) -> Reply {
    Reply::new(303, &[("Location", location), ("Cache-Control", "no-store")], "")
}
