//! `POST /RefreshToken`.

use crate::wire::{Does, Handler, Reply, chunked};

const STATUS: &str =
    r#"{"Last":"2026-11-23T16:36:00.0103372+00:00","Next":"2026-11-23T16:45:00+00:00","LastUpdated":"2026-11-23T16:36:00.0103372+00:00"}"#;
const TRACE: &str = "traceparent: 00-bb2bd5eef54cb15a1506d0326d2489e7-d3f54c84c7034d76-00\r\n";

fn envelope(dst: bool, status: &str, past_due: bool, retry: &str) -> String {
    format!(
        r#"{{"Data":{{"timer":{{"Schedule":{{"AdjustForDST":{dst}}},"ScheduleStatus":{status},"IsPastDue":{past_due}}}}},"Metadata":{{"sys":{{"MethodName":"RefreshToken","UtcNow":"2026-11-23T16:45:00.0312345Z","RandGuid":"35e6e68c-5583-436c-a277-5aec2b416ba8"}}{retry}}}}}"#
    )
}

fn head(framing: &str, more: &str) -> String {
    format!(
        "POST /RefreshToken HTTP/1.1\r\nHost: 127.0.0.1:34963\r\nX-Azure-Functions-HostVersion: 4.1037.0.0\r\n\
         X-Azure-Functions-InvocationId: 83a33220-a921-460a-bec0-b3f043dcf1ff\r\nUser-Agent: Azure-Functions-Host/4.1037.0.0\r\n\
         {framing}\r\n{more}Content-Type: application/json; charset=utf-8\r\n\r\n"
    )
}

/// As in Azure.
async fn tick_chunked(handler: &Handler, body: &[u8]) -> Reply {
    handler.ask([head("Transfer-Encoding: chunked", TRACE).as_bytes(), &chunked(body, body.len().max(1))].concat()).await
}

/// As under Core Tools.
async fn tick_sized(handler: &Handler, body: &[u8]) -> Reply {
    handler.ask([head(&format!("Content-Length: {}", body.len()), "").as_bytes(), body].concat()).await
}

fn assert_success(reply: &Reply) {
    let expected = serde_json::json!({ "Logs": ["made-up line"], "Outputs": {}, "ReturnValue": null });
    assert_eq!((reply.status, reply.json()), (200, expected));
}

#[tokio::test]
async fn every_envelope_that_the_host_sends() {
    let handler = Handler::start(Does::Succeed).await;
    let exception = format!(r#"{{"ClassName":"X","Message":"500","Data":null,"StackTraceString":"{}"}}"#, "at A.B()\\r\\n".repeat(9_000));
    let retry = format!(
        r#","RetryContext":{{"RetryCount":1,"MaxRetryCount":3,"Exception":{exception},"Instance":null,"State":{{}}}},"Unknown":[1,{{"a":null}}]"#
    );
    let never = r#"{"Last":"0001-01-01T00:00:00+00:00","Next":"2026-11-23T16:45:00+00:00","LastUpdated":"0001-01-01T00:00:00+00:00"}"#;
    let bodies = [
        envelope(true, STATUS, false, ""),
        envelope(true, "null", false, ""),
        envelope(true, never, false, ""),
        envelope(true, &never.replace("+00:00", ""), false, ""),
        envelope(true, STATUS, true, ""),
        envelope(true, STATUS, false, &retry),
        envelope(false, STATUS, false, ""),
    ];
    assert!(bodies[5].len() > 100_000);
    for body in &bodies {
        assert_success(&tick_chunked(&handler, body.as_bytes()).await);
        assert_success(&tick_sized(&handler, body.as_bytes()).await);
    }
    assert_eq!(handler.stub.begun(), 2 * bodies.len());
}

#[tokio::test]
async fn a_chunked_body_in_small_segments() {
    let handler = Handler::start(Does::Succeed).await;
    let body = envelope(true, STATUS, false, "");
    let request = [head("Transfer-Encoding: chunked", TRACE).as_bytes(), &chunked(body.as_bytes(), 10)].concat();
    let mut peer = handler.connect().await;
    for segment in request.chunks(7) {
        peer.send(segment).await;
        tokio::task::yield_now().await;
    }
    assert_success(&peer.reply().await);
}

#[tokio::test]
async fn a_failed_tick_fails_the_invocation() {
    let handler = Handler::start(Does::Fail).await;
    let reply = tick_chunked(&handler, envelope(true, STATUS, false, "").as_bytes()).await;
    assert_eq!((reply.status, &reply.json()["Logs"][0]), (500, &"made-up line".into()));
}

#[tokio::test]
async fn a_panic_fails_the_invocation_and_not_the_process() {
    let handler = Handler::start(Does::Panic).await;
    let reply = tick_chunked(&handler, envelope(true, STATUS, false, "").as_bytes()).await;
    reply.assert_error(500, "server_error");
    assert!(!reply.text.contains("canary"));
    handler.assert_alive().await;
}

#[tokio::test]
async fn a_body_of_one_mebibyte_and_not_a_byte_more() {
    let handler = Handler::start(Does::Succeed).await;
    let mut body = envelope(true, STATUS, false, "").into_bytes();
    body.resize(1024 * 1024, b' ');
    assert_success(&tick_sized(&handler, &body).await);
    assert_success(&tick_chunked(&handler, &body).await);
    body.push(b' ');
    tick_sized(&handler, &body).await.assert_error(413, "invalid_request");
    tick_chunked(&handler, &body).await.assert_error(413, "invalid_request");
    assert_eq!(handler.stub.begun(), 2);
}

#[tokio::test]
async fn what_is_no_envelope_runs_nothing() {
    let handler = Handler::start(Does::Succeed).await;
    for body in [&b""[..], b"{}", b"null", b"[]", b"{\"Data\":{\"timer\":", b"\xff\x00\xfe", b"made-up-canary"] {
        for reply in [tick_sized(&handler, body).await, tick_chunked(&handler, body).await] {
            reply.assert_error(400, "invalid_request");
            assert!(!reply.text.contains("canary"));
        }
    }
    let bad_chunk = [head("Transfer-Encoding: chunked", "").as_bytes(), b"zz\r\n{}\r\n0\r\n\r\n"].concat();
    assert_eq!(handler.ask(bad_chunk).await.status, 400);
    assert_eq!(handler.stub.begun(), 0);
    handler.assert_alive().await;
}

#[tokio::test]
async fn a_sender_that_asks_whether_to_go_on() {
    let handler = Handler::start(Does::Succeed).await;
    let body = envelope(true, STATUS, false, "");
    let mut peer = handler.connect().await;
    peer.send(head(&format!("Content-Length: {}", body.len()), "Expect: 100-continue\r\n")).await;
    assert_eq!(peer.head().await.status, 100);
    peer.send(body).await;
    assert_success(&peer.reply().await);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_cancel_the_tick() {
    let handler = Handler::start(Does::Wait).await;
    let body = envelope(true, STATUS, false, "");
    let mut peer = handler.connect().await;
    peer.send([head("Transfer-Encoding: chunked", "").as_bytes(), &chunked(body.as_bytes(), 100)].concat()).await;
    handler.stub.until(1, 0).await;
    drop(peer);
    handler.assert_alive().await;
    handler.stub.gate.add_permits(1);
    handler.stub.until(1, 1).await;
}
