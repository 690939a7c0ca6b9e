//! What the host makes of what is printed: a line on stderr is an error, unless it says "warn".

use simulators::exact_online::{Fault, bodies};
use simulators::functions_host::{FunctionsHost, HandlerStdout, Line, Severity, Stream, TimerSample, Verdict};

use super::stage::{Stage, exits, get_token, until};

fn lines(host: &FunctionsHost, stream: Stream) -> Vec<Line> {
    host.console().into_iter().filter(|line| line.stream == stream).collect()
}

#[tokio::test]
async fn a_failed_tick_is_one_error_and_the_rest_is_information() {
    let stage = Stage::connected().await;
    stage.exact.script(Fault::instead(bodies::INVALID_CLIENT));
    let host = stage.host().await;
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!(tick.status, Some(500));
    assert!(tick.verdict.failure().is_some_and(|text| text.contains("500 (Internal Server Error)")), "{:?}", tick.verdict);

    until("a line on stderr", || !lines(&host, Stream::Stderr).is_empty()).await;
    // A second line, if there were one, would be ahead of what this call prints.
    let refused = get_token(&host, "?min_validity=none").await;
    refused.error(400, "invalid_request");
    until("the refused call is logged", || lines(&host, Stream::Stdout).iter().any(|line| line.text.contains("a request was refused"))).await;
    let errors = lines(&host, Stream::Stderr);
    assert!(matches!(&errors[..], [_]), "{errors:?}");
    let error = &errors[0];
    assert_eq!((error.severity, error.shown), (Severity::Error, true));
    for part in ["EXACT_CLIENT_ID and EXACT_CLIENT_SECRET", &tick.id, "bb2bd5eef54cb15a1506d0326d2489e7"] {
        assert!(error.text.contains(part), "{part}: {}", error.text);
    }
    let said = lines(&host, Stream::Stdout);
    assert!(said.iter().any(|line| line.text.contains("ready")), "{said:?}");
    assert!(said.iter().all(|line| line.severity == Severity::Information && line.shown), "{said:?}");
}

#[tokio::test]
async fn a_tick_that_goes_well_prints_no_error_and_a_ping_prints_nothing() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    assert_eq!(host.fire_timer(&TimerSample::normal()).await.unwrap().verdict, Verdict::Success);
    until("the refresh is logged", || lines(&host, Stream::Stdout).iter().any(|line| line.text.contains("is stored"))).await;
    let before = host.console().len();
    for _ in 0..20 {
        host.ping().await.unwrap();
    }
    get_token(&host, "?min_validity=none").await.error(400, "invalid_request");
    until("the refused call is logged", || host.console().len() > before).await;
    assert_eq!(host.console().len(), before + 1, "{:?}", host.console());
    assert_eq!(lines(&host, Stream::Stderr), []);
}

#[tokio::test]
async fn a_warning_is_shown_as_a_warning() {
    let mut stage = Stage::connected().await;
    stage.set("RUST_LOG", "loud");
    let host = stage.host().await;
    until("a line on stderr", || !lines(&host, Stream::Stderr).is_empty()).await;
    let said = lines(&host, Stream::Stderr);
    assert!(said.iter().all(|line| line.severity == Severity::Warning && line.text.contains("RUST_LOG")), "{said:?}");
    get_token(&host, "").await.token();
}

#[tokio::test]
async fn a_closed_standard_output_ends_nothing() {
    let mut stage = Stage::connected().await;
    stage.set("RUST_LOG", "trace");
    let mut options = stage.options();
    options.stdout = HandlerStdout::Closed;
    let host = FunctionsHost::start(options).await.unwrap();
    let pid = host.pid().unwrap();
    assert_eq!(host.fire_timer(&TimerSample::normal()).await.unwrap().verdict, Verdict::Success);
    get_token(&host, "").await.token();
    assert_eq!(lines(&host, Stream::Stdout), []);
    assert!(exits(&host).is_empty());
    assert_eq!(host.pid().unwrap(), pid);
    stage.assert_requests(1);
}
