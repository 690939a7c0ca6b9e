//! Ctrl+C in the terminal of `func start`, a polite end, and the host's own stop.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
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

/// A command at work is a process with a token in its hands as well.
#[tokio::test]
async fn ctrl_c_and_a_polite_end_finish_the_request_of_a_command() {
    for signal in [Signal::INT, Signal::TERM] {
        let stage = Stage::connected().await;
        stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(2))));
        let mut command = stage.command(&["token"]).spawn().unwrap();
        stage.until_requests(1).await;
        kill_process(Pid::from_raw(i32::try_from(command.id().unwrap()).unwrap()).unwrap(), signal).unwrap();
        assert_eq!(command.wait().await.unwrap().code(), Some(130), "{signal:?}");
        let printed = stage.run(&["token"]).await;
        assert!(printed.success && stage.exact.is_alive(printed.stdout.trim()), "{signal:?}: {}", printed.stderr);
        stage.assert_requests(1);
    }
}

#[tokio::test]
async fn a_polite_end_finishes_the_refresh_of_the_handler() {
    let stage = Stage::connected().await;
    stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(2))));
    let host = host(&stage).await;
    let caller = get_token(&host, "");
    let end = async {
        stage.until_requests(1).await;
        let pid = i32::try_from(host.pid().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    };
    let (answer, ()) = tokio::join!(caller, end);
    let token = answer.token();
    until_dead(&host).await;
    assert!(stage.run(&["token"]).await.stdout == format!("{token}\n"));
    stage.assert_requests(1);
}

/// What was asked for and could not be printed is no success.
#[tokio::test]
async fn a_full_disk_behind_standard_output_is_a_failure() {
    let stage = Stage::connected().await;
    stage.granted().await;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = stage.command(&["token"]).stdout(full).status().await.unwrap();
    assert_eq!(status.code(), Some(1));
}
