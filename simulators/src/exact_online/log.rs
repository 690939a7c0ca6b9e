//! What was asked and what came of it, for a test to assert on and for a screen to show. No tokens in it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::credentials::Fingerprint;
use super::reply::Delivery;

/// One request to the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When it arrived, by the simulator's clock.
    pub at: Timestamp,
    /// What it asked for.
    pub kind: Kind,
    /// Of the token or the code in it.
    pub presented: Option<Fingerprint>,
    /// What the rules made of it.
    pub outcome: Outcome,
    /// Whether a new pair was made, so that the presented token is spent. It need not have arrived.
    pub committed: bool,
    /// Of the refresh token that was made, or kept, for it.
    pub issued: Option<Fingerprint>,
    /// Whether a complete grant, with both tokens, went out whole, be it late.
    pub granted: bool,
    /// The status code of the reply, even if it never arrives.
    pub status: u16,
    /// What became of the reply.
    pub delivery: Delivery,
    /// The fault that was scripted for it, in words.
    pub fault: Option<String>,
}

/// One request to the authorize endpoint: a page of it, or the way back to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// When it arrived, by the simulator's clock.
    pub at: Timestamp,
    /// What came of it.
    pub visited: Visited,
    /// `id` of the user, once one is chosen.
    pub user: Option<String>,
    /// Where the browser is to go afterwards, if that is acceptable at all.
    pub redirect_uri: Option<String>,
    /// Of the `state` in it, which is a secret.
    pub state: Option<Fingerprint>,
}

/// What came of a request to the authorize endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visited {
    /// A page that asks who it is, or for the second factor.
    LoginShown,
    /// A page that asks for the permission.
    ConsentShown,
    /// Back to the app with a code.
    Allowed,
    /// Back to the app with `access_denied`.
    Denied,
    /// Back to where was asked, with `unauthorized_client`: it is not registered.
    WrongRedirectUri,
    /// Back to the app with `unsupported_response_type`.
    UnknownResponseType,
    /// A page: neither https nor this machine.
    UnacceptableRedirectUri,
    /// A page: no such app here.
    UnknownClient,
}

/// One request for `current/Me`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedMe {
    /// When it arrived, by the simulator's clock.
    pub at: Timestamp,
    /// `id` of the user whose living token was sent.
    pub user: Option<String>,
    /// The status code of the reply, even if it never arrives.
    pub status: u16,
    /// What became of the reply.
    pub delivery: Delivery,
}

/// What a token request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `grant_type=refresh_token`.
    Refresh,
    /// `grant_type=authorization_code`.
    Code,
    /// Anything else.
    Other,
}

/// What the rules make of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new pair.
    Granted,
    /// A new pair, for the previous refresh token; the pair in between is superseded.
    GrantedByGrace,
    /// The access token is too young.
    TooEarly,
    /// The refresh token was rotated away.
    OldToken,
    /// The chain was superseded or revoked, or a newer authorization exists.
    ChainId,
    /// The refresh token is too old.
    Expired,
    /// The token or code is not one of ours, not this app's, or not whole.
    SignedData,
    /// The form is wrong, or the code is used, expired or for another redirect URI.
    InvalidRequest,
    /// The client id or the secret is wrong.
    InvalidClient,
    /// The client authenticated in a header.
    InvalidClientInHeader,
    /// A fault kept the request from being judged.
    NotJudged,
}

/// What a correct client never sends. Names of unknown fields are left out: they might be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The token endpoint was called with another method.
    NotPost,
    /// The token endpoint was called with a query string, which ends up in logs.
    QueryString,
    /// The client authenticated in a header.
    AuthorizationHeader,
    /// The form was sent as another media type.
    ContentType,
    /// The form has a broken escape or is not UTF-8.
    UnreadableForm,
    /// Another grant type than the two.
    UnknownGrantType,
    /// This field, or parameter of the authorize endpoint, is absent or empty.
    MissingField(&'static str),
    /// This field stands in the form twice.
    DuplicateField(&'static str),
    /// A field stands in the form that the grant type does not know.
    UnknownField,
    /// A parameter stands in the URL of the authorize endpoint that it does not know.
    UnknownParameter,
    /// A line break or the like in this field: a value that was pasted and not trimmed.
    ControlCharacter(&'static str),
    /// A path that a correct client never asks for: it has followed a redirect, or built a URL wrongly.
    UnknownPath,
    /// A data API call that does not ask for JSON and so gets Atom XML.
    NotAskedForJson,
    /// A data API call without a bearer token.
    NoBearer,
    /// A data API call that selects a property which does not exist.
    UnknownProperty,
}

/// The most requests without a grant in any hour: in any interval (t − 1 h, t].
#[must_use]
pub fn max_ungranted_in_an_hour(log: &[Logged]) -> usize {
    let mut times: Vec<Timestamp> = log.iter().filter(|it| !it.granted).map(|it| it.at).collect();
    times.sort_unstable();
    let hour = Duration::from_hours(1);
    let mut first = 0;
    let mut most = 0;
    for (last, &at) in times.iter().enumerate() {
        while times[first].duration_until(at).unsigned_abs() >= hour {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

/// The most requests of any UTC day.
#[must_use]
pub fn max_requests_in_a_day(log: &[Logged]) -> usize {
    let mut days = BTreeMap::<i64, usize>::new();
    for logged in log {
        *days.entry(logged.at.as_second().div_euclid(86_400)).or_default() += 1;
    }
    days.into_values().max().unwrap_or(0)
}
