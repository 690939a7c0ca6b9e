//! A person consents: the exchange of the code under the pass's lock, with everything that can come between.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::consent::{Begun, Callback, Connected, Consent, Decision, Failed, Finished, Problem, Waiting};
use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::ports::ConsentEndpoint;
use exact_token_broker::refresh_token::Refresher;
use exact_token_broker::status::{State, Status};
use exact_token_broker::token::reply::{Misconfiguration, Refusal, Unclear};
use exact_token_broker::token::{CodeReply, Grant, Person, Reply, Secret, VersionId};
use jiff::SignedDuration;
use simulators::exact_online::Config;

use super::day::{HOUR, connected, ticks, undisturbed};
use super::life::{Plan, live};
use super::world::{VaultIs, World};

const REDIRECT_URI: &str = "https://made-up.example.invalid/api/ConsentCallback";

/// What Exact does with codes: what it is told to, and else it grants a chain that lives in the world's Exact.
struct Exact {
    world: World,
    told: Mutex<VecDeque<CodeReply>>,
    person: Mutex<Option<Person>>,
    exchanged: AtomicUsize,
}

impl Exact {
    fn of(world: &World) -> Arc<Self> {
        let person = Mutex::new(Some(person("one")));
        Arc::new(Self { world: world.clone(), told: Mutex::default(), person, exchanged: AtomicUsize::new(0) })
    }

    fn answers(self: &Arc<Self>, reply: CodeReply) -> Arc<Self> {
        self.told.lock().unwrap().push_back(reply);
        Arc::clone(self)
    }

    fn is(&self, person: Option<Person>) {
        *self.person.lock().unwrap() = person;
    }

    fn exchanged(&self) -> usize {
        self.exchanged.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ConsentEndpoint for Exact {
    fn authorize_url(&self, redirect_uri: &str, state: &str) -> String {
        format!("https://exact.invalid/auth?redirect_uri={redirect_uri}&state={state}")
    }

    async fn exchange(&self, code: &Secret, redirect_uri: &str) -> CodeReply {
        assert_eq!((code.reveal(), redirect_uri), ("stampNL001.AbCd!IAAAAmade-up-code", REDIRECT_URI));
        let nth = self.exchanged.fetch_add(1, Ordering::SeqCst);
        // As over a network: the process may be killed while it waits.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let told = self.told.lock().unwrap().pop_front();
        told.unwrap_or_else(|| {
            let mut state = self.world.state();
            let now = state.now;
            let refresh_token = Secret::new(state.exact.issue_chain(now));
            CodeReply::Other(Reply::Granted(Grant {
                access_token: Secret::new(format!("made-up-access-of-code-{nth}")),
                refresh_token,
                expires_in: SignedDuration::from_secs(600),
            }))
        })
    }

    async fn me(&self, _: &Secret) -> Option<Person> {
        self.person.lock().unwrap().clone()
    }
}

fn person(id: &str) -> Person {
    Person { id: id.to_owned(), name: "Made Up".to_owned(), login: "made.up".to_owned(), company: "Made-Up Company".to_owned(), division: 123_456 }
}

fn consent(refresher: &Arc<Refresher>, exact: &Arc<Exact>) -> Consent {
    Consent::new(Arc::clone(refresher), Arc::clone(exact) as _, &Secret::new("made-up-client-secret"), Some(REDIRECT_URI.to_owned()))
}

/// The browser comes back from Exact.
fn back(begun: &Begun) -> Callback {
    let state = begun.authorize_url.reveal().split_once("state=").unwrap().1.to_owned();
    Callback {
        state: Some(Secret::new(state)),
        code: Some(Secret::new("stampNL001.AbCd!IAAAAmade-up-code")),
        error: None,
        cookie: Some(begun.cookie.clone()),
    }
}

/// The whole way, by one person who hesitates for so long.
async fn connect_after(refresher: &Arc<Refresher>, exact: &Arc<Exact>, hesitates: u64) -> Result<Finished, Failed> {
    let consent = consent(refresher, exact);
    let begun = consent.begin(None).await.map_err(Failed::from)?;
    tokio::time::sleep(Duration::from_secs(hesitates)).await;
    consent.finish(back(&begun)).await
}

async fn connect(refresher: &Arc<Refresher>, exact: &Arc<Exact>) -> Result<Finished, Failed> {
    connect_after(refresher, exact, 30).await
}

fn is_connected(finished: Result<Finished, Failed>) -> Connected {
    match finished {
        Ok(Finished::Connected(connected)) => connected,
        other => panic!("{other:?}"),
    }
}

fn problem(finished: Result<Finished, Failed>) -> Problem {
    finished.unwrap_err().problem
}

#[test]
fn a_chain_begins_is_served_at_once_and_lives_on() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let finished = connect(&refresher, &exact).await;
        assert_eq!(is_connected(finished), Connected { person: Some(Box::new(person("one"))), epoch: 1, replaced: false, meanwhile: false });
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.access_token.reveal(), "made-up-access-of-code-0");
        assert!((595..=600).contains(&token.expires_in), "{}", token.expires_in);
        assert!(ticks(&refresher, &doubles, 1_300).await.iter().all(|tick| !tick.failed));
        let state = doubles.world.state();
        let ledger = &state.ledger.as_ref().unwrap().0;
        assert_eq!(ledger.consents.person, Some(person("one")));
        assert_eq!((ledger.epoch, ledger.recent_grants.len()), (1, 3));
        assert_eq!(
            state.versions[&state.head()].1.chain.user.as_deref(),
            Some("one"),
            "from the first refresh on the version itself says whose it is"
        );
        assert_eq!(state.exact.log().len(), 2);
    });
}

