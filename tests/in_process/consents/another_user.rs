//! Whose the pair is: what another user is granted waits for a person's word.

use std::time::Duration;

use exact_token_broker::consent::{Connected, Decision, Finished, Problem, Waiting};
use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::status::{State, Status};
use exact_token_broker::token::{Secret, VersionId};
use simulators::exact_online::Config;

use super::{Exact, another_logs_in, back, connect, consent, is_connected, person, problem};
use crate::day::{at_once, connected, ticks, undisturbed};
use crate::life::Plan;
use crate::world::World;

#[test]
fn another_users_consent_waits_to_be_confirmed_and_the_old_chain_goes_on() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let (begun, finished) = another_logs_in(&refresher, &exact).await;
        let Finished::Confirm { stored, new, confirm } = finished else { panic!("{finished:?}") };
        assert_eq!((stored.unwrap().id, new.unwrap().id), ("one".to_owned(), "two".to_owned()));
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.access_token.reveal(), "made-up-access-of-code-0", "what nobody has confirmed is not served");
        let signed = |cookie: Option<&Secret>| Waiting::Signed { confirm: confirm.clone(), cookie: cookie.cloned() };
        assert_eq!(problem(consent(&refresher, &exact).decide(signed(None), Decision::Connect).await), Problem::OtherBrowser);
        assert_eq!(doubles.world.state().ledger.as_ref().unwrap().0.epoch, 1);

        let finished = consent(&refresher, &exact).decide(signed(Some(&begun.cookie)), Decision::Connect).await;
        let expected = Connected { person: Some(Box::new(person("two"))), epoch: 2, replaced: true, meanwhile: false };
        assert_eq!(is_connected(finished), expected);
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.access_token.reveal(), "made-up-access-of-code-1");
        assert_eq!(problem(consent(&refresher, &exact).decide(signed(Some(&begun.cookie)), Decision::Connect).await), Problem::NothingToConfirm);
        assert!(ticks(&refresher, &doubles, 1_300).await.iter().all(|tick| !tick.failed));
    });
}

/// In the world of this test the second log-in has ended the first chain: Exact knows but one user.
#[test]
fn where_a_word_would_do_nobody_is_sent_to_log_in_without_hearing_of_it() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        another_logs_in(&refresher, &exact).await;
        let last = ticks(&refresher, &doubles, 1_900).await.pop().unwrap();
        assert!(last.failed && last.line.contains("a person is needed") && last.line.contains("wait to be confirmed"), "{}", last.line);
        assert!(!last.line.contains("Made Up"), "no name goes into the log: {}", last.line);
        let Err(NoToken::ConsentRequired(needed)) = refresher.get_token(at_once()).await else { panic!("the chain is dead") };
        let said = needed.to_string();
        assert!(said.contains("wait to be confirmed") && said.contains("nobody has to log in; if not: a person must log in"), "{said}");

        let waiting = Status::of(&refresher).await.pending_consent.unwrap();
        let decided = consent(&refresher, &exact).decide(Waiting::Named(VersionId(waiting.version)), Decision::LeaveIt).await;
        assert!(matches!(decided, Ok(Finished::LeftAsItWas)), "{decided:?}");
        let Err(NoToken::ConsentRequired(needed)) = refresher.get_token(at_once()).await else { panic!("the chain is dead") };
        assert!(!needed.to_string().contains("confirmed"), "{needed}");
    });
}

#[test]
fn what_nobody_has_confirmed_is_served_to_nobody_without_the_ledger_either() {
    for gone in [true, false] {
        let world = World::new(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world);
            let (_, finished) = another_logs_in(&refresher, &exact).await;
            assert!(matches!(finished, Finished::Confirm { .. }), "{finished:?}");
            if gone {
                doubles.world.state().ledger = None;
            } else {
                doubles.world.state().ledger_up = false;
            }
            let fresh = doubles.beside(&Plan::new(None, None));
            assert_eq!(fresh.get_token(at_once()).await.unwrap().access_token.reveal(), "made-up-access-of-code-0");
            doubles.world.state().ledger_up = true;
            // The world's Exact knows but one user, whose first chain the second consent has ended; what is looked at is what is made of that.
            drop(ticks(&fresh, &doubles, 1_300).await);
            let state = doubles.world.state();
            let head = &state.versions[&state.head()].1;
            assert_eq!(head.access.as_ref().unwrap().value.reveal(), "made-up-access-of-code-0", "and it does not take the other's place");
            assert!(state.versions.values().any(|(_, credential)| credential.access.as_ref().unwrap().value.reveal() == "made-up-access-of-code-1"));
        });
    }
}

#[test]
fn whose_it_is_that_exact_does_not_tell_has_to_be_confirmed_as_well() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        connect(&refresher, &exact).await.unwrap();
        connect(&refresher, &exact).await.unwrap();
        assert_eq!(doubles.world.state().ledger.as_ref().unwrap().0.epoch, 2, "the same user needs no word");
        exact.is(None);
        assert!(matches!(connect(&refresher, &exact).await, Ok(Finished::Confirm { new: None, .. })));
    });
}

#[test]
fn an_imported_chain_is_asked_whose_it_is_before_somebody_takes_its_place() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        assert_eq!(doubles.world.state().ledger.as_ref().unwrap().0.head.as_ref().unwrap().user, None);
        let begun = consent(&refresher, &exact).begin(None).await.unwrap();
        assert_eq!(doubles.world.state().ledger.as_ref().unwrap().0.consents.person, Some(person("one")));
        exact.is(Some(person("two")));
        let finished = consent(&refresher, &exact).finish(back(&begun)).await;
        assert!(matches!(finished, Ok(Finished::Confirm { stored: Some(_), new: Some(_), .. })), "{finished:?}");
        assert_eq!(doubles.world.state().ledger.as_ref().unwrap().0.epoch, 1, "and the chain before is the one that counts");
    });
}

#[test]
fn a_pair_that_waits_is_shown_until_somebody_decides() {
    for meant in [true, false] {
        let world = World::new(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world);
            another_logs_in(&refresher, &exact).await;
            // Longer than the page of the log-in is good for.
            tokio::time::sleep(Duration::from_secs(700)).await;
            let status = Status::of(&refresher).await;
            let waiting = status.pending_consent.unwrap();
            assert_eq!(
                (status.state, waiting.user.as_deref(), waiting.company.as_deref()),
                (State::Degraded, Some("Made Up"), Some("Made-Up Company"))
            );
            let decide =
                async |version: &str, decision| consent(&refresher, &exact).decide(Waiting::Named(VersionId(version.to_owned())), decision).await;
            let another = decide("another", Decision::Connect).await;
            assert_eq!(problem(another), Problem::NothingToConfirm);
            let decision = if meant { Decision::Connect } else { Decision::LeaveIt };
            let decided = decide(&waiting.version, decision).await.unwrap();
            assert!(matches!((meant, decided), (true, Finished::Connected(_)) | (false, Finished::LeftAsItWas)));
            assert_eq!(problem(decide(&waiting.version, decision).await), Problem::NothingToConfirm);
            let status = Status::of(&refresher).await;
            assert!(status.pending_consent.is_none());
            let state = doubles.world.state();
            let ledger = &state.ledger.as_ref().unwrap().0;
            assert_eq!(ledger.epoch, if meant { 2 } else { 1 });
            let kept = ledger.head.iter().chain(&ledger.candidates).any(|pointer| pointer.version.0 == waiting.version);
            assert!(kept, "what was granted is not forgotten");
        });
    }
}
