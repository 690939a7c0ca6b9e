//! What people do on the way: back, again, twice, in two tabs, in two browsers.

use std::time::Duration;

use simulators::exact_online::{ExactOnline, Fault, Loss, User};

use super::{AGAIN, CONNECTED, FIRST, Scene};

const MEANWHILE: &str = "Somebody else connected while you were logging in";

#[tokio::test(flavor = "multi_thread")]
async fn reloading_and_going_back_changes_nothing() {
    let user = User::first();
    let scene = Scene::connected(&user).await;
    let (browser, token) = (&scene.browser, scene.serves(&user).await);
    browser.reload().await;
    scene.assert_problem(browser, "consent-reloaded").await;
    assert_eq!(scene.serves(&user).await, token);

    // To Exact's last page, whose button makes another code for the same state.
    browser.back().await;
    browser.click("Allow").await;
    scene.assert_problem(browser, "consent-back-and-allowed").await;
    assert_eq!(scene.serves(&user).await, token);
    scene.try_again(&user).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_begins_one_consent_that_works() {
    let scene = Scene::start().await;
    scene.browser.open(&scene.page()).await;
    scene.browser.double_click(FIRST).await;
    scene.log_in(&scene.browser, &User::first()).await;
    scene.browser.double_click("Allow").await;
    // The second click may have brought a second code with the same state.
    if scene.browser.heading().await != CONNECTED {
        scene.assert_problem(&scene.browser, "consent-double-click").await;
        scene.try_again(&User::first()).await;
    }
    scene.serves(&User::first()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tabs_the_one_that_is_allowed_last_counts_and_is_told_so() {
    let (scene, user) = (Scene::start().await, User::first());
    let browser = &scene.browser;
    scene.begin(browser, FIRST).await;
    scene.log_in(browser, &user).await;
    browser.new_tab().await;
    scene.begin(browser, FIRST).await;
    scene.log_in(browser, &user).await;
    browser.click("Allow").await;
    assert_eq!(browser.heading().await, CONNECTED);
    let token = scene.serves(&user).await;
    assert!(!browser.text().await.contains(MEANWHILE));

    // Allowed last, it ended the chain of the other one at Exact: only its own code leads on.
    browser.tab(0).await;
    browser.click("Allow").await;
    assert_eq!(browser.heading().await, CONNECTED);
    assert!(browser.text().await.contains(MEANWHILE));
    scene.look(browser, "consent-other-tab").await;
    assert_ne!(scene.serves(&user).await, token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_in_another_browser_changes_nothing_and_the_first_one_goes_on() {
    let (scene, user) = (Scene::start().await, User::first());
    scene.begin(&scene.browser, FIRST).await;
    let callback = forwarded(&scene, &user).await;
    let stranger = scene.browser.another().await;
    stranger.open(&callback).await;
    scene.assert_problem(&stranger, "consent-other-browser").await;
    assert_eq!(scene.stage.exact.log(), [], "the code was not even spent");

    scene.log_in(&scene.browser, &user).await;
    scene.browser.click("Allow").await;
    assert_eq!(scene.browser.heading().await, CONNECTED);
    scene.serves(&user).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_browsers_at_once_the_later_log_in_counts_and_is_told_so() {
    let user = User::first();
    let scene = Scene::connected(&user).await;
    let (one, other) = (&scene.browser, scene.browser.another().await);
    scene.begin(one, AGAIN).await;
    scene.begin(&other, AGAIN).await;
    scene.log_in(one, &user).await;
    scene.log_in(&other, &user).await;
    scene.stage.exact.script(Fault::CommitThen(Loss::Late(Duration::from_secs(2))));
    let second = async {
        // The first one's code is at Exact, its answer is not here yet.
        scene.stage.until_requests(2).await;
        other.click("Allow").await;
    };
    tokio::join!(one.click("Allow"), second);
    // By Exact's rule the later authorization ends the earlier chain, whether its code is used or not: so it is used.
    assert_eq!([one.heading().await, other.heading().await], [CONNECTED, CONNECTED]);
    assert!(!one.text().await.contains(MEANWHILE) && other.text().await.contains(MEANWHILE));
    scene.serves(&user).await;
}

/// Where Exact would send the browser that is at its login page, were it this person's: a link that somebody else opens.
async fn forwarded(scene: &Scene, user: &User) -> String {
    let at_exact = scene.browser.url().await;
    let state = form_urlencoded::parse(at_exact.split_once('?').unwrap().1.as_bytes()).find(|(name, _)| name == "state").unwrap().1.into_owned();
    let exact: &ExactOnline = &scene.stage.exact;
    let code = exact.authorize(&user.id, &scene.redirect_uri());
    simulators::exact_online::Rules::redirect_url(&scene.redirect_uri(), &code, Some(&state))
}