#[test]
fn a_callback_is_good_once_in_one_browser_and_for_ten_minutes() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let consent = consent(&refresher, &exact);
        let begun = consent.begin(None).await.unwrap();
        let changed = |change: fn(&mut Callback)| {
            let mut callback = back(&begun);
            change(&mut callback);
            callback
        };
        assert_eq!(problem(consent.finish(changed(|it| it.state = None)).await), Problem::Forged);
        assert_eq!(
            problem(consent.finish(changed(|it| it.state = Some(Secret::new(format!("{}0", it.state.as_ref().unwrap().reveal()))))).await),
            Problem::Forged
        );
        assert_eq!(problem(consent.finish(changed(|it| it.cookie = None)).await), Problem::OtherBrowser);
        assert_eq!(problem(consent.finish(changed(|it| it.cookie = Some(Secret::new("made-up")))).await), Problem::OtherBrowser);
        assert_eq!(problem(consent.finish(changed(|it| it.code = None)).await), Problem::NoCode);
        for (error, expected) in
            [("access_denied", Problem::Denied), ("unauthorized_client", Problem::NotThisApp), ("made_up", Problem::EndedByExact)]
        {
            let mut callback = back(&begun);
            (callback.code, callback.error) = (None, Some(Secret::new(error)));
            assert_eq!(problem(consent.finish(callback).await), expected);
        }
        assert!(doubles.world.state().ledger.is_none() && exact.exchanged() == 0, "nothing was changed and nothing sent");

        assert!(consent.finish(back(&begun)).await.is_ok());
        let stored = doubles.world.state().ledger.clone();
        assert_eq!(problem(consent.finish(back(&begun)).await), Problem::Used);
        assert_eq!((exact.exchanged(), doubles.world.state().ledger.clone()), (1, stored));

        let late = consent.begin(None).await.unwrap();
        tokio::time::sleep(Duration::from_secs(601)).await;
        let failed = consent.finish(back(&late)).await.unwrap_err();
        assert_eq!((failed.problem, exact.exchanged()), (Problem::Expired, 1));
        // The same browser goes on from there; another does not.
        let again = failed.again.unwrap();
        assert_eq!(consent.begin_again(&again, None).await.unwrap_err().problem, Problem::OtherBrowser);
        let begun = consent.begin_again(&again, Some(late.cookie.clone())).await.unwrap();
        assert!(consent.finish(back(&begun)).await.is_ok());
    });
}

#[test]
fn another_users_consent_waits_to_be_confirmed_and_the_old_chain_goes_on() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        connect(&refresher, &exact).await.unwrap();
        exact.is(Some(person("two")));
        let begun = consent(&refresher, &exact).begin(None).await.unwrap();
        let finished = consent(&refresher, &exact).finish(back(&begun)).await.unwrap();
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

