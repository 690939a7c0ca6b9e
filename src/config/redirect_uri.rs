//! Where Exact sends the browser back to. Exact compares it with what was registered, character by character, so it is used as it was given.

use reqwest::Url;

use super::base_url::is_loopback;

/// The path of the function that Exact sends the browser back to.
const CALLBACK: &str = "/api/ConsentCallback";
/// The path of the page that a person begins at.
const PAGE: &str = "/api/Consent";

/// Says what is wrong with a redirect URI, without repeating any of it.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if !text.contains("://") || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("is not a URL; write it like https://<app>.azurewebsites.net/api/ConsentCallback");
    }
    let Ok(url) = Url::parse(text) else { return Err("is not a URL; write it like https://<app>.azurewebsites.net/api/ConsentCallback") };
    match url.scheme() {
        "https" => {}
        "http" if url.host_str().is_some_and(is_loopback) => {}
        "http" => return Err("is http, and Exact Online sends nobody there; write https, as in the app's registration"),
        _ => return Err("is neither https nor http; write it like https://<app>.azurewebsites.net/api/ConsentCallback"),
    }
    let host = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if host.contains('@') {
        return Err("contains user information before the host; remove it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment; end it after the path");
    }
    Ok(())
}

/// The redirect URI of an app that is reached as `host`. Core Tools serve without TLS.
pub(super) fn of_host(host: &str) -> Option<String> {
    let name = Url::parse(&format!("https://{host}")).ok()?;
    let scheme = if is_loopback(name.host_str()?) { "http" } else { "https" };
    let uri = format!("{scheme}://{host}{CALLBACK}");
    check(&uri).ok().map(|()| uri)
}

/// The page that belongs to a redirect URI.
pub(super) fn consent_page(redirect_uri: &str) -> Option<String> {
    let at = redirect_uri.len().checked_sub(CALLBACK.len())?;
    let callback = redirect_uri.get(at..)?.eq_ignore_ascii_case(CALLBACK);
    callback.then(|| format!("{}{PAGE}", &redirect_uri[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_what_is_refused() {
        for good in
            ["https://made-up.example/api/ConsentCallback", "https://made-up.example", "http://127.0.0.1:7071/x", "http://[::1]/", "http://localhost"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, says) in [
            ("", "not a URL"),
            ("made-up.example/api/ConsentCallback", "not a URL"),
            ("https://made-up.example/a b", "not a URL"),
            ("https://made-up.example\\x", "not a URL"),
            ("https://", "not a URL"),
            ("ftp://made-up.example/", "neither https"),
            ("http://made-up.example/", "is http"),
            ("http://localhost.example/", "is http"),
            ("https://made-up@made-up.example/", "user information"),
            ("https://@made-up.example/", "user information"),
            ("https://made-up.example/?a", "a query"),
            ("https://made-up.example/#", "a fragment"),
        ] {
            let said = check(bad).unwrap_err();
            assert!(said.contains(says) && !said.contains("made-up"), "{bad}: {said}");
        }
    }
}
