//! Somebody else logs in than before: a pair that waits, and the two pages on which a person says whether it is meant.

use serde_json::Value;
use simulators::exact_online::{MeFault, User};
use simulators::functions_host::Keys;

use super::{AGAIN, CONNECTED, Scene};
use crate::stage::get_with;

const CONNECT: &str = "Connect as this user";
const LEAVE: &str = "Leave it as it was";
const ASKED: &str = "Connect as another user than before?";

/// Who is logged in at Exact already is somebody else.
async fn log_in_anew(scene: &Scene, user: &User) {
    scene.begin(&scene.browser, AGAIN).await;
    scene.browser.open(&format!("{}&force_login=1", scene.browser.url().await.replace("&force_login=0", ""))).await;
    scene.log_in(&scene.browser, user).await;
    scene.browser.click("Allow").await;
}

async fn status(scene: &Scene) -> Value {
    get_with(&scene.host, "/api/Status", &[("x-functions-key", &Keys::default().function)]).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_must_be_confirmed_first() {
    for other in [User::second(), User::colleague()] {
        let scene = Scene::connected(&User::first()).await;
        let before = scene.serves(&User::first()).await;
        log_in_anew(&scene, &other).await;
        let text = scene.browser.text().await;
        assert!(text.contains(&User::first().full_name) && text.contains(&other.full_name), "{text}");
        scene.assert_problem(&scene.browser, "consent-another-user").await;
        assert_eq!(scene.serves(&User::first()).await, before, "nothing has changed yet");

        scene.browser.click(CONNECT).await;
        assert_eq!(scene.browser.heading().await, CONNECTED);
        scene.serves(&other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_consent_asks_in_any_browser_and_after_the_ten_minutes() {
    for meant in [true, false] {
        let (user, other) = (User::first(), User::second());
        let scene = Scene::connected(&user).await;
        log_in_anew(&scene, &other).await;
        scene.pass(660);
        let elsewhere = scene.browser.another().await;
        elsewhere.open(&scene.page()).await;
        assert_eq!(elsewhere.buttons().await, [CONNECT, LEAVE, AGAIN]);
        let text = elsewhere.text().await;
        assert!(text.contains(&user.full_name) && text.contains(&other.full_name), "{text}");
        scene.look(&elsewhere, "consent-pending").await;
        let said = status(&scene).await;
        assert_eq!((&said["state"], &said["pending_consent"]["user"]), (&"degraded".into(), &other.full_name.clone().into()), "{said}");
        scene.serves(&user).await;

        elsewhere.click(if meant { CONNECT } else { LEAVE }).await;
        scene.look(&elsewhere, if meant { "consent-pending-connected" } else { "consent-pending-left" }).await;
        assert_eq!(elsewhere.heading().await, if meant { CONNECTED } else { "Nothing was changed" });
        scene.serves(if meant { &other } else { &user }).await;
        let said = status(&scene).await;
        assert_eq!((&said["state"], &said["pending_consent"]), (&"connected".into(), &Value::Null), "{said}");

        // The page of the log-in still has its buttons, and there is nothing left to say.
        scene.browser.click(CONNECT).await;
        scene.assert_problem(&scene.browser, "consent-decided-elsewhere").await;
        scene.serves(if meant { &other } else { &user }).await;
        scene.assert_secrets_kept(&[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_told_from_the_user_before_is_asked_about() {
    let user = User::first();
    let scene = Scene::connected(&user).await;
    scene.stage.exact.fail_me(Some(MeFault::Forbidden));
    scene.begin(&scene.browser, AGAIN).await;
    scene.log_in(&scene.browser, &user).await;
    scene.browser.click("Allow").await;
    assert_eq!(scene.browser.heading().await, ASKED);
    let text = scene.browser.text().await;
    assert!(text.contains("Exact Online did not say who logged in") && text.contains(&user.full_name), "{text}");
    scene.look(&scene.browser, "consent-nobody-told").await;
    scene.browser.click(CONNECT).await;
    assert_eq!(scene.browser.heading().await, CONNECTED);
    scene.stage.exact.fail_me(None);
    scene.serves(&user).await;
}