#[test]
fn what_nobody_has_confirmed_is_served_to_nobody_without_the_ledger_either() {
    for gone in [true, false] {
        let world = World::new(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world);
            connect(&refresher, &exact).await.unwrap();
            exact.is(Some(person("two")));
            assert!(matches!(connect(&refresher, &exact).await, Ok(Finished::Confirm { .. })));
            if gone {
                doubles.world.state().ledger = None;
            } else {
                doubles.world.state().ledger_up = false;
            }
            let fresh = doubles.beside(&Plan::new(None, None));
            let ask = Ask { max_wait: SignedDuration::ZERO, ..Ask::default() };
            assert_eq!(fresh.get_token(ask).await.unwrap().access_token.reveal(), "made-up-access-of-code-0");
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

/// The button is no reason to miss the moment at which a lost reply can be made good.
#[test]
fn a_retry_goes_before_the_button() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        doubles.world.state().exact.script(simulators::exact_online::Fault::CommitThen(simulators::exact_online::Loss::Reset));
        tokio::time::sleep(Duration::from_secs(575)).await;
        let _lost = refresher.tick().await;
        tokio::time::sleep(Duration::from_secs(500)).await;
        consent(&refresher, &Exact::of(&doubles.world)).begin(None).await.unwrap();
        let next = doubles.world.state().ledger.clone().unwrap().0;
        let due = exact_token_broker::token::schedule::due(&next, refresher.view().head.as_deref(), doubles.true_now(), &doubles.world.policy());
        let exact_token_broker::token::schedule::Due::NotYet { why, .. } = due else { return };
        assert_ne!(why, exact_token_broker::token::schedule::Wait::Consent);
    });
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
fn a_store_that_takes_nothing_costs_no_code() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        doubles.world.state().vault = VaultIs::ReadOnly;
        assert!(matches!(problem(connect(&refresher, &exact).await), Problem::Store(_)));
        assert_eq!(exact.exchanged(), 0);
        doubles.world.state().vault = VaultIs::Well;
        doubles.world.state().ledger_up = false;
        assert!(matches!(consent(&refresher, &exact).begin(None).await, Err(Problem::Store(_))), "nobody logs in for nothing");
        doubles.world.state().ledger_up = true;
        let begun = consent(&refresher, &exact).begin(None).await.unwrap();
        doubles.world.state().ledger_up = false;
        assert!(matches!(problem(consent(&refresher, &exact).finish(back(&begun)).await), Problem::Store(_)));
        assert_eq!(exact.exchanged(), 0);
        doubles.world.state().ledger_up = true;
        assert!(connect(&refresher, &exact).await.is_ok());
    });
}

#[test]
fn a_pair_that_could_not_be_stored_is_served_and_saved_by_the_next_tick_or_by_itself() {
    for by_tick in [true, false] {
        let world = World::new(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world);
            doubles.world.state().vault = VaultIs::Full;
            assert!(matches!(problem(connect(&refresher, &exact).await), Problem::NotSaved(_)));
            assert!(refresher.unsaved().is_some());
            // Another consent would have no place to be kept. Whoever asks is told soon, although the pair is being tried for minutes meanwhile.
            let asked = doubles.true_now();
            assert!(matches!(problem(connect(&refresher, &exact).await), Problem::NotSaved(_)), "nobody is sent to log in");
            assert!(doubles.true_now().duration_since(asked) <= SignedDuration::from_mins(1));
            assert_eq!(exact.exchanged(), 1);
            doubles.world.state().vault = VaultIs::Well;
            assert!(refresher.get_token(Ask::default()).await.is_ok());
            if by_tick {
                assert!(!refresher.tick().await.failed);
            } else {
                tokio::time::sleep(Duration::from_mins(2)).await;
            }
            assert!(refresher.unsaved().is_none());
            let state = doubles.world.state();
            let ledger = &state.ledger.as_ref().unwrap().0;
            assert_eq!((ledger.epoch, ledger.consents.person.clone()), (1, Some(person("one"))));
            assert!(state.stored_chain_lives(doubles.true_now()));
        });
    }
}

#[test]
fn what_exact_says_of_a_code_leaves_the_stored_chain_alone() {
    for (reply, expected) in [
        (CodeReply::Refused, Problem::CodeRefused),
        (CodeReply::Other(Reply::Refused(Refusal::InvalidChain)), Problem::Overtaken),
        (CodeReply::Other(Reply::TooEarly), Problem::TooEarly),
        (CodeReply::Other(Reply::Unclear(Unclear::TimedOut)), Problem::Unclear),
    ] {
        let world = connected(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world).answers(reply);
            assert_eq!(problem(connect(&refresher, &exact).await), expected);
            let ledger = doubles.world.state().ledger.clone().unwrap().0;
            assert!(ledger.open.is_empty() && ledger.last_failure.is_none() && ledger.refusals.is_empty(), "{ledger:?}");
            assert_eq!((ledger.epoch, ledger.ungranted.len()), (1, 1), "it counts among the requests of the hour");
            assert!(refresher.get_token(Ask::default()).await.is_ok());
            assert!(ticks(&refresher, &doubles, 1_300).await.iter().all(|tick| !tick.failed));
        });
    }
}

