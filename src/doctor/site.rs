//! Exact's site, the clocks, and where Exact sends the browser back to.

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use super::{Check, Doctor};
use crate::ports::LogIn;

/// From here on a clock is worth a word.
const OFF: i64 = 5;
/// From here on the program takes stored times for wrong ([`CLOCK_TOLERANCE`](crate::token::schedule::CLOCK_TOLERANCE)).
const FAR_OFF: i64 = crate::token::schedule::CLOCK_TOLERANCE.as_secs();
/// Where the app answers.
const CALLBACK: &str = "/api/ConsentCallback";

const SET_THE_CLOCK: &str = "set this machine's clock, or let it follow a time server";

impl Doctor {
    pub(super) async fn look_at_site(&self) -> Vec<Check> {
        let (reached, known) = tokio::join!(self.knock(), self.client_id());
        let mut checks = reached;
        checks.push(known);
        checks.push(redirect_uri(self.facts.redirect_uri.as_deref(), self.facts.host.as_deref(), &self.facts.base_url));
        checks
    }

    async fn knock(&self) -> Vec<Check> {
        const NAME: &str = "Exact Online";
        const REMEDY: &str = "check EXACT_REGION, name resolution and the way out (proxy, network rules); else Exact Online is down";
        const CLOCK: &str = "clock and Exact Online's";
        let untold = || Check::remark(CLOCK, "could not be told: Exact Online did not answer", REMEDY);
        let sent = self.clock.now();
        let knocked = self.within(self.site.knock()).await;
        let received = self.clock.now();
        let site = &self.facts.base_url;
        match knocked {
            None => vec![Check::silent(NAME, REMEDY), untold()],
            Some(Err(problem)) => vec![Check::failed(NAME, format!("{site}: {problem}"), REMEDY), untold()],
            Some(Ok(knocked)) => {
                let reached = match knocked.status {
                    status @ 500.. => {
                        Check::remark(NAME, format!("{site} answers with an error (status {status})"), "this passes; Exact's status page")
                    }
                    _ => Check::ok(NAME, format!("{site} answers")),
                };
                let clock = match knocked.date {
                    Some(date) => clock(CLOCK, ahead(date, sent, received)),
                    None => Check::remark(CLOCK, "Exact Online's reply does not tell the time", "nothing"),
                };
                vec![reached, clock]
            }
        }
    }

    async fn client_id(&self) -> Check {
        const NAME: &str = "client id";
        const REMEDY: &str = "try again later";
        let Some(redirect_uri) = &self.facts.redirect_uri else {
            return Check::remark(NAME, "not asked: Exact Online tells only with a redirect URI", "set EXACT_REDIRECT_URI as registered");
        };
        let site = &self.facts.base_url;
        match self.within(self.site.open_log_in(redirect_uri)).await {
            None => Check::silent(NAME, REMEDY),
            Some(Err(problem)) => Check::failed(NAME, problem.to_string(), REMEDY),
            Some(Ok(LogIn::Shown)) => Check::ok(NAME, format!("{site} knows it")),
            Some(Ok(LogIn::UnknownClient)) => Check::failed(
                NAME,
                format!("{site} knows no app with this client id"),
                "set EXACT_REGION to the country whose App Centre the app is registered in, or EXACT_CLIENT_ID to the app's id",
            ),
            Some(Ok(LogIn::NotThisApp)) => Check::failed(
                NAME,
                format!("{site} does not accept this redirect URI for this client id: {redirect_uri}"),
                "make EXACT_REDIRECT_URI and the app's page in the Exact App Centre the same, character by character",
            ),
            Some(Ok(LogIn::NoRedirectUri)) => Check::failed(
                NAME,
                format!("{site} accepts this redirect URI for no app: {redirect_uri}"),
                "Exact Online wants an https address with a public name",
            ),
            Some(Ok(LogIn::Odd(status))) => Check::remark(NAME, format!("could not be told: the log-in page answers with status {status}"), REMEDY),
        }
    }
}

/// How far a clock elsewhere is ahead of this one: zero if it need not be. It said `date`, to the second, between sending and receiving.
fn ahead(date: Timestamp, sent: Timestamp, received: Timestamp) -> SignedDuration {
    let (least, most) = (date.duration_since(received), date.duration_since(sent) + SignedDuration::from_secs(1));
    if least > SignedDuration::ZERO { least } else { most.min(SignedDuration::ZERO) }
}

/// What to say of a clock elsewhere that is so far ahead.
pub(super) fn clock(name: &'static str, ahead: SignedDuration) -> Check {
    let off = ahead.as_secs().abs();
    let found = format!("this machine's clock is {off} s {} theirs", if ahead.is_negative() { "ahead of" } else { "behind" });
    match off {
        ..OFF => Check::ok(name, "they agree"),
        OFF..FAR_OFF => Check::remark(name, found, SET_THE_CLOCK),
        _ => Check::failed(name, found, SET_THE_CLOCK),
    }
}

fn redirect_uri(uri: Option<&str>, host: Option<&str>, base_url: &str) -> Check {
    const NAME: &str = "redirect URI";
    let Some(uri) = uri else {
        return Check::remark(
            NAME,
            "not known here: EXACT_REDIRECT_URI is not set, and no function app says its name",
            "set EXACT_REDIRECT_URI as registered; without a page that Exact Online can send the browser to, use `exact-token-broker consent`",
        );
    };
    let (of, own) = (authority(uri), host.and_then(|host| authority(&format!("https://{host}"))));
    if uri.starts_with("http:") && base_url.starts_with("https:") {
        return Check::failed(
            NAME,
            format!("{uri} is plain http, and Exact Online sends nobody there"),
            "register an https address with the app and set EXACT_REDIRECT_URI to it",
        );
    }
    if let (Some(of), Some(own)) = (of, own)
        && of != own
    {
        return Check::remark(
            NAME,
            format!("{uri} is not of this app's own host, {own}"),
            "right if that is a domain of this app's own; else set EXACT_REDIRECT_URI and the app's registration to this host",
        );
    }
    if !uri.get(uri.len().saturating_sub(CALLBACK.len())..).is_some_and(|end| end.eq_ignore_ascii_case(CALLBACK)) {
        return Check::remark(
            NAME,
            format!("{uri} does not end with {CALLBACK}, so this app does not answer there"),
            "right if the address is copied by hand into `exact-token-broker consent`",
        );
    }
    Check::ok(NAME, uri)
}

/// Host and port, in one form.
fn authority(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}{port}", url.host_str()?))
}
