//! `/api/Consent` and `/api/ConsentCallback`, forwarded for a browser.

use crate::wire::{AUTHORIZE_URL, COOKIE, Does, Handler, Reply, Visit, chunked};

fn request(method: &str, target: &str, more: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: made-up.example\r\nAccept: text/html\r\nUser-Agent: Mozilla/5.0 Azure-Functions-Host/4.1037.0.0\r\n\
         X-Forwarded-For: 203.0.113.7:40400\r\nX-Azure-Functions-InvocationId: 5b6f0a5e-6c0b-4a53-9a32-1f1a35b0a7c1\r\n{more}\r\n"
    )
}

async fn get(handler: &Handler, target: &str, more: &str) -> Reply {
    handler.ask(request("GET", target, more)).await
}

async fn post(handler: &Handler, more: &str) -> Reply {
    handler.ask(request("POST", "/api/Consent?code=FAKEKEY", &format!("Content-Length: 0\r\n{more}"))).await
}

fn with_cookie() -> String {
    format!("Cookie: other=1; __Host-exact-token-broker-consent={COOKIE}\r\n")
}

fn finished(code: Option<&str>, state: Option<&str>, error: Option<&str>, cookie: Option<&str>) -> Visit {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Visit::Finish { state: owned(state), code: owned(code), error: owned(error), cookie: owned(cookie) }
}

#[tokio::test]
async fn the_page_is_shown_and_its_query_is_never_read() {
    let handler = Handler::start(Does::Succeed).await;
    for query in ["", "?code=FAKEKEY", "?code=FAKEKEY&code=canary&error=canary&confirm=canary", "?%zz=canary"] {
        let reply = get(&handler, &format!("/api/Consent{query}"), &with_cookie()).await;
        assert_eq!((reply.status, reply.header("set-cookie"), reply.header("location")), (200, None, None));
        assert!(reply.html().contains("<form method=\"post\"><button>"), "{}", reply.text);
        assert!(reply.header("content-security-policy").unwrap().ends_with("; form-action 'self' https://exact.example"));
    }
    assert_eq!(*handler.stub.visits.lock().unwrap(), vec![Visit::Look; 4]);
}

