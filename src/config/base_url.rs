//! Which addresses the client secret and the refresh token may be sent to.

use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Brings a base URL into its one form: scheme, host and a port that is not the scheme's own. Says what is wrong, without repeating any of it.
pub(super) fn read(text: &str) -> Result<String, &'static str> {
    // What a URL parser forgives silently must not be forgiven here.
    if !text.contains("://") || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("is not a URL; write it like https://start.exactonline.nl");
    }
    let Ok(url) = Url::parse(text) else { return Err("is not a URL; write it like https://start.exactonline.nl") };
    match url.scheme() {
        "https" => {}
        "http" if url.host_str().is_some_and(is_loopback) => {}
        "http" => return Err("is http, which would send the client secret in the open; write https"),
        _ => return Err("is neither https nor http; write it like https://start.exactonline.nl"),
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err("contains user information before the host; remove it");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("has more than scheme, host and port; end it after the host");
    }
    Ok(url.origin().ascii_serialization())
}

/// The parser has already brought the shorter ways to write an IPv4 address into the long one.
pub(super) fn is_loopback(host: &str) -> bool {
    let v6 = host.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>();
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()) || v6.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_taken() {
        for (text, expected) in [
            ("https://start.exactonline.nl", "https://start.exactonline.nl"),
            ("https://START.exactonline.nl:443/", "https://start.exactonline.nl"),
            ("https://exact.example:8443", "https://exact.example:8443"),
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:8081", "http://[::1]:8081"),
            ("http://localhost:8081", "http://localhost:8081"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn addresses_that_are_refused() {
        for text in [
            "start.exactonline.nl",
            "https:start.exactonline.nl",
            "https:\\\\start.exactonline.nl",
            "https://start.exact\tonline.nl",
            "https://",
            "https://exact.example:99999",
            "ftp://start.exactonline.nl",
            "http://start.exactonline.nl",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://128.0.0.1",
            "http://[::2]",
            "http://[::ffff:127.0.0.1]",
            "http://127.0.0.1@start.exactonline.nl",
            "https://somebody@start.exactonline.nl",
            "https://:pass@start.exactonline.nl",
            "https://@start.exactonline.nl",
            "https://start.exactonline.nl/api",
            "https://start.exactonline.nl//",
            "https://start.exactonline.nl?",
            "https://start.exactonline.nl/?a=b",
            "https://start.exactonline.nl/#top",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
