//! What goes wrong at Exact, or takes too long: a page in plain words, and the way on.

use simulators::exact_online::{Fault, Loss, User, bodies};

use super::{CONNECTED, FIRST, Scene, TRY_AGAIN, states};

#[tokio::test(flavor = "multi_thread")]
async fn who_denies_can_try_again() {
    let (scene, user) = (Scene::start().await, User::first());
    scene.begin(&scene.browser, FIRST).await;
    scene.log_in(&scene.browser, &user).await;
    scene.browser.click("Deny").await;
    scene.assert_problem(&scene.browser, "consent-denied").await;
    assert_eq!(scene.stage.exact.log(), []);
    scene.try_again(&user).await;
    let states = states(&scene.browser.replies().await);
    assert_eq!(states.len(), 2, "each try has a state of its own");
    scene.assert_secrets_kept(&states);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_for_ten_minutes() {
    let user = User::first();
    for (seconds, good) in [(590, true), (601, false)] {
        let scene = Scene::start().await;
        scene.begin(&scene.browser, FIRST).await;
        scene.log_in(&scene.browser, &user).await;
        scene.pass(seconds);
        scene.browser.click("Allow").await;
        assert_eq!(scene.browser.heading().await == CONNECTED, good, "after {seconds} s");
        if !good {
            scene.assert_problem(&scene.browser, "consent-expired").await;
            assert_eq!(scene.stage.exact.log(), []);
            scene.try_again(&user).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_nobody_asked_for_changes_nothing() {
    let user = User::first();
    let scene = Scene::connected(&user).await;
    let token = scene.serves(&user).await;
    for (name, query) in [
        ("forged", "code=stampNL001.abcd%21IAAAAxyz&state=forged.state"),
        ("no-state", "code=stampNL001.abcd%21IAAAAxyz"),
        ("error-without-state", "error=access_denied"),
        ("empty", ""),
        ("twice", "code=a&code=b&state=x"),
    ] {
        scene.browser.open(&format!("{}?{query}", scene.redirect_uri())).await;
        scene.assert_problem(&scene.browser, &format!("consent-{name}")).await;
    }
    assert_eq!(scene.stage.exact.log().len(), 1, "nothing was sent to Exact");
    assert_eq!(scene.serves(&user).await, token);
    scene.assert_secrets_kept(&[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_or_lost_exchange_is_explained_and_can_be_tried_again() {
    let user = User::first();
    for (name, fault, explained) in [
        ("signed-data", Fault::instead(bodies::SIGNED_DATA), "Signed data extraction has failed"),
        ("invalid-request", Fault::instead(bodies::INVALID_REQUEST), ""),
        ("chain-id", Fault::instead(bodies::CHAIN_ID), ""),
        ("maintenance", Fault::instead(bodies::HTML_503), ""),
        ("lost-reply", Fault::CommitThen(Loss::Reset), ""),
    ] {
        let scene = Scene::start().await;
        scene.stage.exact.script(fault);
        scene.begin(&scene.browser, FIRST).await;
        scene.log_in(&scene.browser, &user).await;
        scene.browser.click("Allow").await;
        scene.assert_problem(&scene.browser, &format!("consent-{name}")).await;
        assert!(scene.browser.text().await.contains(explained), "{name}");
        assert!(scene.browser.buttons().await.iter().any(|it| it == TRY_AGAIN), "{name}");
        scene.try_again(&user).await;
        scene.assert_secrets_kept(&[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_uri_that_is_not_registered_is_named() {
    let scene = Scene::start().await;
    scene.stage.exact.rules().config_mut().redirect_uris = vec!["https://registered.example.test/".to_owned()];
    scene.begin(&scene.browser, FIRST).await;
    scene.assert_problem(&scene.browser, "consent-wrong-redirect-uri").await;
    let text = scene.browser.text().await;
    assert!(text.contains(&scene.redirect_uri()) || text.contains("EXACT_REDIRECT_URI"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_function_key_there_is_no_page() {
    let scene = Scene::start().await;
    scene.browser.open(&format!("{}/api/Consent", scene.origin())).await;
    let replies = scene.browser.replies().await;
    assert_eq!(replies[0].status, 401);
}
