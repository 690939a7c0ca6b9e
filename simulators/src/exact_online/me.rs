//! `GET /api/v1/current/Me`: whose token is it? The one resource of the data API without a company in its path.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::bodies;
use super::config::{DeadToken, User};
use super::form;
use super::log::{AskedMe, Violation};
use super::reply::{Delivery, Reply};
use super::rules::Rules;

/// A request for `Me`, as plain data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MeRequest {
    /// What stands behind `?` in the URL, undecoded.
    pub query: Option<String>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `Accept` header. Without `application/json` the answer is Atom XML.
    pub accept: Option<String>,
}

impl MeRequest {
    /// The request that a correct client sends.
    #[must_use]
    pub fn bearer(access_token: &str, select: &str) -> Self {
        Self {
            query: Some(format!("$select={select}")),
            authorization: Some(format!("Bearer {access_token}")),
            accept: Some("application/json".to_owned()),
        }
    }

    /// The properties asked for; none means all.
    fn selected(&self) -> Vec<String> {
        let pairs = form::parse(self.query.as_deref().unwrap_or_default().as_bytes()).unwrap_or_default();
        let select = pairs.into_iter().find(|(name, _)| name == "$select").map(|(_, value)| value).unwrap_or_default();
        select.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect()
    }
}

/// Says nothing of the values: one of them is a token.
impl fmt::Debug for MeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeRequest").finish_non_exhaustive()
    }
}

/// What happens to requests for `Me`, if it is not the right thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeFault {
    /// The page of a failed back end.
    Status500,
    /// 403 with a reason (picqer/exact-php-client#451): the token is good, its user may not.
    Forbidden,
    /// No byte ever comes, the connection stays open.
    Silent,
}

impl Rules {
    /// One request for `Me`.
    pub fn me(&mut self, now: Timestamp, request: &MeRequest) -> Reply {
        let (user, reply) = self.answer_me(now, request);
        let reply = match self.me_fault {
            None => reply,
            Some(MeFault::Status500) => bodies::HTML_500.reply(),
            Some(MeFault::Forbidden) => Reply::new(403, &[("Reason", "NoDivisionAccess")], ""),
            Some(MeFault::Silent) => reply.delivered(Delivery::Never),
        };
        self.asked_me.push(AskedMe { at: now, user, status: reply.status, delivery: reply.delivery });
        reply
    }

    /// The `id` of the user whose token it is, and the reply.
    fn answer_me(&mut self, now: Timestamp, request: &MeRequest) -> (Option<String>, Reply) {
        let bearer = request.authorization.as_deref().and_then(|it| {
            let (scheme, token) = it.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
        if bearer.is_none() {
            self.violations.push((now, Violation::NoBearer));
        }
        let Some(chain) = bearer.and_then(|token| self.access_tokens.alive(token, now)) else {
            return (None, unauthorized(self.config.dead_token));
        };
        let user = &self.config.users[self.chains[chain].user];
        let id = Some(user.id.clone());
        if !request.accept.as_deref().unwrap_or_default().contains("application/json") {
            let reply = atom(user);
            self.violations.push((now, Violation::NotAskedForJson));
            return (id, reply);
        }
        let all = properties(user);
        let selected = request.selected();
        if selected.iter().any(|name| !all.contains_key(name)) {
            self.violations.push((now, Violation::UnknownProperty));
            return (id, json_reply(400, &json!({"error": {"code": "", "message": {"lang": "", "value": "Invalid select"}}})));
        }
        let mut result = Map::new();
        result.insert(
            "__metadata".to_owned(),
            json!({
                "uri": format!("https://start.exactonline.nl/api/v1/current/Me(guid'{}')", user.id),
                "type": "Exact.Web.Api.System.Me",
            }),
        );
        result.extend(all.into_iter().filter(|(name, _)| selected.is_empty() || selected.contains(name)));
        (id, json_reply(200, &json!({"d": {"results": [result]}})))
    }

    /// A request for a path that does not exist: recorded, and 404.
    pub fn unknown_path(&mut self, now: Timestamp) -> Reply {
        self.violations.push((now, Violation::UnknownPath));
        Reply::new(404, &[("Content-Type", "text/html; charset=utf-8")], "<html><body>404</body></html>")
    }
}

fn properties(user: &User) -> Map<String, Value> {
    let mut all = Map::new();
    all.insert("CurrentDivision".to_owned(), json!(user.division));
    all.insert("DivisionCustomer".to_owned(), json!(user.customer));
    // Codes of accounts are 18 characters long, filled up with blanks in front.
    all.insert("DivisionCustomerCode".to_owned(), json!(format!("{:>18}", user.customer_code)));
    all.insert("DivisionCustomerName".to_owned(), json!(user.company));
    all.insert("FullName".to_owned(), json!(user.full_name));
    all.insert("UserID".to_owned(), json!(user.id));
    all.insert("UserName".to_owned(), json!(user.user_name));
    all
}

fn json_reply(status: u16, body: &Value) -> Reply {
    Reply::new(status, &[("Content-Type", "application/json; charset=utf-8")], body.to_string())
}

/// What a client gets that does not ask for JSON; only as much of it as shows that it is not JSON.
fn atom(user: &User) -> Reply {
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><feed xmlns=\"http://www.w3.org/2005/Atom\"><title>{}</title></feed>", user.id);
    Reply::new(200, &[("Content-Type", "application/atom+xml;type=feed;charset=utf-8")], body)
}

fn unauthorized(form: DeadToken) -> Reply {
    match form {
        DeadToken::Empty => Reply::new(401, &[], ""),
        DeadToken::Html => Reply::new(
            401,
            &[("Content-Type", "text/html; charset=utf-8")],
            "<html><head><title>Object moved</title></head><body>\r\n<h2>Object moved to <a href=\"/docs/Login.aspx?ReturnUrl=%2fapi%2fv1%2fcurrent%2fMe\">here</a>.</h2>\r\n</body></html>\r\n",
        ),
    }
}
