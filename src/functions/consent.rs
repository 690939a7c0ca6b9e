//! What a person's browser asks for at `/api/Consent` and `/api/ConsentCallback`, and the cookie that ties a consent to it.
//!
//! The query of the callback holds the code, the state and what the pages' buttons send back; that of `/api/Consent` holds the function key and is
//! never read. Nothing of either reaches a page or a line of the log: every text made here is a constant.

use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};

use crate::consent::{Begun, Callback, Decision, Failed, Problem, Waiting};
use crate::token::{Secret, VersionId};

use super::UseCases;
use super::ask::percent_encoding_is_sound;
use super::reply::{Refused, Reply};
use super::route::Route;

/// The cookie's name. By its prefix browsers know that no other host of the domain may set it (RFC 6265bis, section 4.1.3.2).
const NAME: &str = "__Host-exact-token-broker-consent";
/// The cookie's end, longer than all that it is good for. Lax: Exact sends the browser back from another site.
const ATTRIBUTES: &str = "Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax";
/// 32 bytes in base64url.
const COOKIE_LENGTH: usize = 43;
/// A code has some 700 characters, and percent-encoding makes three of each at worst.
const MOST_QUERY: usize = 8 * 1024;

/// What a browser wants.
#[derive(Debug)]
pub(super) enum Wish {
    /// To see how things stand.
    Look,
    /// To begin.
    Begin { cookie: Option<Secret> },
    /// Exact sent it back.
    Finish(Callback),
    /// A button of a page that asks whether another user is meant.
    Decide(Waiting, Decision),
    /// The button of the page that says what went wrong.
    Again { again: Secret, cookie: Option<Secret> },
}

impl Wish {
    /// Reads it from a request to one of the two routes.
    pub(super) fn of(route: Route, head: &Parts, body: &[u8]) -> Result<Self, Refused> {
        if route == Route::ConsentCallback {
            return Query::read(head.uri.query().unwrap_or_default())?.wish(cookie(&head.headers));
        }
        if head.method != Method::POST {
            return Ok(Self::Look);
        }
        // Any page can hold a form with this address in it, if it knows the function key.
        let mut from = head.headers.get_all("sec-fetch-site").into_iter();
        // Two of them may have become one on the way. The page's own form is of the same origin; a neighbour's under a common domain is not ours.
        if from.any(|from| !from.to_str().is_ok_and(|from| from.split(',').all(|from| ["same-origin", "none"].contains(&from.trim())))) {
            return Err(Refused::CrossSite);
        }
        Ok(decision(body)?.unwrap_or_else(|| Self::Begin { cookie: cookie(&head.headers) }))
    }

    /// Does what is wanted.
    pub(super) async fn grant(self, broker: &dyn UseCases) -> Reply {
        match self {
            Self::Look => Reply::Overview(Box::new(broker.status().await)),
            Self::Begin { cookie } => begun(broker.begin_consent(cookie).await.map_err(Failed::from)),
            Self::Again { again, cookie } => begun(broker.begin_again(&again, cookie).await),
            Self::Finish(callback) => broker.finish_consent(callback).await.map_or_else(Reply::Failed, Reply::Finished),
            Self::Decide(waiting, decision) => broker.decide_consent(waiting, decision).await.map_or_else(Reply::Failed, Reply::Finished),
        }
    }
}

/// What the forms of the page Consent say besides that they were sent: which pair is meant, or is not.
fn decision(body: &[u8]) -> Result<Option<Wish>, Refused> {
    let mut found = None;
    for (name, value) in form_urlencoded::parse(body.get(..MOST_QUERY).unwrap_or(body)) {
        let decision = match &*name {
            "confirm" => Decision::Connect,
            "discard" => Decision::LeaveIt,
            _ => continue,
        };
        let wish = Wish::Decide(Waiting::Named(VersionId(value.into_owned())), decision);
        if found.replace(wish).is_some() {
            return Err(Refused::Malformed("the form was altered: it wants two things at once"));
        }
    }
    Ok(found)
}

fn begun(begun: Result<Begun, Failed>) -> Reply {
    let Begun { authorize_url, cookie } = match begun {
        Ok(begun) => begun,
        Err(failed) => return Reply::Failed(failed),
    };
    let location = HeaderValue::try_from(authorize_url.reveal());
    let cookie = HeaderValue::try_from(format!("{NAME}={}; {ATTRIBUTES}", cookie.reveal()));
    if let (Ok(mut location), Ok(mut cookie)) = (location, cookie) {
        location.set_sensitive(true);
        cookie.set_sensitive(true);
        Reply::ToExact { location, cookie }
    } else {
        let problem = Problem::Settings("the settings make an address of Exact's log-in page that no browser can be sent to".to_owned());
        Reply::Failed(problem.into())
    }
}

/// What of a callback's query is used.
#[derive(Default)]
struct Query {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    confirm: Option<String>,
    discard: Option<String>,
    again: Option<String>,
}

