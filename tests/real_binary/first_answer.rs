//! The host waits for the first answer, and for a reply to whatever it sends: it gets both, whatever else is down.

use std::time::Duration;

use serde_json::{Value, json};
use simulators::functions_host::{Framing, FunctionsHost, Reply, TimerSample, Verdict};

use super::stage::{Stage, exits, get_token};

/// Far more than is needed; the host itself waits 30 s.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// Exact refuses connections, and the token file's folder is a file.
async fn everything_is_down() -> Stage {
    let mut stage = Stage::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stage.set("EXACT_BASE_URL", &format!("http://{nobody}"));
    let file = stage.folder().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    stage.set("TOKEN_FILE", file.join("token.json").to_str().unwrap());
    stage
}

#[tokio::test]
async fn it_answers_at_once_with_every_upstream_down() {
    let stage = everything_is_down().await;
    let host = stage.host().await;
    let ready_after = host.ready_after().unwrap();
    println!("measured: the handler answers {} ms after its start with every upstream down", ready_after.as_millis());
    assert!(ready_after < READY_WITHIN, "{ready_after:?}");
    host.assert_answers_at_once().await.unwrap();
    host.assert_loopback_only().unwrap();
    // The tick holds, as it does for a gate: the store may be back in a moment. Nobody else waits for that.
    let sample = TimerSample::normal();
    let (tick, ()) = tokio::join!(host.fire_timer(&sample), async {
        let asked = tokio::time::Instant::now();
        let description = get_token(&host, "").await.error(503, "temporarily_unavailable");
        assert!(description.contains("TOKEN_FILE"), "{description}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        host.assert_answers_at_once().await.unwrap();
    });
    let tick = tick.unwrap();
    assert!(matches!(tick.verdict, Verdict::Failure(_)), "{tick:?}");
    assert_eq!(tick.status, Some(500));
    let body: Value = serde_json::from_slice(&tick.body).unwrap();
    assert!(body["Logs"][0].as_str().unwrap().contains("TOKEN_FILE"), "{body}");
    assert!(tick.duration < Duration::from_secs(170), "{:?}", tick.duration);
    host.assert_answers_at_once().await.unwrap();
    assert!(exits(&host).is_empty());
}

#[tokio::test]
async fn an_exact_that_refuses_connections_costs_no_token() {
    let mut stage = Stage::connected().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let right = stage.exact.base_url();
    stage.set("EXACT_BASE_URL", &format!("http://{nobody}"));
    // Imported again: a chain belongs to the site that the settings name.
    let imported = stage.run_with(&["import", "--replace"], &stage.exact.issue_chain()).await;
    assert!(imported.success, "{imported:?}");
    let host = stage.host().await;
    let description = get_token(&host, "?max_wait=2").await.error(503, "temporarily_unavailable");
    assert!(description.contains("could not be reached"), "{description}");
    assert_eq!(stage.status().await["last_failure_class"], "not_sent");
    stage.assert_requests(0);

    stage.set("EXACT_BASE_URL", &right);
    let other_site = get_token(&stage.host().await, "").await.error(409, "consent_required");
    assert!(other_site.contains("EXACT_CLIENT_ID and EXACT_REGION"), "{other_site}");
}

#[tokio::test]
async fn every_form_of_a_tick_is_understood() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    for (name, sample) in TimerSample::all() {
        let tick = host.fire_timer(&sample).await.unwrap();
        assert_eq!(tick.verdict, Verdict::Success, "{name}");
        assert_eq!(tick.logs.len(), 1, "{name}");
    }
    let big = host.fire_timer(&TimerSample::retry(3, -1, 900 * 1024)).await.unwrap();
    assert_eq!(big.verdict, Verdict::Success);
    stage.assert_requests(1);
}

#[tokio::test]
async fn a_body_above_1_mib_is_refused_whichever_way_it_is_framed() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    let json = [("Content-Type", "application/json; charset=utf-8")];
    for size in [(1 << 20) + 1, 9 << 20] {
        for framing in [Framing::ContentLength, Framing::Chunked, Framing::Split { chunk: 65_536, segment: 1_000_000 }] {
            let reply = host.send_raw("POST", "/RefreshToken", &json, Some((vec![b' '; size], framing))).await.unwrap();
            assert_eq!(error(&reply), (413, "invalid_request".to_owned()), "{size} {framing:?}");
            assert_eq!(reply.header("connection"), Some("close"), "{size} {framing:?}");
        }
    }
    assert_eq!(host.fire_timer(&TimerSample::normal()).await.unwrap().verdict, Verdict::Success);
    assert!(exits(&host).is_empty());
}

#[tokio::test]
async fn i9_no_route_and_no_method_gets_an_empty_2xx() {
    const METHODS: [&str; 11] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "X"];
    const TARGETS: [&str; 18] = [
        "/",
        "/?x",
        "/RefreshToken",
        "/RefreshToken/",
        "/refreshtoken",
        "/GetToken",
        "/api/GetToken",
        "/api/GetToken/",
        "/API/gettoken",
        "/api/GetToken?min_validity=541",
        "/api/GetToken?min_validity=%zz",
        "/api/GetToken?max_wait=0",
        "/api",
        "/api/Status",
        "/favicon.ico",
        "//",
        "/%",
        "*",
    ];
    let stage = Stage::start().await;
    let host = stage.host().await;
    let bodies = [None, Some((Vec::new(), Framing::ContentLength)), Some((b"null".to_vec(), Framing::Chunked))];
    for method in METHODS {
        for target in TARGETS {
            for body in &bodies {
                let reply = host.send_raw(method, target, &[], body.clone()).await.unwrap();
                assert_no_trap(&reply, &format!("{method} {target} {body:?}"), method == "HEAD");
            }
        }
    }
    for target in ["/nowhere", "/api/nowhere?x=1"] {
        assert_eq!(error(&host.send_raw("GET", target, &[], None).await.unwrap()), (404, "invalid_request".to_owned()));
    }
    host.assert_answers_at_once().await.unwrap();
    assert_alive(&host).await;
}

/// The host waits for ever for an empty 2xx, and Data Factory follows 3xx and takes 202 for success.
fn assert_no_trap(reply: &Reply, what: &str, head: bool) {
    assert!(reply.status == 200 || (400..=599).contains(&reply.status), "{what}: {}", reply.status);
    if head {
        return;
    }
    let json: Value = serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{what}: {error}: {reply:?}"));
    assert!(json.as_object().is_some_and(|members| !members.is_empty()), "{what}: {json}");
}

fn error(reply: &Reply) -> (u16, String) {
    let json: Value = serde_json::from_slice(&reply.body).unwrap();
    (reply.status, json["error"].as_str().unwrap().to_owned())
}

async fn assert_alive(host: &FunctionsHost) {
    let reply = host.send_raw("GET", "/", &[], None).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), json!({ "status": "ok" }));
    assert!(exits(host).is_empty(), "{:?}", exits(host));
}
