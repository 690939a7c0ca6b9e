//! How the chain stands.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn the_whole_overview() {
    let got = ask(overview(connected_status()), "GET", "/api/Consent").await;
    assert_eq!(got.status, 200);
    assert!(matches!(&got.lines[..], [(_, line)] if line.starts_with("debug ") && line.contains("function=Consent")), "{:?}", got.lines);
    check(
        &got.html,
        &expect![[r#"
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Exact Online is connected | exact-token-broker</title>
            </head>
            <body>
            <header>exact-token-broker</header>
            <main>
            <h1>Exact Online is connected</h1>
            <h2>What needs doing</h2>
            <p>Nothing.</p>
            <form method="post">
            <button>Connect again</button>
            </form>
            <p>You log in at Exact Online and come back here, within 10 minutes and in this browser.</p>
            <h2>Time line</h2>
            <figure>
            <svg viewBox="0 0 360 92" role="img" aria-labelledby="time-line" aria-describedby="time-line-in-words">
            <title id="time-line">The last refreshes, now, and the 30 days ahead</title>
            <line class="axis" x1="10" y1="50" x2="350" y2="50">
            </line>
            <line class="grant" x1="10" y1="38" x2="10" y2="62">
            </line>
            <line class="grant" x1="58" y1="38" x2="58" y2="62">
            </line>
            <line class="grant" x1="106" y1="38" x2="106" y2="62">
            </line>
            <line class="life" x1="120" y1="50" x2="349" y2="50">
            </line>
            <line class="now" x1="349" y1="38" x2="349" y2="62">
            </line>
            <text x="349" y="22" text-anchor="end">29 days left</text>
            <line class="now" x1="120" y1="30" x2="120" y2="70">
            </line>
            <text x="120" y="22" text-anchor="middle">now</text>
            <text x="10" y="86">23 minutes ago</text>
            <text x="350" y="86" text-anchor="end">in 30 days</text>
            </svg>
            <figcaption id="time-line-in-words">The last 3 refreshes: the first of them 23 minutes ago, the latest 3 minutes ago. The refresh token is good for 29 days more if it is not used; each use brings a new one, good for 30 days.</figcaption>
            </figure>
            <h2>Details</h2>
            <dl>
            <dt>Company</dt>
            <dd>
            <bdi>Made-up Trading B.V.</bdi>
            </dd>
            <dt>User</dt>
            <dd>
            <bdi>Made Up</bdi>
            </dd>
            <dt>Exact Online site</dt>
            <dd>start.exactonline.nl</dd>
            <dt>Access token</dt>
            <dd>valid until <time datetime="2026-11-23T17:26:52Z">2026-11-23 17:26</time>, for 6 minutes</dd>
            <dt>Refresh token</dt>
            <dd>good until <time datetime="2026-12-23T17:17:00Z">2026-12-23 17:17</time>, 29 days left</dd>
            <dt>Last refresh</dt>
            <dd>
            <time datetime="2026-11-23T17:17:00Z">2026-11-23 17:17</time>, it went well</dd>
            <dt>What comes next</dt>
            <dd>no refresh before 2026-11-23T17:26:30Z: Exact gives none earlier</dd>
            </dl>
            </main>
            <footer>Build. All times are UTC.</footer>
            </body>
            </html>"#]],
    );
}

#[tokio::test]
async fn each_state_has_its_heading_and_its_button() {
    let of = |state, days: Option<i64>| Status {
        state,
        summary: "made-up summary".to_owned(),
        refresh_token_expires_at: days.map(|days| now() + minutes(1440 * days)),
        ..connected_status()
    };
    let never = Status { state: Chain::NeverConnected, at: Some(now()), ..Status::unknown() };
    for (status, heading, button, to_do) in [
        (of(Chain::Connected, Some(29)), "Exact Online is connected", "Connect again", "Nothing."),
        (of(Chain::Degraded, Some(29)), "connected, but something is wrong", "Connect again", "tried again by itself"),
        (of(Chain::Degraded, Some(1)), "connected, but something is wrong", "Connect again", "within 24 hours,"),
        (of(Chain::ConsentRequired, Some(0)), "has to be connected again", "Connect again", "Press the button"),
        (of(Chain::Misconfigured, None), "set up wrongly", "Connect again", "First look"),
        (never, "not connected yet", "Connect to Exact Online", "Press the button"),
        (Status { at: Some(now()), ..Status::unknown() }, "not known whether", "Connect again", "tried again by itself"),
    ] {
        let got = ask(overview(status), "GET", "/api/Consent").await;
        assert_eq!((got.status, got.html.matches("<button>").count()), (200, 1));
        let inside = |tag: &str| got.html.split(&format!("<{tag}>")).nth(1).unwrap().split(&format!("</{tag}>")).next().unwrap().to_owned();
        assert!(inside("h1").contains(heading) && inside("title").contains(heading), "{}", got.html);
        assert!(got.html.contains(&format!("<form method=\"post\"><button>{button}</button></form>")), "{}", got.html);
        assert!(inside("main").contains(to_do), "{to_do} {}", got.html);
    }
}

#[tokio::test]
async fn failures_since_the_last_refresh_are_told() {
    let status = Status { failures_in_a_row: 3, last_failure: Some("made-up failure".to_owned()), ..connected_status() };
    let got = ask(overview(status), "GET", "/api/Consent").await;
    assert!(got.html.contains(", it went well; since then 3 without success, the last: made-up failure</dd>"), "{}", got.html);
    let ended = Status { access_token_seconds_left: 0, refresh_token_expires_at: Some(now()), ..connected_status() };
    let got = ask(overview(ended), "GET", "/api/Consent").await;
    assert_eq!(got.html.matches("<dd>ended <time").count(), 2, "{}", got.html);
}

/// A chain that is dead, whatever its refresh token's age would allow; and one whose 30 days are over.
#[tokio::test]
async fn of_a_token_that_is_of_no_use_nothing_is_promised() {
    let ended = |state, expires_at| Status {
        state,
        summary: "made-up summary".to_owned(),
        servable: false,
        access_token_seconds_left: 0,
        access_token_expires_at: Some(now() - minutes(60)),
        refresh_token_expires_at: Some(expires_at),
        ..connected_status()
    };
    let (later, before) = (now() + minutes(29 * 1440), now() - minutes(60));
    for (status, token, ahead) in [
        (ended(Chain::ConsentRequired, later), "<dd>refused by Exact Online</dd>", "Exact Online has refused the refresh token."),
        (ended(Chain::ConsentRequired, before), "<dd>refused by Exact Online</dd>", "Exact Online has refused the refresh token."),
        (ended(Chain::Degraded, before), "<dd>ended <time", "The refresh token has ended."),
        (ended(Chain::Connected, before), "<dd>ended <time", "The refresh token has ended."),
    ] {
        let got = ask(overview(status), "GET", "/api/Consent").await.html;
        for said in ["<h1>Exact Online has to be connected again</h1>", "<p>Press the button and log in", token, ahead, "no other can be fetched"] {
            assert!(got.contains(said), "{said} {got}");
        }
        for wrong in ["left<", "good until", "good for", "fetched by the timer", "within", "but something is wrong"] {
            assert!(!got.replace("within 10 minutes and in this browser", "").contains(wrong), "{wrong} {got}");
        }
    }
}

/// By the rule of log and status: from 168 hours on.
#[tokio::test]
async fn the_time_that_is_left_is_told_in_the_unit_that_counts() {
    for (left, said) in [
        (7 * 1440 + 1, "Nothing at once"),
        (7 * 1440, "Connect again within 7 days, unless"),
        (6 * 1440 + 1439, "Connect again within 6 days, unless"),
        (2 * 1440 - 1, "Connect again within 47 hours, unless"),
        (11 * 60 + 30, "Connect again within 11 hours, unless"),
        (59, "Connect again within 59 minutes, unless"),
        (0, "Press the button and log in: the refresh token has ended"),
    ] {
        let expires_at = Some(now() + minutes(left));
        let status = Status { state: Chain::Degraded, refresh_token_expires_at: expires_at, ..connected_status() };
        let got = ask(overview(status), "GET", "/api/Consent").await.html;
        assert!(got.contains(said), "{said} {got}");
    }
}

/// With a click on what waits all is well, whatever became of the chain before.
#[tokio::test]
async fn a_pair_that_waits_to_be_confirmed_comes_first_in_every_state() {
    let pending = || PendingConsent {
        version: "17-made-up".to_owned(),
        user: Some("Made Up Too".to_owned()),
        company: Some("Made-up Trading B.V.".to_owned()),
        granted_at: now() - minutes(60),
    };
    let before = now() - minutes(1);
    let in_use = "not the user whose tokens are in use.";
    let not_in_use = "not the user who was connected before.";
    let nobody = "Say whether the other user is meant: then nobody has to log in.";
    for (state, expires_at, who, to_do) in [
        (Chain::Connected, now() + minutes(29 * 1440), in_use, "<p>Say whether the other user is meant.</p>"),
        (Chain::Degraded, now() + minutes(60), in_use, "<p>Say whether the other user is meant.</p>"),
        (Chain::Degraded, before, not_in_use, nobody),
        (Chain::ConsentRequired, now() + minutes(29 * 1440), not_in_use, nobody),
        (Chain::NeverConnected, before, not_in_use, nobody),
        (Chain::Misconfigured, before, not_in_use, "Look at what is named above, and say whether the other user is meant"),
    ] {
        let status = Status { state, refresh_token_expires_at: Some(expires_at), pending_consent: Some(pending()), ..connected_status() };
        let got = ask(overview(status), "GET", "/api/Consent").await.html;
        assert!(got.contains(who) && got.contains(to_do), "{state:?} {got}");
        assert!(!got.contains("Press the button and log in"), "{state:?} {got}");
        assert_eq!(got.matches("<button>").count(), 3, "{got}");
    }
}

#[tokio::test]
async fn a_log_in_that_was_cut_off_is_asked_for_again() {
    for (state, asked) in [(Chain::Connected, true), (Chain::Degraded, true), (Chain::ConsentRequired, false)] {
        let status = Status { state, cut_off_log_in_at: Some(now()), ..connected_status() };
        let got = ask(overview(status), "GET", "/api/Consent").await.html;
        assert_eq!(got.contains("If the log-in that was cut off was yours, press the button and log in again."), asked, "{state:?} {got}");
        assert!(asked || got.contains("Press the button and log in. Until then"), "{got}");
    }
}

#[tokio::test]
async fn of_a_log_in_by_nobody_knows_whom_no_more_is_said_than_is_known() {
    let unknown = PendingConsent { version: "made-up-version".to_owned(), user: None, company: None, granted_at: now() };
    let got = ask(overview(Status { pending_consent: Some(unknown), ..connected_status() }), "GET", "/api/Consent").await.html;
    assert!(got.contains("Somebody whose name Exact Online did not tell") && got.contains("perhaps not the user whose tokens are in use."), "{got}");
}