/// What Exact says of the app holds for whoever asks next, a refresh too.
#[test]
fn what_exact_says_of_the_app_keeps_refreshes_back() {
    let app = Reply::Misconfigured(Misconfiguration::InvalidClient);
    for (reply, expected, state) in [
        (Reply::Throttled { retry_after: Some(SignedDuration::from_secs(700)) }, Problem::Throttled, State::Degraded),
        (app, Problem::App, State::Misconfigured),
    ] {
        let world = connected(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world).answers(CodeReply::Other(reply));
            assert_eq!(problem(connect(&refresher, &exact).await), expected);
            assert_eq!(Status::of(&refresher).await.state, state);
            assert!(refresher.get_token(Ask::default()).await.is_ok(), "the token at hand is as good as it was");
            let sent = doubles.world.state().exact.log().len();
            drop(ticks(&refresher, &doubles, 650).await);
            assert_eq!(doubles.world.state().exact.log().len(), sent, "and no refresh is sent");
        });
    }
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
            connect(&refresher, &exact).await.unwrap();
            exact.is(Some(person("two")));
            connect(&refresher, &exact).await.unwrap();
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

#[test]
fn however_often_it_is_tried_again_the_hour_ends() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let consent = consent(&refresher, &exact);
        let mut begun = consent.begin(None).await.unwrap();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_mins(11)).await;
            let failed = consent.finish(back(&begun)).await.unwrap_err();
            assert_eq!(failed.problem, Problem::Expired);
            begun = consent.begin_again(&failed.again.unwrap(), Some(begun.cookie)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_mins(11)).await;
        let failed = consent.finish(back(&begun)).await.unwrap_err();
        assert!(failed.again.is_none(), "66 minutes after the button");
    });
}

#[test]
fn a_refresh_token_that_came_alone_is_the_chain() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let now = doubles.true_now();
        let refresh_token = Secret::new(doubles.world.state().exact.issue_chain(now));
        let exact = Exact::of(&doubles.world).answers(CodeReply::Other(Reply::OddGrant { refresh_token, problem: Unclear::NotAGrant }));
        assert!(matches!(connect(&refresher, &exact).await, Ok(Finished::Connected(Connected { person: None, .. }))));
        assert!(refresher.get_token(Ask::default()).await.is_ok());
    });
}

#[test]
fn the_stored_token_that_is_imported_again_is_as_old_as_it_was() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        refresher.look().await.unwrap();
        let head = refresher.view().head.unwrap();
        refresher.import(head.refresh_token.clone(), true).await.unwrap();
        let token = refresher.get_token(Ask::default()).await.unwrap();
        assert_eq!(token.access_token.reveal(), head.access.as_ref().unwrap().value.reveal());
        assert!(ticks(&refresher, &doubles, 1_200).await.iter().all(|tick| !tick.failed));
        assert_eq!(doubles.world.state().exact.violations(), []);
    });
}

#[test]
fn nine_requests_an_hour_and_no_more() {
    let world = World::new(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        for _ in 0..9 {
            exact.answers(CodeReply::Refused);
            assert_eq!(problem(connect(&refresher, &exact).await), Problem::CodeRefused);
        }
        assert!(matches!(consent(&refresher, &exact).begin(None).await, Err(Problem::Budget { .. })));
        assert_eq!(exact.exchanged(), 9);
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(connect(&refresher, &exact).await.is_ok());
    });
}

#[test]
fn refreshes_keep_away_from_the_button_on_and_not_for_long() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        tokio::time::sleep(Duration::from_secs(560)).await;
        consent(&refresher, &exact).begin(None).await.unwrap();
        tokio::time::sleep(Duration::from_mins(1)).await;
        consent(&refresher, &exact).begin(None).await.unwrap();
        let ask = Ask { max_wait: SignedDuration::ZERO, ..Ask::default() };
        assert!(matches!(refresher.get_token(ask).await, Err(NoToken::Unavailable { .. })));
        tokio::time::sleep(Duration::from_secs(118)).await;
        assert_eq!(doubles.world.state().exact.log().len(), 1);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(refresher.get_token(Ask::default()).await.is_ok(), "the second button did not make it longer");
    });
}

