//! What a person's browser asks for at `/api/Consent` and `/api/ConsentCallback`, and the cookie that ties a consent to it.
//!
//! The query of the callback holds the code, the state and what the pages' buttons send back; that of `/api/Consent` holds the function key and is
//! never read. Nothing of either reaches a page or a line of the log: every text made here is a constant.

use std::fmt;

use axum::extract::Request;
use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue, Method};

use crate::consent::{Begun, Callback, Failed, Problem};
use crate::token::Secret;

use super::UseCases;
use super::ask::percent_encoding_is_sound;
use super::reply::{Refused, Reply};
use super::route::Route;

/// The cookie's name.
const NAME: &str = "exact-token-broker-consent";
/// The cookie's end, longer than all that it is good for. Lax: Exact sends the browser back from another site.
const ATTRIBUTES: &str = "Path=/api; Max-Age=3600; Secure; HttpOnly; SameSite=Lax";
/// 32 bytes in base64url.
const COOKIE_LENGTH: usize = 43;
/// A code has some 700 characters, and percent-encoding makes three of each at worst.
const MOST_QUERY: usize = 8 * 1024;

/// What a browser wants. `Debug` says which it is, and nothing that the browser sent.
pub(super) enum Wish {
    /// To see how things stand.
    Look,
    /// To begin.
    Begin,
    /// Exact sent it back.
    Finish(Callback),
    /// The button of the page that asks whether another user is meant.
    Confirm { confirm: String, cookie: Option<Secret> },
    /// The button of the page that says what went wrong.
    Again { again: String, cookie: Option<Secret> },
}

impl Wish {
    /// Reads it from a request to one of the two routes.
    pub(super) fn of(route: Route, request: &Request) -> Result<Self, Refused> {
        if route == Route::ConsentCallback {
            return Query::read(request.uri().query().unwrap_or_default())?.wish(cookie(request.headers()));
        }
        if *request.method() == Method::POST {
            // Any page can hold a form with this address in it, if it knows the function key.
            let mut from = request.headers().get_all("sec-fetch-site").into_iter();
            // Two of them may have become one on the way.
            return if from.any(|from| from.to_str().is_ok_and(|from| from.contains("cross-site"))) {
                Err(Refused::CrossSite)
            } else {
                Ok(Self::Begin)
            };
        }
        Ok(Self::Look)
    }

    /// Does what is wanted.
    pub(super) async fn grant(self, broker: &dyn UseCases) -> Reply {
        match self {
            Self::Look => Reply::Overview(Box::new(broker.status().await)),
            Self::Begin => begun(broker.begin_consent().await.map_err(|problem| Failed { problem, again: None })),
            Self::Again { again, cookie } => begun(broker.begin_again(&again, cookie).await),
            Self::Finish(callback) => broker.finish_consent(callback).await.map_or_else(Reply::Failed, Reply::Finished),
            Self::Confirm { confirm, cookie } => broker.confirm_consent(&confirm, cookie).await.map_or_else(Reply::Failed, Reply::Finished),
        }
    }
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "Look",
            Self::Begin => "Begin",
            Self::Finish(_) => "Finish",
            Self::Confirm { .. } => "Confirm",
            Self::Again { .. } => "Again",
        })
    }
}

fn begun(begun: Result<Begun, Failed>) -> Reply {
    let Begun { authorize_url, cookie } = match begun {
        Ok(begun) => begun,
        Err(failed) => return Reply::Failed(failed),
    };
    let location = HeaderValue::try_from(authorize_url);
    let cookie = HeaderValue::try_from(format!("{NAME}={}; {ATTRIBUTES}", cookie.reveal()));
    if let (Ok(mut location), Ok(mut cookie)) = (location, cookie) {
        location.set_sensitive(true);
        cookie.set_sensitive(true);
        Reply::ToExact { location, cookie }
    } else {
        let problem = Problem::Settings("the settings make an address of Exact's log-in page that no browser can be sent to".to_owned());
        Reply::Failed(Failed { problem, again: None })
    }
}

