//! `exact-token-broker consent` at a terminal, where a person can be asked again and keys end things.

use simulators::exact_online::{MeFault, User};

use super::consent::{REDIRECT_URI, back, stage};
use super::stage::Stage;
use super::stage::shifted_clock::ClockFile;
use super::terminal::{CTRL_D, Terminal};

const FIRST: &str = "address or code: ";
const QUESTION: &str = "or no to discard them: ";

/// The command as far as its first question, and the address that it printed.
async fn begin(stage: &Stage, arguments: &[&str]) -> (Terminal, String) {
    let terminal = Terminal::start(stage.command(&[&["consent"], arguments].concat()));
    terminal.until(FIRST, 0).await;
    let address = terminal.screen().lines().find(|line| line.contains("/api/oauth2/auth?")).unwrap().to_owned();
    (terminal, address)
}

/// The same as far as the question whether another user is meant. What was said from the paste on.
async fn asked(stage: &Stage, user: &User) -> (Terminal, String) {
    let (mut terminal, address) = begin(stage, &[]).await;
    let pasted = back(stage, user, &address);
    let said = terminal.answer(pasted.as_bytes(), QUESTION).await;
    assert!(said.starts_with(&pasted), "what is pasted stands as it was: {said}");
    (terminal, said)
}

async fn connect(stage: &Stage, user: &User, arguments: &[&str]) {
    let (mut terminal, address) = begin(stage, arguments).await;
    terminal.type_in(back(stage, user, &address).as_bytes());
    let (code, screen) = terminal.end().await;
    assert!(code == Some(0) && screen.contains("Connected to Exact Online as "), "{screen}");
}

