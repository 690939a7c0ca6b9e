//! `GET /api/Status`, forwarded.

use crate::wire::{Does, Handler};

/// As a monitor asks, with the key where such services put it.
fn request(method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: made-up.example\r\nUser-Agent: made-up-monitor/1.0 Azure-Functions-Host/4.1037.0.0\r\n\
         X-Forwarded-For: 203.0.113.7:40400\r\nX-Azure-Functions-InvocationId: 5b6f0a5e-6c0b-4a53-9a32-1f1a35b0a7c1\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn a_monitor_reads_the_status_code_and_a_person_the_rest() {
    for (does, expected) in [(Does::Succeed, 200), (Does::Fail, 503)] {
        let handler = Handler::start(does).await;
        let mut peer = handler.connect().await;
        for path in ["/api/Status", "/api/Status?code=FAKEKEY", "/api/status/", "/api/Status?min_validity=made-up"] {
            peer.send(request("GET", path, "")).await;
            let reply = peer.reply().await;
            let json = reply.json();
            assert_eq!((reply.status, &json["version"], &json["servable"]), (expected, &1.into(), &(expected == 200).into()), "{path}");
            assert!(reply.header("retry-after").is_none() && json.get("error").is_none());
        }
        assert_eq!(handler.stub.begun(), 4);
    }
}

#[tokio::test]
async fn it_is_read_and_nothing_else() {
    let handler = Handler::start(Does::Succeed).await;
    for method in ["POST", "HEAD", "DELETE"] {
        let mut peer = handler.connect().await;
        peer.send(request(method, "/api/Status", "Content-Length: 0\r\n")).await;
        let reply = if method == "HEAD" { peer.head().await } else { peer.reply().await };
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET")), "{method}");
    }
    let large = handler.ask(request("GET", "/api/Status", "Content-Length: 1000000000000\r\n")).await;
    large.assert_error(413, "invalid_request");
    assert_eq!(handler.stub.begun(), 0);
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let handler = Handler::start(Does::Panic).await;
    let reply = handler.ask(request("GET", "/api/Status", "")).await;
    reply.assert_error(500, "server_error");
    assert!(!reply.text.contains("canary"));
    handler.assert_alive().await;
}
