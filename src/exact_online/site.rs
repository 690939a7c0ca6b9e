//! Looking at Exact's site without spending anything: whether it is there, and whether it knows the app.

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{DATE, LOCATION};

use super::wire::{Incoming, NotAnswered};
use super::{ExactOnline, get, read, request};
use crate::patience::Patience;
use crate::ports::{ExactSite, Knocked, LogIn, NoSite};

/// Every site has it, and it is nobody's.
const SMALL: &str = "/favicon.ico";
/// Exact wants one, and this is none that a callback would be taken with.
const STATE: &str = "doctor";

#[async_trait]
impl ExactSite for ExactOnline {
    async fn knock(&self) -> Result<Knocked, NoSite> {
        let incoming = self.look(&format!("{}{SMALL}", self.base_url)).await?;
        let date = incoming.headers.get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
        Ok(Knocked { status: incoming.status.as_u16(), date })
    }

    async fn open_log_in(&self, redirect_uri: &str) -> Result<LogIn, NoSite> {
        let mut incoming = self.look(&request::authorize_url(&self.base_url, &self.client_id, redirect_uri, STATE)).await?;
        let body = read(&mut incoming, &mut Patience::of(self.answer_within)).await;
        let location = incoming.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        Ok(log_in(incoming.status.as_u16(), location, &String::from_utf8_lossy(&body.bytes)))
    }
}

impl ExactOnline {
    async fn look(&self, url: &str) -> Result<Incoming, NoSite> {
        let get = get(url).ok_or(NoSite::Unreachable)?;
        self.wire.send(get).await.map_err(|problem| match problem {
            NotAnswered::NeverLeft => NoSite::Unreachable,
            NotAnswered::Lost => NoSite::Lost,
        })
    }
}

/// What the page means. Of what the site wrote nothing goes on.
fn log_in(status: u16, location: Option<&str>, body: &str) -> LogIn {
    // The page is of the wrong country, or the id is wrong; its status is not known (picqer/exact-php-client#617).
    if body.contains("Client with identifier") && body.contains("not found") {
        return LogIn::UnknownClient;
    }
    let error = location.and_then(|location| Url::parse(location).ok());
    let error = error.and_then(|url| url.query_pairs().find(|(name, _)| name == "error").map(|(_, error)| error.into_owned()));
    match (status, error.as_deref()) {
        (300..=399, Some("unauthorized_client")) => LogIn::NotThisApp,
        (200..=399, None) => LogIn::Shown,
        (401, _) => LogIn::NoRedirectUri,
        _ => LogIn::Odd(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_in_page_means() {
        let back = "https://made-up.example/api/ConsentCallback?error=";
        for (status, location, body, expected) in [
            (200, None, "<h1>Log in</h1>", LogIn::Shown),
            (302, Some("https://start.exactonline.nl/docs/Login.aspx?ReturnUrl=%2f"), "", LogIn::Shown),
            (302, Some("/docs/Login.aspx"), "", LogIn::Shown),
            (200, None, "<p>Client with identifier 'made-up' not found.</p>", LogIn::UnknownClient),
            (400, None, "<p>Client with identifier 'made-up' not found.</p>", LogIn::UnknownClient),
            (302, Some(&format!("{back}unauthorized_client")), "", LogIn::NotThisApp),
            (303, Some(&format!("{back}made_up&state=doctor")), "", LogIn::Odd(303)),
            (401, None, "", LogIn::NoRedirectUri),
            (400, None, "", LogIn::Odd(400)),
            (503, None, "<h1>Maintenance</h1>", LogIn::Odd(503)),
        ] {
            assert_eq!(log_in(status, location, body), expected, "{status} {location:?} {body}");
        }
    }

    mod fuzz {
        use fuzzing::Target;

        /// Status, address and page, a line each.
        #[test]
        fn log_in_page() {
            let words =
                ["Client with identifier", "not found", "unauthorized_client", "?error=", "&error=", "200", "302", "401", "https://made-up.example/"];
            Target::new("log-in-page").words(&words).run(|input| {
                let text = String::from_utf8_lossy(input);
                let mut lines = text.splitn(3, '\n');
                let status = lines.next().and_then(|line| line.parse().ok()).unwrap_or(200);
                let log_in = super::super::log_in(status, lines.next().filter(|line| !line.is_empty()), lines.next().unwrap_or_default());
                format!("{log_in:?}")
            });
        }
    }
}
