//! What a person's browser gets: HTML without a script and without anything from elsewhere.
//!
//! [`html!`] escapes whatever it is given; the two texts that go in as they are stand here, and are constants. A name that came from Exact is put into
//! a `bdi` besides, so that writing from right to left turns nothing around it.

mod life;
mod outcome;
mod overview;
mod time_line;

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::reply::Reply;
use super::route::Route;
use crate::status::Status;

/// Where it stands between its tags it must be this to the byte: the policy below names its hash.
const STYLE: &str = include_str!("style.css");

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| BASE64.encode(&Sha256::digest(STYLE)));

/// What a page says.
struct Page {
    /// The one heading of the first level, and the title: how things stand.
    heading: &'static str,
    main: Markup,
}

/// The page that says what came of a request. The targets are origins to which its buttons may lead.
pub(super) fn response(reply: &Reply, route: Route, form_targets: &[String]) -> Response {
    let page = match reply {
        Reply::Overview(status) => overview::page(status),
        Reply::ToExact { .. } => Page { heading: "Going on to Exact Online", main: html! { p { "The browser goes there by itself." } } },
        Reply::Finished(finished) => outcome::finished(finished),
        Reply::Failed(failed) => outcome::failed(failed, route),
        Reply::Refused(refused) => outcome::refused(*refused, &reply.description()),
        Reply::BadSettings(error) => outcome::bad_settings(error),
        Reply::Overdue => outcome::overdue(),
        Reply::Panicked => Page { heading: "Internal error", main: html! { p { (sentence(&reply.description())) } } },
        // They go to the host and to callers, as JSON.
        Reply::Alive | Reply::Tick(_) | Reply::Token(_) | Reply::NoToken { .. } | Reply::Status(_) => {
            Page { heading: "Nothing to see here", main: html! {} }
        }
    };
    let mut response = Response::new(Body::from(framed(&page).into_string()));
    reply.dress(&mut response);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, policy(form_targets));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Chromium holds `form-action` against each redirect that follows a form, so Exact's site must be named; its other hosts beside, to which a log-in may
/// lead; and where Exact sends a browser that is logged in already, should that be another host than this page's.
fn policy(form_targets: &[String]) -> HeaderValue {
    let sound = form_targets.iter().filter(|origin| !origin.contains([' ', ';', ','])).map(|origin| format!(" {origin}{}", siblings(origin)));
    let with = |targets: &str| {
        HeaderValue::try_from(format!(
            "default-src 'none'; style-src 'sha256-{}'; img-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'{targets}",
            *STYLE_HASH
        ))
    };
    with(&sound.collect::<String>()).or_else(|_| with("")).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// `https://start.exactonline.nl` is one of the hosts of `https://*.exactonline.nl`.
fn siblings(origin: &str) -> String {
    let site = origin.strip_prefix("https://start.").filter(|site| site.starts_with("exactonline."));
    site.map_or_else(String::new, |site| format!(" https://*.{site}"))
}

fn framed(page: &Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.heading) " | exact-token-broker" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { "exact-token-broker" }
                main {
                    h1 { (page.heading) }
                    (page.main)
                }
                footer { "Build " (env!("CARGO_PKG_VERSION")) ". All times are UTC." }
            }
        }
    }
}

/// A text of ours as a sentence: they begin small and end without a full stop, so that they can stand in a line of the log.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    let end = if text.is_empty() || text.ends_with(['.', '!', '?']) { "" } else { "." };
    first.into_iter().chain(rest).chain(end.chars()).collect()
}

/// A name that Exact told, which may be written in any direction.
fn name(name: &str, if_empty: &str) -> Markup {
    html! { @if name.trim().is_empty() { (if_empty) } @else { bdi { (name) } } }
}

/// The moment that a status is said of. Where it says none, no other time is known either.
fn now(status: &Status) -> Timestamp {
    status.at.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// To the minute: more would be read by nobody.
fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) { (at.strftime("%Y-%m-%d %H:%M")) } }
}

/// In the largest unit that it has two of, rounded down.
fn span(duration: SignedDuration) -> String {
    let seconds = duration.abs().as_secs();
    let (count, unit) = match seconds {
        0..60 => return "less than a minute".to_owned(),
        60..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
