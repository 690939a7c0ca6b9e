//! What is sent to the token service. Pure.

use form_urlencoded::Serializer;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderName};

use crate::token::Secret;

/// One POST.
#[derive(Debug)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// All of them, beside those that the HTTP client adds.
    pub headers: [(HeaderName, &'static str); 3],
    /// A form; both the client secret and the token are in it.
    pub body: Secret,
}

/// Asks for a new pair of tokens. Credentials go in the body, as nearly all clients of Exact send them (`picqer/exact-php-client`,
/// `ossobv/exactonline`); a redirect URI is not needed.
#[must_use]
pub fn refresh(base_url: &str, client_id: &str, client_secret: &Secret, refresh_token: &Secret) -> Request {
    token(base_url, client_id, client_secret, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token.reveal())])
}

/// Exchanges an authorization code, which goes in decoded. Exact compares the redirect URI with that of the log-in
/// (`picqer/exact-php-client#14`).
#[must_use]
pub fn exchange(base_url: &str, client_id: &str, client_secret: &Secret, code: &Secret, redirect_uri: &str) -> Request {
    let grant = [("grant_type", "authorization_code"), ("code", code.reveal()), ("redirect_uri", redirect_uri)];
    token(base_url, client_id, client_secret, &grant)
}

fn token(base_url: &str, client_id: &str, client_secret: &Secret, grant: &[(&str, &str)]) -> Request {
    let body = Serializer::new(String::new())
        .extend_pairs(grant)
        .append_pair("client_id", client_id)
        .append_pair("client_secret", client_secret.reveal())
        .finish();
    Request {
        url: format!("{}/api/oauth2/token", base_url.trim_end_matches('/')),
        headers: [
            (CONTENT_TYPE, "application/x-www-form-urlencoded"),
            (ACCEPT, "application/json"),
            // Without it any encoding would be allowed, and a compressed grant could not be read.
            (ACCEPT_ENCODING, "identity"),
        ],
        body: Secret::new(body),
    }
}

/// Where a browser begins (`force_login` stays at Exact's default: who is logged in need not do it again).
#[must_use]
pub fn authorize_url(base_url: &str, client_id: &str, redirect_uri: &str, state: &str) -> String {
    let query = Serializer::new(String::new())
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("state", state)
        .finish();
    format!("{}/api/oauth2/auth?{query}", base_url.trim_end_matches('/'))
}

/// Where Exact tells whose token it is: the only address of its API without a division in it.
#[must_use]
pub fn me_url(base_url: &str) -> String {
    format!("{}/api/v1/current/Me", base_url.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_up(refresh_token: &str) -> Request {
        let secret = Secret::new("made+up secret/&=é");
        refresh("https://start.exactonline.nl", "11111111-2222-3333-4444-555555555555", &secret, &Secret::new(refresh_token))
    }

    #[test]
    fn every_byte_is_as_it_should_be() {
        let request = made_up("stampNL001.AbCd!IAAAAmade-up_+/=~*%21");
        assert_eq!(request.url, "https://start.exactonline.nl/api/oauth2/token");
        assert_eq!(
            request.body.reveal(),
            "grant_type=refresh_token&refresh_token=stampNL001.AbCd%21IAAAAmade-up_%2B%2F%3D%7E*%2521\
             &client_id=11111111-2222-3333-4444-555555555555&client_secret=made%2Bup+secret%2F%26%3D%C3%A9"
        );
        assert_eq!(
            request.headers.map(|(name, value)| format!("{name}: {value}")),
            ["content-type: application/x-www-form-urlencoded", "accept: application/json", "accept-encoding: identity"]
        );
    }

    #[test]
    fn a_code_goes_as_it_was_decoded() {
        let (secret, code) = (Secret::new("made-up"), Secret::new("stampNL001.AbCd!IAAAAmade-up"));
        let request = exchange("https://start.exactonline.nl", "id", &secret, &code, "https://made-up.example.invalid/api/ConsentCallback");
        assert_eq!(request.url, "https://start.exactonline.nl/api/oauth2/token");
        assert_eq!(
            request.body.reveal(),
            "grant_type=authorization_code&code=stampNL001.AbCd%21IAAAAmade-up\
             &redirect_uri=https%3A%2F%2Fmade-up.example.invalid%2Fapi%2FConsentCallback&client_id=id&client_secret=made-up"
        );
    }

    #[test]
    fn a_browser_begins_here() {
        let url = authorize_url("https://start.exactonline.nl/", "{id}", "https://made-up.example.invalid/api/ConsentCallback", "a.b");
        assert_eq!(
            url,
            "https://start.exactonline.nl/api/oauth2/auth?client_id=%7Bid%7D\
             &redirect_uri=https%3A%2F%2Fmade-up.example.invalid%2Fapi%2FConsentCallback&response_type=code&state=a.b"
        );
        assert_eq!(me_url("http://127.0.0.1:1/"), "http://127.0.0.1:1/api/v1/current/Me");
    }

    #[test]
    fn a_form_reader_gets_the_token_back() {
        let token = "stampNL001.AbCd!IAAAA+/ =&\"\\\u{0}\u{1F511}";
        let request = made_up(token);
        let read = form_urlencoded::parse(request.body.reveal().as_bytes()).find(|(name, _)| name == "refresh_token").unwrap();
        assert_eq!(read.1, token);
    }

    #[test]
    fn a_slash_at_the_end_of_the_base_is_not_doubled() {
        let request = refresh("http://127.0.0.1:1/", "id", &Secret::new("made-up"), &Secret::new("made-up"));
        assert_eq!(request.url, "http://127.0.0.1:1/api/oauth2/token");
    }

    #[test]
    fn debug_shows_neither_secret() {
        let shown = format!("{:?}", made_up("stampNL001.canary"));
        assert!(!shown.contains("canary") && !shown.contains("made"), "{shown}");
    }
}
