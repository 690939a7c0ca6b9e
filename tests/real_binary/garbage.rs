//! Whatever arrives on its port, the handler goes on: three exits would take the whole host down.

use std::time::Duration;

use simulators::functions_host::{FunctionsHost, TimerSample, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::stage::{Stage, exits, get_token};

#[tokio::test]
async fn garbage_ends_nothing() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    let token = get_token(&host, "").await.token();
    let (pid, port) = (host.pid().unwrap(), host.handlers()[0].port);

    let mut senders = JoinSet::new();
    for bytes in written_by_hand().into_iter().chain(random()) {
        senders.spawn(send(port, bytes));
    }
    let replies = senders.join_all().await;
    assert!(replies.iter().all(|reply| is_refusal_or_nothing(reply)), "an empty 2xx, or none of HTTP");
    assert!(replies.iter().any(|reply| reply.starts_with(b"HTTP/1.1 4")), "nothing reached the handler");

    assert_unmoved(&host, pid).await;
    assert!(get_token(&host, "").await.token() == token);
    assert_eq!(host.fire_timer(&TimerSample::normal()).await.unwrap().verdict, Verdict::Success);
    stage.assert_requests(1);
}

#[tokio::test]
async fn requests_that_never_end_hold_up_nobody() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    let (pid, port) = (host.pid().unwrap(), host.handlers()[0].port);
    let mut open = Vec::new();
    for beginning in ["", "G", "GET / HTTP/1.1\r\nHost: x", "POST /RefreshToken HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{", "\0"] {
        for _ in 0..60 {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            stream.write_all(beginning.as_bytes()).await.unwrap();
            open.push(stream);
        }
    }
    assert_unmoved(&host, pid).await;
    get_token(&host, "").await.token();
    assert_eq!(host.fire_timer(&TimerSample::normal()).await.unwrap().verdict, Verdict::Success);
    drop(open);
    assert_unmoved(&host, pid).await;
}

async fn assert_unmoved(host: &FunctionsHost, pid: u32) {
    host.assert_answers_at_once().await.unwrap();
    assert!(exits(host).is_empty(), "{:?}", exits(host));
    assert_eq!(host.pid().unwrap(), pid);
    let panicked: Vec<_> = host.console().into_iter().filter(|line| line.text.contains("panicked")).collect();
    assert!(panicked.is_empty(), "{panicked:?}");
}

/// What came back, until the handler closed; nothing if it did not answer within a second.
async fn send(port: u16, bytes: Vec<u8>) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut reply = Vec::new();
    // A handler that has read enough may close before everything is written.
    let exchange = async {
        let write = async {
            let _ = writer.write_all(&bytes).await;
            let _ = writer.shutdown().await;
        };
        let _ = tokio::join!(write, reader.read_to_end(&mut reply));
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), exchange).await;
    reply
}

fn is_refusal_or_nothing(reply: &[u8]) -> bool {
    let text = String::from_utf8_lossy(reply);
    match text.split_ascii_whitespace().nth(1).and_then(|status| status.parse::<u16>().ok()) {
        Some(400..=599) => true,
        Some(200) => text.contains("\r\n\r\n{"),
        Some(_) => false,
        None => reply.is_empty(),
    }
}

fn written_by_hand() -> Vec<Vec<u8>> {
    let get = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").into_bytes();
    let post = |headers: &str, body: &str| format!("POST /RefreshToken HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}").into_bytes();
    let nested = format!("{{\"Data\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        b"\r\n\r\n\r\n".to_vec(),
        b"GET /\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\nBad\0Name: y\r\n\r\n".to_vec(),
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n".to_vec(),
        b"GET http://elsewhere/api/GetToken HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n".to_vec(),
        get("/%", ""),
        get("/api/GetToken%2", ""),
        get("/api/GetToken?min_validity=%f", ""),
        get("/api/GetToken?%00=%00&min_validity=%00", ""),
        get("/api/GetToken/../../RefreshToken", ""),
        get(&format!("/{}", "a".repeat(1 << 16)), ""),
        get(&format!("/api/GetToken?{}", "x&".repeat(40_000)), ""),
        get("/", &format!("X-Long: {}\r\n", "y".repeat(1 << 20))),
        get("/", &"X-Many: y\r\n".repeat(5_000)),
        get("/api/GetToken", "traceparent: \u{e9}\u{1F511}\r\nX-Azure-Functions-InvocationId: {}\r\n"),
        get("/api/GetToken", "Expect: 100-continue\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"),
        post("Content-Length: 5\r\nContent-Length: 6", "12345"),
        post("Content-Length: -1", ""),
        post("Content-Length: 99999999999999999999", ""),
        post("Content-Length: 18446744073709551615", "{}"),
        post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked", "fffffffffffffffff\r\n"),
        post("Transfer-Encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n"),
        post("Transfer-Encoding: gzip, chunked", "2\r\n{}\r\n0\r\n\r\n"),
        post("Content-Type: application/xml\r\nContent-Length: 4", "<a/>"),
        post(&format!("Content-Length: {}", nested.len()), &nested),
        post("Content-Length: 8", "{\"Data\":"),
        post("Content-Length: 100", "{\"Data\":"),
    ]
}

/// Of every length up to 1000 bytes, some behind a sound beginning. The same at each run.
fn random() -> Vec<Vec<u8>> {
    let beginnings: [&[u8]; 4] =
        [b"", b"GET /", b"POST /RefreshToken HTTP/1.1\r\n", b"POST /RefreshToken HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"];
    let mut state = 7_u64;
    let mut byte = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..200).map(|round| beginnings[round % 4].iter().copied().chain((0..round * 5).map(|_| byte())).collect()).collect()
}