#[tokio::test]
async fn the_button_leads_to_exact_with_a_cookie() {
    let handler = Handler::start(Does::Succeed).await;
    let with_body = request("POST", "/api/Consent", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n") + "a=canary";
    for reply in [post(&handler, "").await, post(&handler, "Sec-Fetch-Site: same-origin\r\n").await, handler.ask(with_body).await] {
        assert_eq!((reply.status, reply.header("location")), (303, Some(AUTHORIZE_URL)));
        let cookie = format!("__Host-exact-token-broker-consent={COOKIE}; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(reply.header("set-cookie"), Some(cookie.as_str()));
        assert!(!reply.html().contains("made.up-state"));
    }
    assert_eq!(*handler.stub.visits.lock().unwrap(), vec![Visit::Begin { cookie: None }; 3]);
    // A browser that has a cookie keeps it: another tab may be at Exact's log-in.
    post(&handler, &with_cookie()).await;
    assert_eq!(handler.stub.visits.lock().unwrap().pop(), Some(Visit::Begin { cookie: Some(COOKIE.to_owned()) }));
}

#[tokio::test]
async fn the_pages_other_buttons_decide_about_a_waiting_pair() {
    let handler = Handler::start(Does::Succeed).await;
    let sent = |body: &str| {
        let head = format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{}", body.len(), with_cookie());
        handler.ask(request("POST", "/api/Consent?code=FAKEKEY", &head) + body)
    };
    for (body, meant) in [("confirm=17-made.up", true), ("discard=17-made.up", false)] {
        let reply = sent(body).await;
        assert_eq!((reply.status, reply.header("location")), (200, None));
        reply.html();
        let visit = Visit::Named { meant, version: "17-made.up".to_owned() };
        assert_eq!(handler.stub.visits.lock().unwrap().pop(), Some(visit));
    }
    let reply = sent("confirm=canary&discard=canary").await;
    assert_eq!(reply.status, 400);
    reply.html();
    assert_eq!(handler.stub.visits.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn the_button_of_another_sites_page_does_nothing() {
    let handler = Handler::start(Does::Succeed).await;
    let reply = post(&handler, "Sec-Fetch-Site: cross-site\r\n").await;
    assert_eq!((reply.status, reply.header("set-cookie"), reply.header("location")), (403, None, None));
    assert!(reply.html().contains("another site"));
    assert_eq!(handler.stub.begun(), 0);
}

#[tokio::test]
async fn what_exact_sends_back_reaches_the_use_case_decoded_once() {
    let handler = Handler::start(Does::Succeed).await;
    for (query, more, visit) in [
        // As the browser sends it, and as the host rebuilds it.
        ("code=stampNL001.AbCd%21IA&state=a.b-c_d", "", finished(Some("stampNL001.AbCd!IA"), Some("a.b-c_d"), None, None)),
        ("code=AbCd!IA%2Bx&state=s", "", finished(Some("AbCd!IA+x"), Some("s"), None, None)),
        ("code=a%2521b&state=s", &with_cookie(), finished(Some("a%21b"), Some("s"), None, Some(COOKIE))),
        ("state=s&code=a+b", "", finished(Some("a b"), Some("s"), None, None)),
        ("error=access_denied&error_description=a%2C%20b&state=s", "", finished(None, Some("s"), Some("access_denied"), None)),
        ("state=s", "", finished(None, Some("s"), None, None)),
        ("code=c", "Cookie: __Host-exact-token-broker-consent=short\r\n", finished(Some("c"), None, None, None)),
        ("confirm=a.b", &with_cookie(), Visit::Decide { meant: true, confirm: "a.b".to_owned(), cookie: Some(COOKIE.to_owned()) }),
        ("discard=a.b", "", Visit::Decide { meant: false, confirm: "a.b".to_owned(), cookie: None }),
    ] {
        let reply = get(&handler, &format!("/api/ConsentCallback?{query}"), more).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (200, None), "{query}");
        assert!(reply.html().contains("<title>Connected to Exact Online | exact-token-broker</title>"), "{}", reply.text);
        assert_eq!(handler.stub.visits.lock().unwrap().pop(), Some(visit), "{query}");
    }
}

#[tokio::test]
async fn another_try_leads_to_exact_with_a_new_cookie() {
    let handler = Handler::start(Does::Succeed).await;
    let reply = get(&handler, "/api/consentcallback/?again=a.b", &with_cookie()).await;
    assert_eq!((reply.status, reply.header("location")), (303, Some(AUTHORIZE_URL)));
    assert!(reply.header("set-cookie").is_some_and(|cookie| cookie.contains(COOKIE)));
    assert_eq!(*handler.stub.visits.lock().unwrap(), [Visit::Again { again: "a.b".to_owned(), cookie: Some(COOKIE.to_owned()) }]);
}

#[tokio::test]
async fn what_went_wrong_is_a_page_with_another_try() {
    let handler = Handler::start(Does::Fail).await;
    for target in ["code=canary&state=canary", "confirm=canary", "again=canary"] {
        let reply = get(&handler, &format!("/api/ConsentCallback?{target}"), "").await;
        assert_eq!((reply.status, reply.header("set-cookie"), reply.header("location")), (400, None, None));
        assert!(reply.html().contains(r#"<form method="get"><input type="hidden" name="again" value="made.up-again">"#), "{}", reply.text);
    }
    let reply = post(&handler, "").await;
    assert_eq!((reply.status, reply.header("set-cookie"), reply.header("location")), (400, None, None));
    assert!(reply.html().contains("<form method=\"post\">"));
}

#[tokio::test]
async fn links_that_nobody_made_are_told_so() {
    let handler = Handler::start(Does::Succeed).await;
    let long = format!("code={}", "canary".repeat(2000));
    for query in [
        "",
        "canary=canary",
        "code=canary&code=b",
        "code=canary%2Cb&state=s",
        "state=canary&state=b&code=c",
        "code=canary&error=b",
        "confirm=canary&again=b",
        "code=canary&confirm=b",
        "code=canary%",
        &long,
    ] {
        let reply = get(&handler, &format!("/api/ConsentCallback?{query}"), "").await;
        assert_eq!(reply.status, 400, "{query}");
        assert!(reply.html().contains("This link cannot be used"), "{}", reply.text);
    }
    assert_eq!(get(&handler, "/api/ConsentCallback", "").await.status, 400);
    assert_eq!(handler.stub.begun(), 0);
}

#[tokio::test]
async fn a_body_is_passed_over_unless_it_is_too_large() {
    let handler = Handler::start(Does::Succeed).await;
    let sized = |size: usize| [request("POST", "/api/Consent", &format!("Content-Length: {size}\r\n")).into_bytes(), vec![b'x'; size]].concat();
    let in_chunks =
        |size: usize| [request("POST", "/api/Consent", "Transfer-Encoding: chunked\r\n").into_bytes(), chunked(&vec![b'x'; size], 65_536)].concat();
    for (size, status, connection) in [(1024 * 1024, 303, None), (1024 * 1024 + 1, 413, Some("close"))] {
        for reply in [handler.ask(sized(size)).await, handler.ask(in_chunks(size)).await] {
            assert_eq!((reply.status, reply.header("connection")), (status, connection));
            reply.html();
        }
    }
    assert_eq!(handler.stub.begun(), 2);
}

#[tokio::test]
async fn wrong_settings_are_a_page_that_names_them() {
    let handler = Handler::with_wrong_settings().await;
    for reply in [
        get(&handler, "/api/Consent", "").await,
        post(&handler, "").await,
        get(&handler, "/api/ConsentCallback?code=canary&state=s", &with_cookie()).await,
    ] {
        assert_eq!((reply.status, reply.header("set-cookie")), (500, None));
        assert!(reply.html().contains("<li>EXACT_CLIENT_ID: is missing; set it.</li>"), "{}", reply.text);
    }
    handler.assert_alive().await;
}

#[tokio::test]
async fn a_panic_is_a_page() {
    let handler = Handler::start(Does::Panic).await;
    for reply in [get(&handler, "/api/Consent", "").await, post(&handler, "").await, get(&handler, "/api/ConsentCallback?code=a&state=s", "").await] {
        assert_eq!(reply.status, 500);
        assert!(reply.html().contains("<h1>Internal error</h1>"));
    }
    handler.assert_alive().await;
}

#[tokio::test]
async fn a_browser_that_goes_away_does_not_cancel_the_exchange() {
    let handler = Handler::start(Does::Wait).await;
    let mut peer = handler.connect().await;
    peer.send(request("GET", "/api/ConsentCallback?code=a&state=s", "")).await;
    handler.stub.until(1, 0).await;
    drop(peer);
    handler.assert_alive().await;
    handler.stub.gate.add_permits(1);
    handler.stub.until(1, 1).await;
}
