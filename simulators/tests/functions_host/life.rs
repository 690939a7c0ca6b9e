//! Start, crash, kill, stop, restart.

use std::time::Duration;

use simulators::functions_host::{EventKind, ExitZero, FunctionsHost, Phase, Verdict};

use crate::{App, alive, tick, until};

#[tokio::test]
async fn a_crash_respawns_on_the_same_port_and_the_third_ends_the_host() {
    let app = App::new(true);
    let host = app.start().await;
    let first = host.wait_ready().await.unwrap();
    let pid = host.pid().unwrap();
    host.crash().unwrap();
    let second = host.wait_ready().await.unwrap();
    assert_eq!(first.port, second.port);
    assert_ne!(host.pid().unwrap(), pid);
    assert!(!alive(pid));
    assert!(tick(&host).await.verdict.is_success());
    app.mode("exit at start 7");
    host.crash().unwrap();
    until(&host, |kind| matches!(kind, EventKind::GivenUp { .. })).await;
    assert!(host.wait_ready().await.is_err());
    assert_eq!(host.handlers()[0].phase, Phase::GivenUp);
    assert_eq!(tick(&host).await.verdict.failure(), Some("the host has stopped"));
    let exits = host.events().into_iter().filter_map(|event| match event.kind {
        EventKind::HandlerExited { how, respawned, .. } => Some((how, respawned)),
        _ => None,
    });
    let exits: Vec<(String, bool)> = exits.collect();
    assert_eq!(exits.iter().map(|(_, respawned)| *respawned).collect::<Vec<_>>(), [true, true, false]);
    assert!(exits[0].0.contains("137") && exits[2].0.contains("code 7"), "{exits:?}");
}

#[tokio::test]
async fn exit_zero_follows_the_option() {
    let app = App::new(true);
    app.mode("exit at start 0");
    let mut options = app.options();
    options.exit_zero = ExitZero::StaysDead;
    let host = FunctionsHost::start_unready(options).await.unwrap();
    let tick_on_dead = tick(&host).await;
    assert_eq!(host.handlers()[0].phase, Phase::Dead);
    assert!(tick_on_dead.verdict.failure().unwrap().contains("HttpRequestException"));

    let host = FunctionsHost::start_unready(app.options()).await.unwrap();
    until(&host, |kind| matches!(kind, EventKind::HandlerExited { respawned: true, .. })).await;
    app.mode("");
    host.wait_ready().await.unwrap();
}

#[tokio::test]
async fn function_timeout_kills_and_respawns_uncounted() {
    let app = App::new(true);
    let mut options = app.options();
    options.function_timeout = Some(Duration::from_millis(200));
    let host = FunctionsHost::start(options).await.unwrap();
    app.mode("hang");
    for _ in 0..4 {
        assert_eq!(tick(&host).await.verdict, Verdict::TimedOut);
    }
    app.mode("");
    assert!(tick(&host).await.verdict.is_success());
}

#[tokio::test]
async fn what_never_completes_can_be_acted_out() {
    let app = App::new(true);
    let mut options = app.options();
    options.function_timeout = Some(Duration::from_millis(200));
    options.act_out_hangs = true;
    let host = FunctionsHost::start(options).await.unwrap();
    let pid = host.pid().unwrap();
    app.mode("null");
    assert_eq!(tick(&host).await.verdict, Verdict::TimedOut);
    host.wait_ready().await.unwrap();
    assert_ne!(host.pid().unwrap(), pid);
}

#[tokio::test]
async fn a_mute_handler_runs_out_of_its_readiness_budget() {
    let app = App::new(true);
    app.mode("mute");
    let mut options = app.options();
    options.readiness_budget = Some(Duration::from_millis(100));
    let error = FunctionsHost::start(options).await.err().unwrap();
    assert!(error.to_string().contains("GivenUp"), "{error:#}");
}

#[tokio::test]
async fn stop_drains_and_kill_does_not() {
    let app = App::new(true);
    let host = app.start().await;
    let pid = host.pid().unwrap();
    app.mode("slow");
    let in_flight = |kind: &EventKind| matches!(kind, EventKind::Console(line) if line.text.contains("slow"));
    let (drained, stopped) = tokio::join!(tick(&host), async {
        until(&host, in_flight).await;
        host.stop().await
    });
    stopped.unwrap();
    assert!(drained.verdict.is_success());
    assert!(!alive(pid));
    assert!(!tick(&host).await.verdict.is_success());

    let host = app.start().await;
    let pid = host.pid().unwrap();
    let (cut, killed) = tokio::join!(tick(&host), async {
        until(&host, in_flight).await;
        host.kill().await
    });
    killed.unwrap();
    assert!(!cut.verdict.is_success());
    assert!(!alive(pid));
    app.mode("");
    host.respawn().await.unwrap();
    assert!(tick(&host).await.verdict.is_success());
}

#[tokio::test]
async fn two_handlers_live_during_an_overlapping_restart() {
    let app = App::new(true);
    let host = app.start().await;
    let (old_pid, old_port) = (host.pid().unwrap(), host.handlers()[0].port);
    app.mode("slow");
    let (drained, new) = tokio::join!(tick(&host), async {
        until(&host, |kind| matches!(kind, EventKind::Console(line) if line.text.contains("slow"))).await;
        let new = host.restart_overlapping().await.unwrap();
        assert!(alive(old_pid) && alive(host.pid().unwrap()));
        new
    });
    assert!(drained.verdict.is_success());
    assert_ne!(new.port, old_port);
    until(&host, |kind| matches!(kind, EventKind::HandlerExited { pid, .. } if *pid == old_pid)).await;
    assert!(alive(host.pid().unwrap()));
}

#[tokio::test]
async fn an_interrupt_reaches_the_handler_and_a_drop_kills_it() {
    let app = App::new(true);
    let host = app.start().await;
    let pid = host.pid().unwrap();
    host.interrupt().unwrap();
    until(&host, |kind| matches!(kind, EventKind::HandlerExited { how, respawned: true, .. } if how.contains("130"))).await;
    host.wait_ready().await.unwrap();
    let next = host.pid().unwrap();
    assert_ne!(next, pid);
    drop(host);
    let gone = async {
        while alive(next) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}
