//! Every reply of the token endpoint that users have reported: an answer in our own words, and nothing of Exact's body anywhere.

use std::sync::Arc;

use simulators::exact_online::{Fault, OddGrant, Reply, bodies};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::stage::{Stage, get_token};

/// Stages at a time: two cores, and a process or two for each.
const AT_ONCE: usize = 4;

#[tokio::test]
async fn every_reported_reply_is_answered_without_a_byte_of_it() {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut tests = JoinSet::new();
    for canned in bodies::ALL {
        let turns = Arc::clone(&turns);
        tests.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            answered(canned.name, Fault::instead(*canned), canned.reply()).await;
        });
    }
    let other = [
        ("1 MiB", Fault::instead(bodies::oversized()), bodies::oversized()),
        ("rotated, then 500", Fault::commit_then(bodies::EXTRACT_VARIABLES), bodies::EXTRACT_VARIABLES.reply()),
        ("no refresh token", Fault::Odd(OddGrant::LacksRefreshToken), Reply::new(200, &[], "")),
        ("no access token", Fault::Odd(OddGrant::LacksAccessToken), Reply::new(200, &[], "")),
        ("error with a token", Fault::Odd(OddGrant::ErrorWithRefreshToken), Reply::new(400, &[], "")),
    ];
    for (name, fault, reply) in other {
        let turns = Arc::clone(&turns);
        tests.spawn(async move {
            let _turn = turns.acquire().await.unwrap();
            answered(name, fault, reply).await;
        });
    }
    tests.join_all().await;
}

async fn answered(name: &str, fault: Fault, reply: Reply) {
    let stage = Stage::connected().await;
    stage.exact.script(fault);
    let host = stage.host().await;
    let answer = get_token(&host, "?max_wait=5").await;
    let (code, error) = if expected_class(name) == "misconfigured" { (500, "server_error") } else { (503, "temporarily_unavailable") };
    let description = answer.error(code, error);
    let status = stage.status().await;
    let shown = stage.run(&["status"]).await;
    stage.assert_requests(1);

    let class = status["last_failure_class"].as_str().unwrap_or_else(|| panic!("{name}: {status}"));
    assert_eq!(class, expected_class(name), "{name}: {description}");
    let open = usize::from(class == "unclear");
    assert_eq!((&status["open_attempts"], &status["failures_in_a_row"]), (&open.into(), &1.into()), "{name}: {status}");

    let pieces = telling_pieces(&reply);
    assert_eq!(host.search(&pieces), [], "{name}");
    for text in [answer.body, status.to_string(), shown.stdout, shown.stderr] {
        for piece in pieces.iter().map(String::as_str).chain([simulators::exact_online::MARKER]) {
            assert!(!text.contains(piece), "{name}: {text}");
        }
    }
    assert_eq!(host.search(&[simulators::exact_online::MARKER.to_owned()]), [], "{name}");
}

/// By what is to be done next; what is not listed leaves open whether the token was spent.
fn expected_class(name: &str) -> &'static str {
    match name {
        "TOO_EARLY" | "TOO_EARLY_401" | "TOO_EARLY_INVALID_REQUEST" => "too_early",
        "OLD_REFRESH_TOKEN" | "CHAIN_ID" | "REFRESH_TOKEN_EXPIRED" => "refused",
        "INVALID_CLIENT" | "INVALID_CLIENT_BASIC" | "UNAUTHORIZED_CLIENT" => "misconfigured",
        "TOO_MANY_REQUESTS" | "TOO_MANY_REQUESTS_BARE" | "BLOCKED_USER" | "LICENSE_EXPIRED" => "throttled",
        _ => "unclear",
    }
}

/// Of body and headers: the whole, and every run of words between marks, long enough not to be ours by chance.
fn telling_pieces(reply: &Reply) -> Vec<String> {
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    let values = reply.headers.iter().map(|(_, value)| value.clone());
    let values: Vec<String> = values.filter(|value| !value.starts_with("application/")).collect();
    let runs = std::iter::once(&body).chain(&values).flat_map(|text| text.split(['"', '<', '>', '{', '}', '\n', '\r']));
    let runs: Vec<String> = runs.map(str::trim).filter(|run| run.len() >= 12 && !OURS.contains(run)).map(str::to_owned).collect();
    // The filler of the long one would be searched for 1 MiB at a time.
    runs.into_iter().map(|run| run.chars().take(200).collect()).collect()
}

/// Words that our own texts may have as well: of RFC 6749, and a name.
const OURS: [&str; 6] = ["Exact Online", "access_denied", "invalid_client", "invalid_request", "unauthorized_client", "error_description"];
