//! Many at once, in one process and in several: one token request.

use std::collections::BTreeSet;

use simulators::functions_host::{FunctionsHost, TimerSample, Verdict};
use tokio::task::JoinSet;

use super::stage::{Stage, get_token};

/// Two ticks and 50 callers, all at once; the one token that they got.
async fn crowd(host: &FunctionsHost) -> String {
    let callers = async {
        let mut callers = JoinSet::new();
        let url = format!("{}/api/GetToken", host.url());
        let client = reqwest::Client::builder().no_proxy().timeout(super::stage::PATIENCE).build().unwrap();
        for _ in 0..50 {
            let request = client.get(&url).header("x-functions-key", simulators::functions_host::Keys::default().function);
            callers.spawn(async move { request.send().await.unwrap().text().await.unwrap() });
        }
        callers.join_all().await
    };
    let sample = TimerSample::normal();
    let (bodies, one, two) = tokio::join!(callers, host.fire_timer(&sample), host.fire_timer(&sample));
    for tick in [one, two] {
        assert_eq!(tick.unwrap().verdict, Verdict::Success);
    }
    let token = |body: &String| -> String {
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        json["access_token"].as_str().unwrap_or_else(|| panic!("{}", json["error_description"])).to_owned()
    };
    sole(bodies.iter().map(token))
}

fn sole(tokens: impl IntoIterator<Item = String>) -> String {
    let tokens: BTreeSet<String> = tokens.into_iter().collect();
    assert_eq!(tokens.len(), 1, "everybody gets the same token");
    tokens.into_iter().next().unwrap()
}

#[tokio::test]
async fn two_ticks_and_fifty_callers_make_one_request() {
    let mut stage = Stage::connected().await;
    let first = crowd(&stage.host().await).await;
    stage.assert_requests(1);
    // At expiry; the simulated Exact grants nothing before 570 s have passed.
    stage.set_clocks(600);
    let second = crowd(&stage.host().await).await;
    assert!(first != second && stage.exact.is_alive(&second));
    stage.assert_requests(2);
}

#[tokio::test]
async fn eight_processes_over_one_token_file_make_one_request() {
    let mut stage = Stage::connected().await;
    let first = eight_processes(&stage).await;
    stage.assert_requests(1);
    stage.set_clocks(600);
    let second = eight_processes(&stage).await;
    assert!(first != second && stage.exact.is_alive(&second));
    stage.assert_requests(2);
    let status = stage.status().await;
    assert_eq!((&status["open_attempts"], &status["failures_in_a_row"]), (&0.into(), &0.into()), "{status}");
}

/// Four handlers and four commands at once; the one token that they got.
async fn eight_processes(stage: &Stage) -> String {
    let hosts = tokio::join!(stage.host(), stage.host(), stage.host(), stage.host());
    let hosts = [hosts.0, hosts.1, hosts.2, hosts.3];
    let served = async {
        let (a, b, c) = tokio::join!(get_token(&hosts[0], ""), get_token(&hosts[1], ""), get_token(&hosts[2], ""));
        [a, b, c].map(|answer| answer.token())
    };
    let command = || async {
        let ran = stage.run(&["token"]).await;
        assert!(ran.success, "{}", ran.stderr);
        ran.stdout.trim_end().to_owned()
    };
    let sample = TimerSample::normal();
    let commands = async { tokio::join!(command(), command(), command(), command()) };
    let (served, commands, tick) = tokio::join!(served, commands, hosts[3].fire_timer(&sample));
    assert_eq!(tick.unwrap().verdict, Verdict::Success);
    let fourth = get_token(&hosts[3], "").await.token();
    sole(served.into_iter().chain([commands.0, commands.1, commands.2, commands.3, fourth]))
}
