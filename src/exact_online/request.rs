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
    let body = Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", refresh_token.reveal())
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
