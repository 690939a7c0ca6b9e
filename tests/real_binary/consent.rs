//! `exact-token-broker consent`: a person copies an address into a browser, and another one back.

use std::process::Stdio;
use std::time::Duration;

use exact_token_broker::refresh_token::pass::exchange::EXCHANGE;
use simulators::exact_online::{Fault, Loss, Rules, User};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::stage::{PATIENCE, Ran, Stage};

pub(super) const REDIRECT_URI: &str = "https://localhost/";

pub(super) async fn stage() -> Stage {
    let mut stage = Stage::start().await;
    stage.set("EXACT_REDIRECT_URI", REDIRECT_URI);
    stage
}

/// Runs the command; `what_to_paste` makes that from the address that it printed.
async fn consent(stage: &Stage, arguments: &[&str], what_to_paste: impl FnOnce(&str) -> String) -> Ran {
    let arguments = [&["consent"], arguments].concat();
    let mut child = stage.command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut stdout = String::new();
    tokio::time::timeout(PATIENCE, out.read_line(&mut stdout)).await.unwrap().unwrap();
    let pasted = what_to_paste(stdout.trim());
    // Who pastes nothing presses Ctrl+D.
    child.stdin.take().unwrap().write_all(pasted.as_bytes()).await.unwrap();
    let ended = async {
        out.read_to_string(&mut stdout).await.unwrap();
        child.wait_with_output().await.unwrap()
    };
    let output = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    Ran { success: output.status.success(), stdout, stderr: String::from_utf8(output.stderr).unwrap() }
}

fn state(address: &str) -> String {
    let (_, query) = address.split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state").unwrap().1.into_owned()
}

/// What the browser's address bar shows in the end.
pub(super) fn back(stage: &Stage, user: &User, address: &str) -> String {
    let code = stage.exact.authorize(&user.id, REDIRECT_URI);
    Rules::redirect_url(REDIRECT_URI, &code, Some(&state(address))) + "\n"
}

#[tokio::test]
async fn the_address_or_the_code_begins_a_chain() {
    let stage = stage().await;
    let user = User::first();
    let ran = consent(&stage, &[], |address| {
        assert!(address.starts_with(&format!("{}/api/oauth2/auth?", stage.exact.base_url())), "{address}");
        back(&stage, &user, address)
    })
    .await;
    assert!(ran.success, "{ran:?}");
    assert!(ran.stdout.contains(&user.full_name) && ran.stdout.contains(&user.company) && ran.stdout.contains("epoch 1"), "{ran:?}");
    assert!(ran.stderr.contains("3 minutes"), "{ran:?}");
    stage.assert_requests(1);
    let token = stage.run(&["token"]).await;
    assert!(token.success && stage.exact.is_alive(token.stdout.trim()), "{token:?}");

    for encoded in [true, false] {
        let mut code = String::new();
        let ran = consent(&stage, &[], |_| {
            code = stage.exact.authorize(&user.id, REDIRECT_URI);
            if encoded { code.replace('!', "%21") } else { format!("{code}\r\n") }
        })
        .await;
        assert!(ran.success, "{ran:?}");
        assert!(!ran.stdout.contains(&code) && !ran.stderr.contains(&code), "the code is not repeated");
    }
    stage.assert_requests(3);
    let status = stage.status().await;
    assert_eq!((&status["state"], &status["user"], &status["epoch"]), (&"connected".into(), &user.full_name.into(), &3.into()), "{status}");
}

