//! Replies that come late, and callers who do not wait for them.

use std::time::Duration;

use simulators::exact_online::{Fault, Loss, Outcome};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::stage::{Stage, get_token, until};

fn late(seconds: u64) -> Fault {
    Fault::CommitThen(Loss::Late(Duration::from_secs(seconds)))
}

#[tokio::test]
async fn a_grant_that_takes_36_seconds_is_kept_and_served() {
    let stage = Stage::connected().await;
    stage.exact.script(late(36));
    let host = stage.host().await;
    let begun = tokio::time::Instant::now();
    let token = get_token(&host, "").await.token();
    assert!(begun.elapsed() >= Duration::from_secs(35));
    assert!(stage.exact.is_alive(&token));
    assert!(get_token(&host, "").await.token() == token);
    stage.assert_requests(1);
    assert!(stage.exact.is_chain_alive(&stage.exact.newest_refresh_token().unwrap()));
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_cancel_the_refresh() {
    let stage = Stage::connected().await;
    stage.exact.script(late(2));
    let host = stage.host().await;
    let port = host.handlers()[0].port;
    let mut caller = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    caller.write_all(b"GET /api/GetToken HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    stage.until_requests(1).await;
    drop(caller);

    let token = get_token(&host, "").await.token();
    assert!(stage.exact.is_alive(&token));
    stage.assert_requests(1);
    assert_eq!(stage.outcomes(), [Outcome::Granted]);
    // It is on the disk as well.
    drop(host);
    assert!(stage.run(&["token"]).await.stdout == format!("{token}\n"));
    stage.assert_requests(1);
}

#[tokio::test]
async fn a_caller_whose_patience_ends_gets_503_and_the_refresh_goes_on() {
    let stage = Stage::connected().await;
    stage.exact.script(late(3));
    let host = stage.host().await;
    let answer = get_token(&host, "?max_wait=1").await;
    assert!(answer.error(503, "temporarily_unavailable").contains("it goes on"), "{answer:?}");
    until("the grant is stored", || host.console().iter().any(|line| line.text.contains("a new pair of tokens is stored"))).await;
    let token = get_token(&host, "?max_wait=0").await.token();
    assert!(stage.exact.is_alive(&token));
    stage.assert_requests(1);
}
