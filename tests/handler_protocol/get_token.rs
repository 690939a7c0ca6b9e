//! `GET /api/GetToken`, forwarded.

use exact_token_broker::get_token::Ask;
use jiff::SignedDuration;

use crate::wire::{Does, Handler, chunked};

fn request(query: &str, more: &str) -> String {
    format!(
        "GET /api/GetToken{query} HTTP/1.1\r\nHost: made-up.example\r\nAccept: */*\r\nUser-Agent: curl/8.5.0 Azure-Functions-Host/4.1037.0.0\r\n\
         x-functions-key: FAKEKEY\r\nX-Forwarded-For: 203.0.113.7:40400\r\nX-Azure-Functions-HostVersion: 4.1037.0.0\r\n\
         X-Azure-Functions-InvocationId: made-up\r\nX-Azure-Functions-InvocationId: 5b6f0a5e-6c0b-4a53-9a32-1f1a35b0a7c1\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn the_callers_wishes_reach_the_use_case() {
    let handler = Handler::start(Does::Succeed).await;
    for query in ["", "?code=FAKEKEY&scope=a", "?min_validity=300&code=FAKEKEY&max_wait=0"] {
        let reply = handler.ask(request(query, "")).await;
        reply.assert_error(503, "temporarily_unavailable");
        assert_eq!((reply.header("retry-after"), &reply.json()["retry_after"]), (Some("25"), &25.into()));
    }
    let third = Ask { min_validity: SignedDuration::from_secs(300), max_wait: SignedDuration::ZERO };
    assert_eq!(*handler.stub.asked.lock().unwrap(), [Ask::default(), Ask::default(), third]);
}

#[tokio::test]
async fn a_wish_that_cannot_be_is_refused_by_name() {
    let handler = Handler::start(Does::Succeed).await;
    for (query, named) in [
        ("?min_validity=541", "min_validity"),
        ("?min_validity=", "min_validity"),
        ("?min_validity=1%2C2", "min_validity"),
        ("?max_wait=201", "max_wait"),
        ("?max_wait=made-up-canary", "max_wait"),
        ("?max_wait=1&max_wait=2", "max_wait"),
        ("?code=%zz", "query"),
    ] {
        let reply = handler.ask(request(query, "")).await;
        reply.assert_error(400, "invalid_request");
        assert!(reply.text.contains(named) && !reply.text.contains("canary"), "{}", reply.text);
    }
    assert_eq!(handler.stub.begun(), 0);
}

#[tokio::test]
async fn a_body_is_passed_over_unless_it_is_too_large() {
    let handler = Handler::start(Does::Succeed).await;
    let sized = |size: usize| [request("", &format!("Content-Length: {size}\r\n")).into_bytes(), vec![b'x'; size]].concat();
    let in_chunks = |size: usize| [request("", "Transfer-Encoding: chunked\r\n").into_bytes(), chunked(&vec![b'x'; size], 65_536)].concat();
    for (size, status) in [(2, 503), (1024 * 1024, 503), (1024 * 1024 + 1, 413)] {
        assert_eq!(handler.ask(sized(size)).await.status, status);
        assert_eq!(handler.ask(in_chunks(size)).await.status, status);
    }
    // Not read at all.
    handler.ask(request("", "Content-Length: 1000000000000\r\n")).await.assert_error(413, "invalid_request");
    assert_eq!(handler.stub.begun(), 4);
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    for does in [Does::Panic, Does::PanicAtHand] {
        let handler = Handler::start(does).await;
        let mut peer = handler.connect().await;
        for _ in 0..2 {
            peer.send(request("", "")).await;
            let reply = peer.reply().await;
            reply.assert_error(500, "server_error");
            assert!(!reply.text.contains("canary"));
        }
        handler.assert_alive().await;
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_cancel_the_work() {
    let handler = Handler::start(Does::Wait).await;
    let mut peer = handler.connect().await;
    peer.send(request("", "")).await;
    handler.stub.until(1, 0).await;
    drop(peer);
    handler.stub.gate.add_permits(1);
    handler.stub.until(1, 1).await;
}