/// What of a callback's query is used.
#[derive(Default)]
struct Query {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    confirm: Option<String>,
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
            "again" => Some(&mut self.again),
            _ => None,
        }
    }

    fn wish(self, cookie: Option<Secret>) -> Result<Wish, Refused> {
        let said = |value: Option<String>| value.filter(|value| !value.is_empty());
        match (said(self.code), said(self.state), said(self.error), said(self.confirm), said(self.again)) {
            (None, None, None, None, None) => Err(Refused::Malformed(
                "this is the address that Exact Online sends the browser to, with something in it; there is nothing in it now",
            )),
            (None, None, None, Some(confirm), None) => Ok(Wish::Confirm { confirm, cookie }),
            (None, None, None, None, Some(again)) => Ok(Wish::Again { again, cookie }),
            (Some(_), _, Some(_), None, None) => Err(Refused::Malformed("the link was altered: it brings a code and an error")),
            (code, state, error, None, None) => Ok(Wish::Finish(Callback { state, code: code.map(Secret::new), error, cookie })),
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
    use axum::body::Body;

    use super::*;

    const COOKIE_VALUE: &str = "made-up-cookie_0123456789-0123456789-012345";

    fn callback(query: &str) -> Result<Wish, Refused> {
        Query::read(query)?.wish(None)
    }

    /// Code, state and error; empty where there is none.
    fn finish(query: &str) -> [String; 3] {
        match callback(query) {
            Ok(Wish::Finish(Callback { state, code, error, cookie: None })) => {
                [code.map(|code| code.reveal().to_owned()), state, error].map(Option::unwrap_or_default)
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
        assert!(matches!(callback("confirm=made.up"), Ok(Wish::Confirm { confirm, cookie: None }) if confirm == "made.up"));
        assert!(matches!(callback("again=made.up&utm=x"), Ok(Wish::Again { again, cookie: None }) if again == "made.up"));
    }

    /// Found by `fuzz/`: what is not a code is good for a while all the same.
    #[test]
    fn debug_shows_nothing_that_a_browser_sent() {
        for query in ["state=MADEUPcanary&code=MADEUPcanary", "error=MADEUPcanary", "confirm=MADEUPcanary", "again=MADEUPcanary"] {
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

    #[test]
    fn the_button_counts_only_on_our_own_page() {
        let wish = |method: &str, from: &[&str]| {
            let request = from
                .iter()
                .fold(Request::builder().method(method).uri("/api/Consent?code=canary"), |request, from| request.header("Sec-Fetch-Site", *from));
            Wish::of(Route::Consent, &request.body(Body::empty()).unwrap())
        };
        for from in [&[][..], &["same-origin"], &["none"], &["same-site"]] {
            assert!(matches!(wish("POST", from), Ok(Wish::Begin)), "{from:?}");
        }
        for from in [&["cross-site"][..], &["same-origin", "cross-site"], &["same-origin, cross-site"]] {
            assert!(matches!(wish("POST", from), Err(Refused::CrossSite)), "{from:?}");
            assert!(matches!(wish("GET", from), Ok(Wish::Look)), "{from:?}");
        }
    }

    #[test]
    fn an_address_that_is_no_header_is_said_and_not_sent() {
        let cookie = || Secret::new(COOKIE_VALUE);
        let reply = begun(Ok(Begun { authorize_url: "https://a/\r\nX: canary".to_owned(), cookie: cookie() }));
        assert!(matches!(&reply, Reply::Failed(Failed { problem: Problem::Settings(_), again: None })), "{reply:?}");
        assert!(!format!("{reply:?}").contains("canary"));
        let reply = begun(Ok(Begun { authorize_url: "https://a/?state=canary".to_owned(), cookie: cookie() }));
        assert!(matches!(&reply, Reply::ToExact { .. }));
        assert!(!format!("{reply:?}").contains("canary") && !format!("{reply:?}").contains("made-up"));
    }
}
