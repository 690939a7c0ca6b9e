//! Paths, methods, connections: what the host does beside invoking, and what a peer may do wrong.

use crate::wire::{Does, Handler};

const GET_TOKEN: &str = "GET /api/GetToken HTTP/1.1\r\nHost: a\r\n\r\n";
const PING: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn readiness() {
    let handler = Handler::start(Does::Panic).await;
    handler.assert_alive().await;
    let mut peer = handler.connect().await;
    for request in ["HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /?checkHealth=1 HTTP/1.1\r\nHost: a\r\n\r\n"] {
        peer.send(request).await;
        let reply = peer.head().await;
        assert_eq!((reply.status, reply.header("content-length")), (200, Some("15")));
    }
    assert_eq!(handler.stub.begun(), 0);
}

#[tokio::test]
async fn other_methods_and_paths() {
    let handler = Handler::start(Does::Succeed).await;
    for (method, path, status, allow) in [
        ("POST", "/", 405, Some("GET, HEAD")),
        ("OPTIONS", "/", 405, Some("GET, HEAD")),
        ("GET", "/RefreshToken", 405, Some("POST")),
        ("PUT", "/RefreshToken", 405, Some("POST")),
        ("POST", "/api/GetToken", 405, Some("GET")),
        ("DELETE", "/api/GetToken?code=FAKEKEY", 405, Some("GET")),
        ("BREW", "/api/GetToken", 405, Some("GET")),
        ("DELETE", "/api/Consent?code=FAKEKEY", 405, Some("GET, POST")),
        ("POST", "/api/ConsentCallback", 405, Some("GET")),
        ("GET", "/made-up-canary", 404, None),
        ("GET", "/Consent", 404, None),
        ("POST", "/GetToken", 404, None),
        ("POST", "/api/RefreshToken", 404, None),
        ("GET", "/api/../RefreshToken", 404, None),
        ("OPTIONS", "*", 404, None),
        ("GET", "/%zz", 400, None),
    ] {
        let reply = handler.ask(format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
        reply.assert_error(status, "invalid_request");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
        assert!(!reply.text.contains("canary"));
    }
    let mut peer = handler.connect().await;
    for path in ["/api/GetToken", "/api/Consent", "/api/ConsentCallback"] {
        peer.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(peer.head().await.status, 405, "{path}");
    }
    assert_eq!(handler.stub.begun(), 0);
}

#[tokio::test]
async fn paths_are_matched_as_the_host_matches_them() {
    let handler = Handler::start(Does::Succeed).await;
    for path in ["/api/gettoken", "/API/GETTOKEN", "/api/GetToken/"] {
        let reply = handler.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(reply.status, 503, "{path}");
    }
}

#[tokio::test]
async fn one_connection_carries_many_requests_also_sent_ahead() {
    let handler = Handler::start(Does::Succeed).await;
    let mut peer = handler.connect().await;
    peer.send([PING, GET_TOKEN, PING, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", GET_TOKEN].concat()).await;
    for status in [200, 503, 200, 404, 503] {
        assert_eq!(peer.reply().await.status, status);
    }
    peer.send(PING).await;
    assert_eq!(peer.reply().await.status, 200);
    peer.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(peer.reply().await.status, 200);
    assert!(peer.rest().await.is_empty());
}

#[tokio::test]
async fn a_use_case_that_hangs_blocks_nobody() {
    let handler = Handler::start(Does::Wait).await;
    let (mut one, mut two) = (handler.connect().await, handler.connect().await);
    one.send(GET_TOKEN).await;
    two.send(GET_TOKEN).await;
    handler.stub.until(2, 0).await;
    handler.assert_alive().await;
    handler.stub.gate.add_permits(2);
    assert_eq!((one.reply().await.status, two.reply().await.status), (503, 503));
}

#[tokio::test]
async fn silent_slow_and_senseless_peers_block_nobody() {
    let handler = Handler::start(Does::Succeed).await;
    let mut held = Vec::new();
    for begun in [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost",
        "POST /RefreshToken HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n{",
        "POST /RefreshToken HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{",
    ] {
        for _ in 0..20 {
            let mut peer = handler.connect().await;
            peer.send(begun).await;
            held.push(peer);
        }
    }
    handler.assert_alive().await;
    for senseless in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], b"\r\n\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[0; 4096]]
    {
        let mut peer = handler.connect().await;
        peer.send(senseless).await;
        // Some of it is the beginning of a request for all that the handler knows: no answer is owed.
        peer.0.get_mut().set_zero_linger().unwrap();
        drop(peer);
    }
    let mut endless = handler.connect().await;
    endless.send(["GET / HTTP/1.1\r\nHost: a\r\nX: ", &"x".repeat(2_000_000), "\r\n\r\n"].concat()).await;
    assert!(!endless.rest().await.starts_with(b"HTTP/1.1 2"));
    handler.assert_alive().await;
    assert_eq!(handler.stub.begun(), 0);
}

#[tokio::test]
async fn shutdown_finishes_what_has_begun() {
    let handler = Handler::start(Does::Wait).await;
    let (mut asking, mut idle) = (handler.connect().await, handler.connect().await);
    idle.send(PING).await;
    assert_eq!(idle.reply().await.status, 200);
    asking.send(GET_TOKEN).await;
    handler.stub.until(1, 0).await;

    handler.stop.send(()).unwrap();
    assert!(idle.rest().await.is_empty());
    assert!(!handler.served.is_finished());
    handler.stub.gate.add_permits(1);
    assert_eq!(asking.reply().await.status, 503);
    handler.served.await.unwrap();
}

#[tokio::test]
async fn a_restarted_handler_gets_the_same_port() {
    let first = Handler::start(Does::Succeed).await;
    let mut peer = first.connect().await;
    peer.send(PING).await;
    assert_eq!(peer.reply().await.status, 200);
    let port = first.port;
    first.stop.send(()).unwrap();
    first.served.await.unwrap();
    assert!(exact_token_broker::functions::bind(port).await.is_ok());
}