#[tokio::test]
async fn another_user_is_asked_about() {
    let stage = stage().await;
    let (user, other) = (User::first(), User::second());
    assert!(consent(&stage, &[], |address| back(&stage, &user, address)).await.success);

    let unanswered = consent(&stage, &[], |address| back(&stage, &other, address)).await;
    assert!(!unanswered.success && unanswered.stderr.contains("wait to be confirmed"), "{unanswered:?}");
    assert_eq!(stage.status().await["pending_consent"]["user"], other.full_name);
    let refused = consent(&stage, &[], |address| back(&stage, &other, address) + "no\n").await;
    assert!(stage.status().await["pending_consent"].is_null(), "{refused:?}");
    assert!(!refused.success && refused.stderr.contains("--yes"), "{refused:?}");
    assert!(refused.stderr.contains(&user.full_name) && refused.stderr.contains(&other.full_name), "{refused:?}");
    assert_eq!(stage.status().await["user"], user.full_name);

    for (arguments, answer) in [([].as_slice(), "yes\n"), (&["--yes"], "")] {
        let (before, after) = if answer.is_empty() { (&other, &user) } else { (&user, &other) };
        assert_eq!(stage.status().await["user"], before.full_name);
        let ran = consent(&stage, arguments, |address| back(&stage, after, address) + answer).await;
        assert!(ran.success, "{ran:?}");
        assert_eq!(stage.status().await["user"], after.full_name);
    }
}

#[tokio::test]
async fn what_is_pasted_by_mistake_costs_nothing() {
    let stage = stage().await;
    for (pasted, says) in [
        ("", "the input ended before an address or a code was pasted"),
        ("\n", "nothing was pasted"),
        ("https://localhost/\n", "neither the address with the code in it nor the code"),
        ("abc\n", "not a whole code"),
        ("https://localhost/?code=abc\n", "not a whole code"),
        ("https://localhost/?code=Made!up-made-up-made-up&state=made-up\n", "did not come from this installation"),
        ("https://localhost/?error=access_denied\n", "the permission was not given"),
    ] {
        let ran = consent(&stage, &[], |_| pasted.to_owned()).await;
        assert!(!ran.success && ran.stderr.contains(says) && !ran.stderr.contains("at Exact's side"), "{pasted:?}: {ran:?}");
    }
    stage.assert_requests(0);
    let dead = consent(&stage, &[], |_| stage.exact.rules().foreign_code()).await;
    assert!(!dead.success && dead.stderr.contains("Signed data extraction has failed"), "{dead:?}");
    assert_eq!(stage.status().await["state"], "never_connected");

    let mut without = Stage::start().await;
    without.settings.remove("EXACT_REDIRECT_URI");
    let ran = without.run(&["consent"]).await;
    assert!(!ran.success && ran.stderr.contains("EXACT_REDIRECT_URI"), "{ran:?}");
}

/// The store is taken away between the proof that it can be written and the reply: this process alone has the tokens, and stays until they are stored.
#[tokio::test]
async fn tokens_that_cannot_be_stored_are_kept_until_they_can() {
    let mut stage = stage().await;
    let (store, away) = (stage.folder().join("store"), stage.folder().join("away"));
    std::fs::create_dir(&store).unwrap();
    stage.set("TOKEN_FILE", store.join("token.json").to_str().unwrap());
    stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(3))));

    let mut child = stage.command(&["consent"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = tokio::time::timeout(PATIENCE, out.next_line()).await.unwrap().unwrap().unwrap();
    let pasted = back(&stage, &User::first(), &address);
    child.stdin.take().unwrap().write_all(pasted.as_bytes()).await.unwrap();
    stage.until_requests(1).await;
    std::fs::rename(&store, &away).unwrap();
    std::fs::write(&store, "no folder").unwrap();

    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = async {
        while let Some(line) = err.next_line().await.unwrap() {
            assert!(!line.contains(simulators::exact_online::MARKER), "a secret is told");
            if line.starts_with("not stored yet, and tried again until it is: ") {
                return;
            }
        }
        panic!("it ended without them");
    };
    // The exchange itself tries for as long as it may, unless it finds the lock gone first.
    tokio::time::timeout(EXCHANGE + PATIENCE, told).await.unwrap();
    std::fs::remove_file(&store).unwrap();
    std::fs::rename(&away, &store).unwrap();
    let stored = tokio::time::timeout(PATIENCE, out.next_line()).await.unwrap().unwrap().unwrap();
    assert!(stored.starts_with("The tokens are stored now"), "{stored}");
    assert!(tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
    let token = stage.run(&["token"]).await;
    assert!(token.success && stage.exact.is_alive(token.stdout.trim()), "{token:?}");
    stage.assert_requests(1);
}
