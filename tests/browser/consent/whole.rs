//! From no token to a token, by reading only what the screen says.

use simulators::exact_online::{Kind, MeFault, Outcome, User, Visited};

use super::{AGAIN, CONNECTED, FIRST, Scene, states};
use crate::stage::get_token;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_and_callers_are_served() {
    let scene = Scene::start().await;
    let (browser, user) = (&scene.browser, User::first());
    get_token(&scene.host, "").await.error(409, "consent_required");

    browser.open(&scene.page()).await;
    assert_eq!(browser.buttons().await, [FIRST]);
    scene.look(browser, "consent-before").await;
    browser.click(FIRST).await;
    scene.log_in(browser, &user).await;
    browser.click("Allow").await;
    assert_eq!(browser.heading().await, CONNECTED);
    let text = browser.text().await;
    assert!(text.contains(&user.full_name) && text.contains(&user.company), "{text}");
    scene.look(browser, "consent-connected").await;
    scene.serves(&user).await;

    browser.open(&scene.page()).await;
    assert_eq!(browser.buttons().await, [AGAIN]);
    let text = browser.text().await;
    assert!(text.contains(&user.full_name) && text.contains(&user.company), "{text}");
    scene.look(browser, "consent-after").await;

    let log: Vec<_> = scene.stage.exact.log().iter().map(|it| (it.kind, it.outcome)).collect();
    assert_eq!(log, [(Kind::Code, Outcome::Granted)]);
    assert_eq!(scene.stage.exact.visits().last().unwrap().visited, Visited::Allowed);
    let states = states(&browser.replies().await);
    assert!(!states.is_empty());
    scene.assert_secrets_kept(&states);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reply_has_the_headers_that_keep_a_page_to_itself() {
    let scene = Scene::connected(&User::first()).await;
    scene.browser.reload().await;
    let replies = scene.browser.replies().await;
    let ours: Vec<_> = replies.iter().filter(|it| it.url.starts_with(&scene.origin())).collect();
    let asked: Vec<_> = ours.iter().map(|it| (it.method.as_str(), it.url.split(['?', '/']).nth(4).unwrap())).collect();
    assert_eq!(asked, [("GET", "Consent"), ("POST", "Consent"), ("GET", "ConsentCallback"), ("GET", "ConsentCallback")]);
    for reply in &ours {
        let header = |name: &str| reply.header(name).unwrap_or_else(|| panic!("{name} is missing at {} {}", reply.method, reply.status));
        assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store", "no-referrer"));
        if reply.method == "GET" {
            let policy = header("content-security-policy");
            for demand in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action "] {
                assert!(policy.contains(demand), "{demand} is not in {policy}");
            }
            assert!(!policy.contains("script-src"), "{policy}");
        }
    }
    let sent = ours[1];
    assert_eq!(sent.status, 303);
    let cookie = sent.header("set-cookie").unwrap();
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/;", "; Max-Age="] {
        assert!(cookie.contains(attribute), "{attribute} is not in the cookie");
    }
    scene.assert_secrets_kept(&states(&replies));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_and_does_not_answer_is_connected_all_the_same() {
    for (fault, name) in [(MeFault::Status500, "me-500"), (MeFault::Forbidden, "me-403")] {
        let scene = Scene::start().await;
        scene.stage.exact.fail_me(Some(fault));
        scene.begin(&scene.browser, FIRST).await;
        scene.log_in(&scene.browser, &User::colleague()).await;
        scene.browser.click("Allow").await;
        assert_eq!(scene.browser.heading().await, CONNECTED, "{name}");
        scene.look(&scene.browser, &format!("consent-{name}")).await;
        scene.stage.exact.fail_me(None);
        scene.serves(&User::colleague()).await;
    }
}