/// By Exact's rule it is the log-in that ends the chain before, not the exchange that comes minutes later.
#[test]
fn the_chain_before_that_the_log_in_ended_is_not_asked_and_not_missed() {
    for comes_back in [true, false] {
        let world = connected(Config::default());
        undisturbed(&world, |refresher, doubles| async move {
            let exact = Exact::of(&doubles.world);
            tokio::time::sleep(Duration::from_secs(500)).await;
            let consent = consent(&refresher, &exact);
            let begun = consent.begin(None).await.unwrap();
            let user = doubles.world.state().exact.config().users[0].id.clone();
            doubles.world.state().exact.revoke(&user);
            if comes_back {
                let sent = doubles.world.state().exact.log().len();
                let back = async {
                    tokio::time::sleep(Duration::from_secs(170)).await;
                    consent.finish(back(&begun)).await
                };
                let (_, finished) = tokio::join!(ticks(&refresher, &doubles, 600), back);
                assert!(is_connected(finished).replaced);
                assert_eq!(doubles.world.state().exact.log().len(), sent, "the refresh that was due would have been refused");
            } else {
                drop(ticks(&refresher, &doubles, HOUR).await);
                assert_eq!(Status::of(&refresher).await.state, State::ConsentRequired);
                assert!(connect(&refresher, &exact).await.is_ok());
            }
            assert_eq!(Status::of(&refresher).await.state, State::Connected);
            assert!(ticks(&refresher, &doubles, 1_300).await.iter().all(|tick| !tick.failed));
        });
    }
}

#[test]
fn of_two_browsers_at_once_both_are_told_the_truth() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let exact = Exact::of(&doubles.world);
        let other = doubles.beside(&Plan::new(None, None));
        let finished = tokio::join!(connect(&refresher, &exact), connect(&other, &exact));
        let epoch = |finished: Result<Finished, Failed>| match finished {
            Ok(Finished::Connected(Connected { epoch, replaced: true, .. })) => epoch,
            other => panic!("{other:?}"),
        };
        let mut epochs = [epoch(finished.0), epoch(finished.1)];
        epochs.sort_unstable();
        assert_eq!(epochs, [2, 3]);
        // Exact says which of them is overtaken by the other.
        let exact = Exact::of(&doubles.world).answers(CodeReply::Other(Reply::Refused(Refusal::InvalidChain)));
        assert_eq!(problem(connect(&refresher, &exact).await), Problem::Overtaken);
    });
}

/// Killed at each step in turn. What was granted is stored or was in the hands of a dead process; whatever it left, the next person connects.
#[test]
fn a_process_that_is_killed_anywhere_leaves_nothing_that_stands_in_the_way() {
    for from_nothing in [true, false] {
        let mut kept = 0;
        for kill_at in 1.. {
            let world = if from_nothing { World::new(Config::default()) } else { connected(Config::default()) };
            let exact = Exact::of(&world);
            let plan = Plan::new(Some(kill_at), None);
            let lived = live(&world, &plan, |refresher, _| {
                let exact = Arc::clone(&exact);
                async move { connect(&refresher, &exact).await.is_ok() }
            });
            let granted = exact.exchanged() > 0;
            let stored =
                world.state().versions.values().any(|(_, credential)| {
                    credential.access.as_ref().is_some_and(|access| access.value.reveal().starts_with("made-up-access-of-code"))
                });
            assert!(granted || !stored);
            kept += u32::from(stored);
            // A lease of a dead process ends by itself; its quarantine keeps no person away.
            undisturbed(&world, |refresher, doubles| async move {
                tokio::time::sleep(Duration::from_secs(61)).await;
                let exact = Exact::of(&doubles.world);
                assert!(matches!(connect_after(&refresher, &exact, 1).await, Ok(Finished::Connected(_))), "after a kill at step {kill_at}");
                assert!(refresher.get_token(Ask::default()).await.is_ok());
                assert!(ticks(&refresher, &doubles, 1_200).await.last().is_some_and(|tick| !tick.failed));
            });
            if lived == Some(true) {
                assert!(kill_at > 20 && kept > 3, "{kill_at} steps, in {kept} of which the pair was stored");
                break;
            }
        }
    }
}
