//! The machinery sees what it is there to see.

use crate::axe;
use crate::browser::Browser;
use crate::little_server::{LittleServer, page, see_other};

/// As strict as the product's own pages.
const STRICT: (&str, &str) = ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'");

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_what_is_wrong_and_nothing_else_under_a_strict_policy() {
    let server = LittleServer::start(|seen| match seen.target.as_str() {
        "/bad" => page("<h1>Bad</h1><p style=\"color:#ccc;background:#fff\">Pale</p><input>", &[STRICT]),
        _ => page("<h1>Good</h1><p>Dark</p>", &[STRICT]),
    })
    .await;
    let browser = Browser::start().await;
    browser.open(&server.url("localhost")).await;
    axe::axe(&browser).await;
    browser.screenshots("machinery").await;
    browser.open(&format!("{}/bad", server.url("localhost"))).await;
    let found = axe::violations(&browser).await;
    let rules: Vec<&str> = found.iter().map(|it| it.split(':').next().unwrap()).collect();
    assert_eq!(rules, ["color-contrast", "label"], "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_seen_with_every_header_and_pages_in_every_size() {
    let server = LittleServer::start(|seen| match seen.target.as_str() {
        "/from" => see_other("/to", &[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Own", "x")]),
        _ => page("<h1>There</h1><p style=\"width:500px\">Wide</p>", &[("Referrer-Policy", "no-referrer")]),
    })
    .await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/from", server.url("127.0.0.1"))).await;
    let replies = browser.replies().await;
    let lines: Vec<(&str, u64)> = replies.iter().map(|it| (it.url.rsplit('/').next().unwrap(), it.status)).collect();
    assert_eq!(lines, [("from", 303), ("to", 200)]);
    assert_eq!((replies[0].header("set-cookie"), replies[0].header("x-own")), (Some("a=1\nb=2"), Some("x")));
    assert_eq!(replies[1].header("referrer-policy"), Some("no-referrer"));
    assert_eq!(browser.replies().await, [], "each is told once");

    for (width, sideways) in [(360, true), (1280, false)] {
        browser.size(width, 800).await;
        assert_eq!(browser.script("return document.documentElement.clientWidth").await, width);
        assert_eq!(browser.scrolls_sideways().await, sideways);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_after_a_form_needs_the_other_sites_name_in_the_policy() {
    let other = LittleServer::start(|_| page("<h1>Elsewhere</h1>", &[])).await;
    let elsewhere = other.url("localhost");
    let lets_go = format!("default-src 'none'; form-action 'self' {elsewhere}");
    let server = LittleServer::start(move |seen| match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", _) => see_other(&elsewhere, &[]),
        (_, "/named") => page("<form method=\"post\"><button>Go</button></form>", &[("Content-Security-Policy", &lets_go)]),
        _ => page("<form method=\"post\"><button>Go</button></form>", &[STRICT]),
    })
    .await;
    let browser = Browser::start().await;
    browser.open(&server.url("127.0.0.1")).await;
    browser.press("Go").await;
    let mut complaints = Vec::new();
    while complaints.is_empty() {
        complaints = browser.complaints().await;
    }
    assert!(complaints[0].contains("form-action"), "{complaints:?}");
    assert_eq!(other.seen().len(), 0, "the browser went there all the same");

    browser.open(&format!("{}/named", server.url("127.0.0.1"))).await;
    browser.click("Go").await;
    assert_eq!(browser.heading().await, "Elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_sends_a_form_and_a_reload_asks_again() {
    let server = LittleServer::start(|seen| match seen.method.as_str() {
        "POST" => see_other("/sent", &[]),
        _ if seen.target == "/sent" => page("<h1>Sent</h1>", &[]),
        _ => page("<form method=\"post\"><label>Word <input name=\"word\"></label><button>Send</button></form>", &[]),
    })
    .await;
    let browser = Browser::start().await;
    browser.open(&server.url("localhost")).await;
    browser.fill("Word", "a b!").await;
    browser.double_click("Send").await;
    assert_eq!(browser.heading().await, "Sent");
    let sent: Vec<String> = server.seen().into_iter().filter(|it| it.method == "POST").map(|it| it.body).collect();
    // The second click may come before the first one's answer, and replaces its navigation then; both requests are sent all the same.
    assert!(matches!(sent.as_slice(), [first] | [first, _] if first == "word=a+b%21"), "{sent:?}");

    let before = server.seen().len();
    browser.reload().await;
    assert_eq!(server.seen().len(), before + 1);
}
