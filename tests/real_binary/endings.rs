//! Ctrl+C in the terminal of `func start`, and the host's own stop.

use std::time::Duration;

use simulators::exact_online::{Fault, Loss};
use simulators::functions_host::{ExitZero, FunctionsHost, Phase};

use super::stage::{Stage, exits, get_token, until};

async fn host(stage: &Stage) -> FunctionsHost {
    let mut options = stage.options();
    options.exit_zero = ExitZero::StaysDead;
    FunctionsHost::start(options).await.unwrap()
}

async fn until_dead(host: &FunctionsHost) {
    until("the handler ends", || host.handlers()[0].phase == Phase::Dead).await;
    let exits = exits(host);
    assert!(matches!(&exits[..], [how] if how.starts_with("exited with code 0 ")), "{exits:?}");
}

#[tokio::test]
async fn ctrl_c_ends_it_cleanly_and_soon() {
    let stage = Stage::connected().await;
    let host = host(&stage).await;
    get_token(&host, "").await.token();
    let begun = tokio::time::Instant::now();
    host.interrupt().unwrap();
    until_dead(&host).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn ctrl_c_finishes_the_refresh_that_is_under_way() {
    let stage = Stage::connected().await;
    stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(3))));
    let host = host(&stage).await;
    let caller = get_token(&host, "");
    let interrupt = async {
        stage.until_requests(1).await;
        host.interrupt().unwrap();
    };
    let (answer, ()) = tokio::join!(caller, interrupt);
    let token = answer.token();
    until_dead(&host).await;
    assert!(stage.run(&["token"]).await.stdout == format!("{token}\n"));
    stage.assert_requests(1);
}

#[tokio::test]
async fn ctrl_c_finishes_a_refresh_that_is_slower_than_the_shutdown() {
    let stage = Stage::connected().await;
    stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(14))));
    let host = host(&stage).await;
    let caller = get_token(&host, "?max_wait=1");
    let interrupt = async {
        stage.until_requests(1).await;
        host.interrupt().unwrap();
    };
    let (answer, ()) = tokio::join!(caller, interrupt);
    answer.error(503, "temporarily_unavailable");
    until_dead(&host).await;
    let printed = stage.run(&["token"]).await;
    assert!(printed.success && stage.exact.is_alive(printed.stdout.trim()), "{}", printed.stderr);
    stage.assert_requests(1);
}

#[tokio::test]
async fn a_second_handler_takes_over_while_the_first_one_drains() {
    let stage = Stage::connected().await;
    stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(2))));
    let host = host(&stage).await;
    let first = get_token(&host, "");
    let restart = async {
        stage.until_requests(1).await;
        host.restart_overlapping().await.unwrap();
        get_token(&host, "").await.token()
    };
    let (first, second) = tokio::join!(first, restart);
    assert!(first.token() == second && stage.exact.is_alive(&second));
    stage.assert_requests(1);
}
