//! Many at once: one token request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use simulators::exact_online::{Fault, Loss};
use simulators::functions_host::{FunctionsHost, TimerSample, Verdict};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::azure::OnAzure;
use crate::stage::{PATIENCE, get_token};

/// The one token that all of them got.
fn sole(tokens: impl IntoIterator<Item = String>) -> String {
    let tokens: BTreeSet<String> = tokens.into_iter().collect();
    assert_eq!(tokens.len(), 1, "everybody gets the same token");
    tokens.into_iter().next().unwrap()
}

/// `GetToken` of each host, all at once.
async fn call_all(hosts: &[Arc<FunctionsHost>]) -> Vec<String> {
    let mut calls = JoinSet::new();
    for host in hosts {
        let host = Arc::clone(host);
        calls.spawn(async move { get_token(&host, "").await.token() });
    }
    calls.join_all().await
}

#[tokio::test]
async fn eight_processes_at_expiry_make_one_request() {
    let world = OnAzure::connected().await;
    let hosts = world.hosts(8).await;
    let first = sole(call_all(&hosts).await);
    world.stage.assert_requests(1);

    // Five are called and three have their tick, all at once and all with the first pair in memory.
    world.set_clocks(575);
    let (called, ticking) = hosts.split_at(5);
    let since = Instant::now();
    let mut ticks = JoinSet::new();
    for host in ticking {
        let host = Arc::clone(host);
        ticks.spawn(async move { host.fire_timer(&TimerSample::normal()).await.unwrap() });
    }
    let second = sole(call_all(called).await);
    for tick in ticks.join_all().await {
        assert_eq!((tick.verdict, tick.status), (Verdict::Success, Some(200)), "{:?}", tick.logs);
    }
    println!("measured: eight processes at expiry: one token request, all answered within {:.1} s", since.elapsed().as_secs_f64());
    world.stage.assert_requests(2);
    assert!(first != second && world.stage.exact.is_alive(&second));
    assert!(sole(call_all(&hosts).await) == second, "the ticks know it as well");
    world.stage.assert_requests(2);
    assert_eq!(world.versions(), 3, "the import and two grants");
    let status = world.stage.status().await;
    assert_eq!((&status["state"], &status["candidates"], &status["open_attempts"]), (&"connected".into(), &0.into(), &0.into()), "{status}");
}

/// 250 connections to each of four processes, past the front end.
#[tokio::test]
async fn a_thousand_callers_over_four_processes_make_one_request() {
    const CALLERS: usize = 250;
    let world = OnAzure::connected().await;
    let hosts = world.hosts(4).await;
    let first = sole(call_all(&hosts).await);
    world.stage.assert_requests(1);

    world.set_clocks(575);
    // All of them have come when the reply does.
    world.stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(3))));
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
    let since = Instant::now();
    let mut calls = JoinSet::new();
    for host in &hosts {
        let url = format!("http://127.0.0.1:{}/api/GetToken", host.handlers()[0].port);
        for _ in 0..CALLERS {
            let request = client.get(&url);
            calls.spawn(async move {
                let response = request.send().await.unwrap();
                let (status, body) = (response.status().as_u16(), response.text().await.unwrap());
                let body: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert_eq!(status, 200, "{}", body["error_description"]);
                body["access_token"].as_str().unwrap().to_owned()
            });
        }
    }
    let tokens = calls.join_all().await;
    assert_eq!(tokens.len(), 4 * CALLERS);
    let second = sole(tokens);
    let took = since.elapsed().as_secs_f64();
    println!("measured: 1,000 callers at expiry over four processes: one token request, all answered within {took:.1} s, of which Exact took 3");
    world.stage.assert_requests(2);
    assert!(first != second && world.stage.exact.is_alive(&second));
}