/// Whose pair waits, and whose is served.
async fn users(stage: &Stage) -> (Option<String>, String) {
    let status = stage.status().await;
    let pending = &status["pending_consent"];
    let waits = (!pending.is_null()).then(|| pending["user"].as_str().unwrap_or("nobody told").to_owned());
    (waits, status["user"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn who_does_not_answer_keeps_the_log_in() {
    let mut stage = stage().await;
    let (user, other) = (User::first(), User::second());
    connect(&stage, &user, &[]).await;
    for (ctrl_c, named) in [(false, true), (true, true), (false, false), (true, false)] {
        stage.exact.fail_me((!named).then_some(MeFault::Forbidden));
        let (mut terminal, said) = asked(&stage, &other).await;
        assert!(!said.contains(" left") && said.contains("They are kept"), "nothing is counted any more: {said}");
        if ctrl_c {
            terminal.ctrl_c();
        } else {
            terminal.type_in(CTRL_D);
        }
        let (code, screen) = terminal.end().await;
        assert_eq!(code, Some(if ctrl_c { 130 } else { 1 }), "{screen}");
        let (_, told) = screen.rsplit_once(QUESTION).unwrap();
        assert!(told.contains("are kept, and wait to be confirmed") && told.contains("Run `exact-token-broker consent` again"), "{told}");
        let waits = if named { other.full_name.clone() } else { "nobody told".to_owned() };
        assert_eq!(users(&stage).await, (Some(waits), user.full_name.clone()));
    }

    // As it was told, with a page and without.
    stage.exact.fail_me(None);
    connect(&stage, &other, &["--yes"]).await;
    assert_eq!(users(&stage).await, (None, other.full_name.clone()));
    stage.set("EXACT_REDIRECT_URI", "https://made-up.example.invalid/api/ConsentCallback");
    let (mut terminal, address) = begin(&stage, &[]).await;
    let code = stage.exact.authorize(&user.id, "https://made-up.example.invalid/api/ConsentCallback");
    assert!(address.contains("made-up.example.invalid"), "{address}");
    terminal.answer(format!("{code}\n").as_bytes(), QUESTION).await;
    terminal.type_in(CTRL_D);
    let (_, screen) = terminal.end().await;
    assert!(screen.contains("on the page Consent (https://made-up.example.invalid/api/Consent), or run"), "{screen}");
}

#[tokio::test]
async fn only_a_no_discards() {
    let stage = stage().await;
    let (user, other) = (User::first(), User::second());
    connect(&stage, &user, &[]).await;
    let (mut terminal, _) = asked(&stage, &other).await;
    for answer in [&b"\n"[..], b"y\n", b"nothing\n", b"caf\xe9\n"] {
        let said = terminal.answer(answer, QUESTION).await;
        assert!(said.contains("neither yes nor no"), "{said}");
    }
    assert_eq!(users(&stage).await, (Some(other.full_name.clone()), user.full_name.clone()));
    terminal.type_in(b"No\n");
    let (code, screen) = terminal.end().await;
    assert!(code == Some(1) && screen.contains("the new tokens are discarded"), "{screen}");
    assert_eq!(users(&stage).await, (None, user.full_name.clone()));

    let (mut terminal, _) = asked(&stage, &other).await;
    terminal.answer(b"maybe\n", QUESTION).await;
    terminal.type_in(b"YES\n");
    let (code, screen) = terminal.end().await;
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(users(&stage).await, (None, other.full_name));
    stage.assert_requests(3);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_loses_nothing() {
    let mut stage = stage().await;
    let (user, other) = (User::first(), User::second());
    connect(&stage, &user, &[]).await;
    let clock = ClockFile::new(stage.folder(), 0);
    stage.settings.extend(clock.environment());
    let (mut terminal, _) = asked(&stage, &other).await;
    clock.set(700);
    stage.set_clock_of_exact(700);
    terminal.type_in(b"yes\n");
    let (code, screen) = terminal.end().await;
    assert!(code == Some(1) && screen.contains("more than 10 minutes ago") && screen.contains("wait to be confirmed"), "{screen}");
    assert_eq!(users(&stage).await, (Some(other.full_name), user.full_name));
}

#[tokio::test]
async fn what_cannot_be_a_code_is_asked_for_again_and_the_time_goes_on() {
    let stage = stage().await;
    let (mut terminal, address) = begin(&stage, &[]).await;
    assert!(terminal.screen().contains("\n3:00 left"), "{}", terminal.screen());
    let cut_off = format!("{REDIRECT_URI}?code={}\n", "x".repeat(5000));
    for (pasted, says) in [
        (&b"\n"[..], "nothing was pasted"),
        (b"abc\n", "not a whole code"),
        (b"https://localhost/?code=abc&state=x\n", "not a whole code"),
        (b"https://localhost/\n", "neither the address with the code in it nor the code"),
        (b"https://localhost/?code=caf\xe9\n", "not text (UTF-8)"),
        (cut_off.as_bytes(), "the terminal cut that off"),
    ] {
        let said = terminal.answer(pasted, FIRST).await;
        assert!(said.contains(says), "{says}: {said}");
    }
    // The first second is over at some time; a time that began anew would never tell.
    let goes_on = async {
        loop {
            let said = terminal.answer(b"abc\n", FIRST).await;
            if said.contains("\n2:5") {
                return;
            }
            assert!(said.contains("\n3:00 left"), "{said}");
        }
    };
    tokio::time::timeout(super::stage::PATIENCE, goes_on).await.unwrap();
    stage.assert_requests(0);

    let pasted = back(&stage, &User::first(), &address);
    let said = terminal.answer(pasted.as_bytes(), "Connected to Exact Online as ").await;
    assert!(said.starts_with(&pasted), "what is pasted stands as it was: {said}");
    let (code, screen) = terminal.end().await;
    assert_eq!(code, Some(0), "{screen}");
    stage.assert_requests(1);
}

#[tokio::test]
async fn who_ends_it_before_a_code_is_pasted_hears_that_nothing_was_asked() {
    let stage = stage().await;
    for garbage in [false, true] {
        let (mut terminal, _) = begin(&stage, &[]).await;
        if garbage {
            terminal.answer(b"abc\n", FIRST).await;
        }
        terminal.type_in(CTRL_D);
        let (code, screen) = terminal.end().await;
        assert!(code == Some(1) && screen.contains("before an address or a code was pasted\nNothing was asked of Exact Online"), "{screen}");
    }
    let (terminal, _) = begin(&stage, &[]).await;
    terminal.ctrl_c();
    assert_eq!(terminal.end().await.0, Some(130));
    stage.assert_requests(0);
    assert_eq!(stage.status().await["state"], "never_connected");
}