impl Query {
    /// Decodes each value once. What else is there is passed over, as RFC 6749 demands (section 4.1.2): Exact may add to it.
    fn read(query: &str) -> Result<Self, Refused> {
        if query.len() > MOST_QUERY {
            return Err(Refused::Malformed("the link is longer than any that Exact Online or this page makes"));
        }
        if !percent_encoding_is_sound(query) {
            return Err(Refused::Malformed("the link was altered: it has a % that is not followed by two hexadecimal digits"));
        }
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(place) = read.place(&name.to_ascii_lowercase()) else { continue };
            // The host makes one value of two, with a comma between them that none of these ever has.
            if place.is_some() || value.contains(',') {
                return Err(Refused::Malformed("the link was altered: it says something twice"));
            }
            *place = Some(value.into_owned());
        }
        Ok(read)
    }

    /// In lower case: ASP.NET does not tell them apart either.
    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "code" => Some(&mut self.code),
            "state" => Some(&mut self.state),
            "error" => Some(&mut self.error),
            "confirm" => Some(&mut self.confirm),
            "discard" => Some(&mut self.discard),
            "again" => Some(&mut self.again),
            _ => None,
        }
    }

    fn wish(self, cookie: Option<Secret>) -> Result<Wish, Refused> {
        let secret = |value: Option<String>| value.filter(|value| !value.is_empty()).map(Secret::new);
        let (code, state, error) = (secret(self.code), secret(self.state), secret(self.error));
        let brought = code.is_some() || state.is_some() || error.is_some();
        let decided = |confirm, decision| Ok(Wish::Decide(Waiting::Signed { confirm, cookie: cookie.clone() }, decision));
        match (brought, secret(self.confirm), secret(self.discard), secret(self.again)) {
            (false, None, None, None) => Err(Refused::Malformed(
                "this is the address that Exact Online sends the browser to, with something in it; there is nothing in it now",
            )),
            (false, Some(confirm), None, None) => decided(confirm, Decision::Connect),
            (false, None, Some(discard), None) => decided(discard, Decision::LeaveIt),
            (false, None, None, Some(again)) => Ok(Wish::Again { again, cookie }),
            (true, None, None, None) if code.is_some() && error.is_some() => {
                Err(Refused::Malformed("the link was altered: it brings a code and an error"))
            }
            (true, None, None, None) => Ok(Wish::Finish(Callback { state, code, error, cookie })),
            _ => Err(Refused::Malformed("the link was altered: it wants two things at once")),
        }
    }
}

