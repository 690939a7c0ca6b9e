//! `cargo demo` as a person meets it: from the link on the screen to a token, by doing what the screen says.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use simulators::exact_online::User;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::axe::axe;
use crate::browser::Browser;
use crate::stage::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_leads_to_a_token() {
    let mut demo = Command::new(env!("CARGO"))
        .args(["demo", "--port", "0"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    // What is asked of the person comes last; building may take its time before.
    let mut page = None;
    loop {
        let line = timeout(PATIENCE * 6, lines.next_line()).await.unwrap().unwrap().expect("it asks before it ends");
        page = line.split_once("OPEN THIS IN YOUR BROWSER, and press the button: ").map(|(_, url)| url.to_owned()).or(page);
        if line.contains("choose any user, and any six digits will do; then press Allow") {
            break;
        }
    }

    let (browser, user) = (Browser::start().await, User::second());
    browser.open(&page.unwrap()).await;
    let buttons = browser.buttons().await;
    let [the_button] = &buttons[..] else { panic!("{buttons:?}") };
    browser.click(the_button).await;
    browser.choose(&format!("{}, {}", user.full_name, user.company)).await;
    browser.click("Next").await;
    browser.fill("Code of your authenticator", "987654").await;
    browser.click("Log in").await;
    browser.click("Allow").await;
    assert_eq!(browser.heading().await, "Connected to Exact Online");
    assert!(browser.text().await.contains(&user.full_name));
    axe(&browser).await;

    let handed_out = async { while !lines.next_line().await.unwrap().expect("a token before the end").contains("\"access_token\":\"") {} };
    timeout(PATIENCE, handed_out).await.unwrap();
    kill_process(Pid::from_raw(i32::try_from(demo.id().unwrap()).unwrap()).unwrap(), Signal::INT).unwrap();
    while timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().is_some() {}
    assert!(timeout(PATIENCE, demo.wait()).await.unwrap().unwrap().success());
}
