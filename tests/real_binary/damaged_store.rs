//! A token file that is not this program's, or cannot be written: it is named and left as it is, and no refresh token is spent.

use std::fs;
use std::path::PathBuf;

use simulators::functions_host::{TimerSample, Verdict};

use super::stage::{Stage, get_token, until};

/// What may stand in the file, made from a sound one.
fn damages(sound: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = String::from_utf8(sound.to_vec()).unwrap();
    assert!(text.contains("\"v\":1") || text.contains("\"v\": 1"), "the version is where this test looks for it");
    vec![
        ("truncated", sound[..sound.len() / 2].to_vec()),
        ("all but the last byte", sound.trim_ascii_end()[..sound.trim_ascii_end().len() - 1].to_vec()),
        ("twice", [sound, sound].concat()),
        ("empty", Vec::new()),
        ("null", b"null".to_vec()),
        ("other JSON", br#"{"access_token":"SIMULATED-foreign","refresh_token":"SIMULATED-foreign","expires_in":"600"}"#.to_vec()),
        ("a list", b"[]".to_vec()),
        ("a later version", text.replacen("\"v\":1", "\"v\":2", 1).replacen("\"v\": 1", "\"v\": 2", 1).into_bytes()),
        ("no text", [b"\xff\xfe".as_slice(), sound].concat()),
    ]
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_named_and_left_alone() {
    let stage = Stage::connected().await;
    let path = stage.token_file();
    let sound = fs::read(&path).unwrap();
    for (name, content) in damages(&sound) {
        fs::write(&path, &content).unwrap();
        assert_refused(&stage, name).await;
        assert!(fs::read(&path).unwrap() == content, "{name}: the file was changed");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_refused(&stage, "a directory").await;
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    fs::remove_dir(&path).unwrap();
    stage.assert_requests(0);

    // The good copy put back is all that it takes.
    fs::write(&path, &sound).unwrap();
    stage.granted().await;
    stage.assert_requests(1);
}

/// By call, by tick, and on the command line.
async fn assert_refused(stage: &Stage, name: &str) {
    let path = stage.token_file();
    let path = path.to_str().unwrap();
    let host = stage.host().await;
    let description = get_token(&host, "").await.error(500, "server_error");
    assert!(description.contains(path), "{name}: {description}");
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert!(matches!(tick.verdict, Verdict::Failure(_)) && tick.status == Some(500), "{name}: {tick:?}");
    assert_eq!(host.search(&[simulators::exact_online::MARKER.to_owned()]), [], "{name}");

    let status = stage.status().await;
    assert_eq!(status["state"], "misconfigured", "{name}");
    let token = format!("stampNL001.madeup!{}", simulators::exact_online::MARKER.repeat(40));
    for arguments in [&["import"][..], &["import", "--replace"], &["token"], &["status"]] {
        let ran = stage.run_with(arguments, &token).await;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!ran.success && said.contains(path), "{name}: {arguments:?}: {said}");
        assert!(!said.contains(simulators::exact_online::MARKER), "{name}: {arguments:?}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_costs_no_refresh_token() {
    let stage = Stage::connected().await;
    // In the way of the next content: this stops root as well.
    let in_the_way = PathBuf::from(format!("{}.new", stage.token_file().display()));
    fs::create_dir(&in_the_way).unwrap();
    let host = stage.host().await;
    for _ in 0..3 {
        let description = get_token(&host, "?max_wait=1").await.error(503, "temporarily_unavailable");
        assert!(description.contains("not writable, so the refresh token was not spent"), "{description}");
    }
    until("the log says which path it is", || host.console().iter().any(|line| line.text.contains(in_the_way.to_str().unwrap()))).await;
    let token = stage.run(&["token", "--max-wait", "1"]).await;
    assert!(!token.success && token.stderr.contains("not writable"), "{token:?}");
    stage.assert_requests(0);

    fs::remove_dir(&in_the_way).unwrap();
    get_token(&host, "").await.token();
    stage.assert_requests(1);
}

#[tokio::test]
async fn a_store_that_becomes_unreadable_does_not_take_a_living_token_away() {
    let stage = Stage::connected().await;
    let host = stage.host().await;
    let token = get_token(&host, "").await.token();
    fs::write(stage.token_file(), "not ours").unwrap();
    assert!(get_token(&host, "").await.token() == token);
    stage.assert_requests(1);
}

#[tokio::test]
async fn what_a_killed_process_left_beside_the_file_is_replaced() {
    let stage = Stage::connected().await;
    fs::write(format!("{}.new", stage.token_file().display()), "half of a fi").unwrap();
    let token = stage.granted().await;
    assert!(get_token(&stage.host().await, "").await.token() == token);
    stage.assert_requests(1);
}
