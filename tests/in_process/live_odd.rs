//! The live checks where something is odd: each odd reply at each place, a person who has enough, a token that is too young or dead.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use exact_token_broker::live::Start;
use exact_token_broker::live::finding::{Gate, Grace, Previous};
use exact_token_broker::live::plan::Ended;
use exact_token_broker::live::step::{Answer, Step};
use exact_token_broker::ports::Clock;
use exact_token_broker::token::Secret;
use simulators::exact_online::{self as simulated, Config, ExpiresIn, Fault, OddGrant, OldToken, TooEarly, User, bodies};

use super::live::{REDIRECT_URI, Stage, found, rested};

#[tokio::test(start_paused = true)]
async fn every_way_to_say_it_is_understood() {
    for gate in [simulated::Gate::BeforeTokenCheck, simulated::Gate::AfterTokenCheck] {
        for too_early in [TooEarly::AccessDenied400, TooEarly::AccessDenied401, TooEarly::InvalidRequest400] {
            for old_token in [OldToken::OldRefreshTokenUsed, OldToken::ChainId] {
                let config = Config { gate, too_early, old_token, expires_in: ExpiresIn::Number, ..Config::default() };
                let report = found(config).await;
                let first = gate == simulated::Gate::BeforeTokenCheck;
                assert_eq!((report.findings.gate == Gate::First, report.findings.grace), (first, Grace::None));
                assert!(report.to_string().contains("600 s, as number 600"), "{report}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_grace_that_ends_before_the_gate_opens_shows_only_where_the_token_comes_first() {
    use Previous::{Dead, Good};
    let config = |gate| Config { grace: simulated::Grace::Seconds(300), gate, ..Config::default() };
    let report = found(config(simulated::Gate::AfterTokenCheck)).await;
    assert_eq!((report.findings.unused, report.findings.grace), ([Good, Good, Dead], Grace::EndsBeforeTheGateOpens));
    assert!(report.to_string().contains("set REFRESH_POLICY=on-demand"));
    assert_eq!(found(config(simulated::Gate::BeforeTokenCheck)).await.findings.grace, Grace::None);
}

/// Whatever comes, wherever it comes: it ends, within the limits, and what was odd is in the report.
#[tokio::test(start_paused = true)]
async fn no_odd_reply_is_a_crash() {
    let mut endings = BTreeSet::new();
    for (name, fault) in Fault::all() {
        for place in 0..12 {
            let (stage, start) = rested(Config { grace: simulated::Grace::Seconds(600), ..Config::default() }).await;
            for _ in 0..place {
                stage.rules.lock().unwrap().script(Fault::Pass);
            }
            stage.rules.lock().unwrap().script(fault.clone());
            let (report, said, _) = stage.run(start, pending()).await;
            for answer in report.records.iter().map(|record| record.asked.answer) {
                let foreseen = matches!(answer, Answer::Granted | Answer::TooEarly | Answer::Refused(_));
                assert!(foreseen || said.contains(&format!("not foreseen: {answer}")), "{name} at {place}: {said}");
            }
            endings.insert(format!("{:?}", report.ended));
        }
    }
    let expected = ["ChainDied", "Complete", "Lost", "Misconfigured", "NotAlive", "NotRotated", "Throttled"];
    assert_eq!(endings.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn odd_all_the_time_ends_as_well() {
    for (name, fault) in Fault::all() {
        let (stage, start) = rested(Config::default()).await;
        stage.rules.lock().unwrap().always(Some(fault));
        let (report, said, _) = stage.run(start, pending()).await;
        assert!(report.records.len() < 30, "{name}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_has_enough_is_told_what_is_left() {
    for seconds in [0, 1, 30, 300, 576, 577, 1_150, 1_200, 1_750] {
        let (stage, start) = rested(Config::default()).await;
        let (report, said, _) = stage.run(start, tokio::time::sleep(Duration::from_secs(seconds))).await;
        if seconds < 1_724 {
            assert_eq!(report.ended, Ended::Interrupted, "{said}");
            assert!(said.contains("It was interrupted") && said.contains("Not asked") && report.left.contains(&Step::Used9m36s), "{said}");
        } else {
            assert_eq!((report.ended, report.left.len()), (Ended::Complete, 0), "{said}");
        }
        assert_eq!(report.records.is_empty(), seconds == 0, "{said}");
    }
}

/// The request that is under way is waited for: what it brings belongs to the report, and could be the newest token.
#[tokio::test(start_paused = true)]
async fn an_interruption_waits_for_the_reply() {
    let (stage, start) = rested(Config::default()).await;
    stage.rules.lock().unwrap().script(Fault::CommitThen(simulated::Loss::Late(Duration::from_secs(35))));
    let (report, said, newest) = stage.run(start, tokio::time::sleep(Duration::from_secs(5))).await;
    assert_eq!((report.ended, report.records.len(), newest.is_some()), (Ended::Interrupted, 1, true), "{said}");
    assert!(said.contains("finishing\n"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_log_in_begins_as_well_as_a_token() {
    let stage = Stage::new(Config::default());
    let code = stage.rules.lock().unwrap().authorize(stage.now(), &User::first().id, REDIRECT_URI);
    let (report, said, _) = stage.run(Start::Code(Secret::new(code.clone()), REDIRECT_URI.to_owned()), pending()).await;
    assert_eq!((report.ended, report.findings.gate, report.records.len()), (Ended::Complete, Gate::First, 11), "{said}");
    let (again, said, newest) = stage.run(Start::Code(Secret::new(code), REDIRECT_URI.to_owned()), pending()).await;
    assert_eq!((again.ended, again.records.len(), newest.is_none()), (Ended::NotAlive, 1, true), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_too_young_is_asked_with_again_and_a_dead_one_is_not() {
    let stage = Stage::new(Config::default());
    let issue = || Start::Token(Secret::new(stage.rules.lock().unwrap().issue_chain_aged(stage.now(), Duration::ZERO).refresh_token));
    let (young, said, _) = stage.run(issue(), pending()).await;
    assert_eq!((young.ended, young.records.len()), (Ended::Complete, 11), "{said}");

    let dead = issue();
    tokio::time::sleep(Duration::from_hours(1)).await;
    drop(issue());
    tokio::time::sleep(Duration::from_hours(1)).await;
    let (dead, said, _) = stage.run(dead, pending()).await;
    assert_eq!((dead.ended, dead.records.len()), (Ended::NotAlive, 1), "{said}");
}

/// A chain that is used elsewhere, or that Exact ends because a used token came again.
#[tokio::test(start_paused = true)]
async fn a_chain_that_ends_meanwhile_is_a_finding() {
    let (stage, start) = rested(Config::default()).await;
    for _ in 0..4 {
        stage.rules.lock().unwrap().script(Fault::Pass);
    }
    for _ in 0..2 {
        stage.rules.lock().unwrap().script(Fault::instead(bodies::CHAIN_ID));
    }
    let (report, said, _) = stage.run(start, pending()).await;
    assert_eq!((report.ended, report.findings.chain_lives), (Ended::ChainDied, Some(false)), "{said}");
    assert!(said.contains("sending a used token may end the chain") && said.contains("Not asked"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn one_refusal_at_night_is_not_the_end() {
    let (stage, start) = rested(Config::default()).await;
    for _ in 0..4 {
        stage.rules.lock().unwrap().script(Fault::Pass);
    }
    stage.rules.lock().unwrap().script(Fault::instead(bodies::CHAIN_ID));
    let (report, said, _) = stage.run(start, pending()).await;
    assert_eq!((report.ended, report.findings.chain_lives), (Ended::Complete, Some(true)), "{said}");
    assert!(said.contains("not foreseen: refused, \"invalid or empty chainId\""), "{said}");
}

#[tokio::test(start_paused = true)]
async fn where_tokens_do_not_change_nothing_is_concluded() {
    let (stage, start) = rested(Config::default()).await;
    stage.rules.lock().unwrap().script(Fault::Odd(OddGrant::UnchangedRefreshToken));
    let (report, said, _) = stage.run(start, pending()).await;
    assert_eq!((report.ended, report.findings.grace), (Ended::NotRotated, Grace::Untold), "{said}");
}

#[tokio::test(start_paused = true)]
async fn where_exact_is_not_reached_it_is_tried_again_and_then_given_up() {
    let (stage, start) = rested(Config::default()).await;
    *stage.reachable.lock().unwrap() = vec![true, false, true];
    let (report, said, _) = stage.run(start, pending()).await;
    assert_eq!(report.ended, Ended::Complete, "{said}");
    assert!(said.contains("Exact Online could not be reached"), "{said}");

    let (stage, start) = rested(Config::default()).await;
    *stage.reachable.lock().unwrap() = vec![false; 9];
    let (report, said, _) = stage.run(start, pending()).await;
    assert_eq!((report.ended, report.records.len()), (Ended::NoClearAnswer, 3), "{said}");
}

/// Time, requests, and requests without a pair, as `docs/live-checks.md` has them.
#[tokio::test(start_paused = true)]
async fn what_it_costs_is_what_the_page_says() {
    use simulated::{Gate, Grace};
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/live-checks.md")).unwrap();
    for (name, grace, gate) in [
        ("without a grace, 570 s first", Grace::None, Gate::BeforeTokenCheck),
        ("without a grace, token first", Grace::None, Gate::AfterTokenCheck),
        ("with 10 minutes of grace, 570 s first", Grace::Seconds(600), Gate::BeforeTokenCheck),
        ("with 10 minutes of grace, token first", Grace::Seconds(600), Gate::AfterTokenCheck),
        ("good until the new one is used, 570 s first", Grace::UntilNewUsed, Gate::BeforeTokenCheck),
        ("good until the new one is used, token first", Grace::UntilNewUsed, Gate::AfterTokenCheck),
        ("without a grace and without the 570 s", Grace::None, Gate::Off),
        ("with a grace and without the 570 s", Grace::UntilNewUsed, Gate::Off),
    ] {
        let report = found(Config { grace, gate, ..Config::default() }).await;
        let minutes = (report.records.last().unwrap().at.as_secs() + 30) / 60;
        let row = format!("| {name} | {minutes} min | {} | {} |", report.records.len(), report.ungranted());
        assert!(page.contains(&row), "{row}");
    }
}