/// The first cookie of ours that has the form of one.
fn cookie(headers: &HeaderMap) -> Option<Secret> {
    let pairs = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(name, _)| *name == NAME).map(|(_, value)| value);
    let sound = |value: &&str| value.len() == COOKIE_LENGTH && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    values.find(sound).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const COOKIE_VALUE: &str = "made-up-cookie_0123456789-0123456789-012345";

    fn callback(query: &str) -> Result<Wish, Refused> {
        Query::read(query)?.wish(None)
    }

    /// Code, state and error; empty where there is none.
    fn finish(query: &str) -> [String; 3] {
        match callback(query) {
            Ok(Wish::Finish(Callback { state, code, error, cookie: None })) => {
                let revealed = |secret: Option<Secret>| secret.map(|secret| secret.reveal().to_owned());
                [revealed(code), revealed(state), revealed(error)].map(Option::unwrap_or_default)
            }
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn a_value_is_decoded_exactly_once() {
        assert_eq!(finish("code=stampNL001.AbCd%21IAAAA&state=a.b"), ["stampNL001.AbCd!IAAAA", "a.b", ""]);
        assert_eq!(finish("code=AbCd!x"), ["AbCd!x", "", ""]);
        assert_eq!(finish("code=a%2521b&state=a%2Bb+c"), ["a%21b", "a+b c", ""]);
        assert_eq!(finish("Code=a&STATE=b"), ["a", "b", ""]);
    }

    #[test]
    fn what_exact_sends_besides_is_passed_over() {
        assert_eq!(finish("error=access_denied&error_description=a,+b&iss=x&iss=y&state=s"), ["", "s", "access_denied"]);
        assert_eq!(finish("state=s&code="), ["", "s", ""]);
    }

    #[test]
    fn the_pages_buttons() {
        for (query, expected) in [("confirm=made.up", Decision::Connect), ("discard=made.up", Decision::LeaveIt)] {
            let Ok(Wish::Decide(Waiting::Signed { confirm, cookie: None }, decision)) = callback(query) else { panic!("{query}") };
            assert_eq!((confirm.reveal(), decision), ("made.up", expected));
        }
        assert!(matches!(callback("again=made.up&utm=x"), Ok(Wish::Again { again, cookie: None }) if again.reveal() == "made.up"));
    }

    /// Found by `fuzz/`: what is not a code is good for a while all the same.
    #[test]
    fn debug_shows_nothing_that_a_browser_sent() {
        for query in
            ["state=MADEUPcanary&code=MADEUPcanary", "error=MADEUPcanary", "confirm=MADEUPcanary", "discard=MADEUPcanary", "again=MADEUPcanary"]
        {
            let wish = callback(query);
            assert!(wish.is_ok() && !format!("{wish:?} {wish:#?}").contains("canary"), "{wish:?}");
        }
    }

    #[test]
    fn odd_links_are_refused_with_a_constant_text() {
        let long = format!("code={}", "x".repeat(MOST_QUERY));
        for query in [
            "",
            "&&",
            "canary=1",
            "code=&state=",
            "code=canary&code=canary",
            "code=canary%2Ccanary",
            "state=canary,canary&code=a",
            "code=canary&Code=b",
            "code=canary&error=b",
            "confirm=canary&again=b",
            "confirm=canary&state=b",
            "again=canary&code=b",
            "confirm=canary&discard=canary",
            "discard=canary&error=b",
            "code=canary%2",
            "code=%zzcanary",
            &long,
        ] {
            let Err(Refused::Malformed(said)) = callback(query) else { panic!("{query}") };
            assert!(!said.contains("canary"), "{said}");
        }
        assert_eq!(finish(&long[..MOST_QUERY])[0].len(), MOST_QUERY - 5);
    }

    #[test]
    fn our_cookie_is_found_among_others_and_only_in_its_form() {
        assert_eq!(COOKIE_VALUE.len(), COOKIE_LENGTH);
        let ours = format!("{NAME}={COOKIE_VALUE}");
        for (headers, found) in [
            (vec![], false),
            (vec![ours.clone()], true),
            (vec![format!("a=b; {ours};c=d")], true),
            (vec!["a=b".to_owned(), ours.clone()], true),
            (vec![format!("{NAME}=short; {ours}")], true),
            (vec![format!("{ours}x")], false),
            (vec![format!("x{ours}")], false),
            (vec![ours.to_uppercase()], false),
            (vec![ours.replace('_', "%")], false),
            (vec![NAME.to_owned()], false),
        ] {
            let headers = headers.iter().map(|value| (COOKIE, value.parse().unwrap())).collect();
            assert_eq!(cookie(&headers).map(|value| value.reveal() == COOKIE_VALUE), found.then_some(true), "{headers:?}");
        }
    }

    fn asked(method: &str, from: &[&str], body: &str) -> Result<Wish, Refused> {
        let request = from
            .iter()
            .fold(Request::builder().method(method).uri("/api/Consent?code=canary"), |request, from| request.header("Sec-Fetch-Site", *from));
        let (head, ()) = request.body(()).unwrap().into_parts();
        Wish::of(Route::Consent, &head, body.as_bytes())
    }

    #[test]
    fn the_pages_forms() {
        for (body, expected) in [("confirm=17-made.up", Decision::Connect), ("x=y&discard=17-made.up", Decision::LeaveIt)] {
            let Ok(Wish::Decide(Waiting::Named(version), decision)) = asked("POST", &[], body) else { panic!("{body}") };
            assert_eq!((version.0.as_str(), decision), ("17-made.up", expected));
        }
        for body in ["", "{}", "x=y", "\u{0}%zz&&=", &"x".repeat(1_000_000)] {
            assert!(matches!(asked("POST", &[], body), Ok(Wish::Begin { cookie: None })), "{body:.20}");
        }
        for body in ["confirm=a&confirm=a", "confirm=canary&discard=canary"] {
            assert!(matches!(asked("POST", &[], body), Err(Refused::Malformed(said)) if !said.contains("canary")));
        }
        assert!(matches!(asked("GET", &[], "confirm=17-made.up"), Ok(Wish::Look)));
        assert!(matches!(asked("POST", &["cross-site"], "confirm=17-made.up"), Err(Refused::CrossSite)));
    }

    #[test]
    fn the_button_counts_only_on_our_own_page() {
        let wish = |method: &str, from: &[&str]| asked(method, from, "");
        for from in [&[][..], &["same-origin"], &["none"], &["same-origin, same-origin"]] {
            assert!(matches!(wish("POST", from), Ok(Wish::Begin { cookie: None })), "{from:?}");
        }
        for from in [&["cross-site"][..], &["same-site"], &["same-origin", "cross-site"], &["same-origin, cross-site"], &[""], &["made-up"]] {
            assert!(matches!(wish("POST", from), Err(Refused::CrossSite)), "{from:?}");
            assert!(matches!(wish("GET", from), Ok(Wish::Look)), "{from:?}");
        }
    }

    #[test]
    fn an_address_that_is_no_header_is_said_and_not_sent() {
        let cookie = || Secret::new(COOKIE_VALUE);
        let reply = begun(Ok(Begun { authorize_url: Secret::new("https://a/\r\nX: canary"), cookie: cookie() }));
        assert!(matches!(&reply, Reply::Failed(Failed { problem: Problem::Settings(_), again: None })), "{reply:?}");
        assert!(!format!("{reply:?}").contains("canary"));
        let reply = begun(Ok(Begun { authorize_url: Secret::new("https://a/?state=canary"), cookie: cookie() }));
        assert!(matches!(&reply, Reply::ToExact { .. }));
        assert!(!format!("{reply:?}").contains("canary") && !format!("{reply:?}").contains("made-up"));
    }
}
