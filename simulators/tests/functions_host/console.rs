//! What the handler prints, and where it listens.

use std::time::Duration;

use simulators::functions_host::{Channel, EventKind, FunctionsHost, HandlerStdout, Severity};

use crate::{App, tick, until};

#[tokio::test]
async fn the_console_has_severities_and_survives_a_broken_pipe() {
    let app = App::new(true);
    let host = app.start().await;
    app.mode("print");
    assert!(tick(&host).await.verdict.is_success());
    until(&host, |kind| matches!(kind, EventKind::Console(line) if line.text == "an error line")).await;
    until(&host, |kind| matches!(kind, EventKind::Console(line) if line.text == "plain line")).await;
    let severity = |text: &str| host.console().into_iter().find(|line| line.text == text).unwrap().severity;
    assert_eq!(severity("plain line"), Severity::Information);
    assert_eq!(severity("a warning line"), Severity::Warning);
    assert_eq!(severity("an error line"), Severity::Error);
    let places = host.search(&["plain line".to_owned(), "absent".to_owned()]);
    assert_eq!(places.len(), 1);
    assert_eq!(places[0].channel, Channel::Stdout);

    host.close_stdout();
    for _ in 0..3 {
        assert!(tick(&host).await.verdict.is_success());
    }
    let mut options = app.options();
    options.stdout = HandlerStdout::Closed;
    let host = FunctionsHost::start(options).await.unwrap();
    assert!(tick(&host).await.verdict.is_success());
    assert!(host.console().iter().all(|line| line.text != "plain line"));
}

#[tokio::test]
async fn a_handler_on_all_addresses_is_found_out() {
    let app = App::new(true);
    let host = app.start().await;
    host.assert_loopback_only().unwrap();
    host.assert_answers_at_once().await.unwrap();
    assert!(host.ready_after().unwrap() < Duration::from_secs(10));
    app.mode("all addresses");
    let host = app.start().await;
    assert!(host.assert_loopback_only().is_err());
    app.mode("mute");
    assert!(host.assert_answers_at_once().await.is_err());
}
