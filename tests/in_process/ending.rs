//! A refresh token that nobody renews ends 30 days after its issue, and a person hears of it in time: in the log, from `GetToken`, in the status. And
//! a status that is asked for is answered, whatever hangs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::refresh_token::Refresher;
use exact_token_broker::status::{LOOK, State, Status};
use exact_token_broker::telemetry::{self, Sink, Stream};
use exact_token_broker::token::schedule::Mode;
use jiff::SignedDuration;
use simulators::exact_online::{self, Config, OddGrant};

use super::day::{HOUR, at_once, connected, ticks, undisturbed};
use super::life::{Fault, How, Plan, live};
use super::world::{VaultIs, World};

const DAY: i64 = 24 * HOUR;
const PAGE: &str = "https://made-up.example/api/Consent";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Sink for Log {
    fn write(&self, _: Stream, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

impl Log {
    /// The warnings that name the page or the command, since the last call of this.
    fn endings(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        lines.into_iter().filter(|line| line.starts_with("warn ") && line.contains("connect to Exact Online again")).collect()
    }
}

/// A chain that was last renewed so long ago, and cannot be renewed now.
fn stuck(age: SignedDuration) -> World {
    let world = connected(Config::default());
    let mut state = world.state();
    state.now += age;
    state.vault = VaultIs::ReadOnly;
    drop(state);
    world
}

#[test]
fn from_seven_days_before_its_end_every_tick_says_so_and_where_to_connect_again() {
    let world = stuck(SignedDuration::from_secs(23 * DAY - HOUR));
    let log = Log::default();
    undisturbed(&world, |refresher, doubles| {
        let refresher = at_page(refresher, Some(PAGE));
        let log = log.clone();
        async move {
            let _logging = tracing::subscriber::set_default(telemetry::subscriber(Some("warn"), log.clone()));
            ticks(&refresher, &doubles, HOUR - 600).await;
            assert_eq!(log.endings(), Vec::<String>::new(), "more than 7 days are left");
            let status = Status::soon(&refresher).await;
            assert_eq!((status.state, status.refresh_token_days_left), (State::Degraded, Some(7)), "{}", status.summary);
            assert!(!status.summary.contains("connect"), "{}", status.summary);

            tokio::time::sleep(Duration::from_mins(15)).await;
            let ticks = ticks(&refresher, &doubles, 2 * HOUR).await;
            let said = log.endings();
            assert_eq!(said.len(), ticks.len(), "each tick, once");
            assert!(said.iter().all(|line| line.contains("in 6 days, unless a refresh succeeds before") && line.contains(PAGE)), "{said:?}");

            let status = Status::soon(&refresher).await;
            assert_eq!((status.state, status.consent_url.as_deref()), (State::Degraded, Some(PAGE)));
            assert!(
                status.summary.contains("not writable") && status.summary.contains("ends at") && status.summary.contains(PAGE),
                "{}",
                status.summary
            );
        }
    });
}

#[test]
fn once_it_is_renewed_nobody_is_warned() {
    let world = stuck(SignedDuration::from_secs(29 * DAY));
    let log = Log::default();
    undisturbed(&world, |refresher, doubles| {
        let log = log.clone();
        async move {
            let _logging = tracing::subscriber::set_default(telemetry::subscriber(Some("warn"), log.clone()));
            refresher.tick().await;
            let said = log.endings();
            assert!(
                matches!(&said[..], [line] if line.contains("in 23 h") && line.contains("`exact-token-broker consent`")),
                "without a page: {said:?}"
            );
            doubles.world.state().vault = VaultIs::Well;
            ticks(&refresher, &doubles, HOUR).await;
            log.endings();
            ticks(&refresher, &doubles, HOUR).await;
            assert_eq!(log.endings(), Vec::<String>::new());
            let token = refresher.get_token(at_once()).await.unwrap();
            assert_eq!(token.warnings, Vec::<String>::new());
            assert_eq!(Status::soon(&refresher).await.state, State::Connected);
        }
    });
}

/// A living token beside an old refresh token: only a clock can bring that about, or Exact, if it once grants no new refresh token.
#[test]
fn a_caller_hears_of_it_beside_his_token() {
    let world = connected(Config::default());
    undisturbed(&world, |refresher, doubles| async move {
        let refresher = at_page(refresher, Some(PAGE));
        refresher.look().await.unwrap();
        let head = refresher.view().head.unwrap();
        for (age, warned) in [(23 * DAY - 60, false), (23 * DAY + 60, true), (31 * DAY, true)] {
            let old = doubles.true_now() - SignedDuration::from_secs(age);
            let mut credential = (*head).clone();
            credential.granted_at = old;
            let version = doubles.world.state().head();
            doubles.world.state().versions.get_mut(&version).unwrap().1 = credential;
            let another = at_page(doubles.beside(&Plan::new(None, None)), Some(PAGE));
            let token = another.get_token(at_once()).await.unwrap();
            assert_eq!(
                token.warnings.iter().any(|warning| warning.contains("refresh token") && warning.contains(PAGE)),
                warned,
                "{:?}",
                token.warnings
            );
            let status = Status::soon(&another).await;
            assert_eq!(status.state, if warned { State::Degraded } else { State::Connected });
            assert_eq!(status.summary.contains(PAGE), warned, "{}", status.summary);
            assert!(status.servable);
        }
    });
}

#[test]
fn a_caller_who_gets_no_token_hears_of_it_as_well() {
    for (age, expected) in [(23 * DAY - HOUR, None), (23 * DAY + 60, Some("ends at")), (30 * DAY, Some("were over at"))] {
        let world = stuck(SignedDuration::from_secs(age));
        undisturbed(&world, |refresher, _| async move {
            let refresher = at_page(refresher, Some(PAGE));
            let Err(NoToken::Unavailable { why, retry_after }) = refresher.get_token(Ask::default()).await else { panic!("{age}") };
            assert!(why.contains("not writable") && retry_after >= 1, "{why}");
            assert_eq!((expected.is_some_and(|said| why.contains(said)), why.contains(PAGE)), (expected.is_some(), expected.is_some()), "{why}");
            // And who does not wait at all.
            let Err(NoToken::Unavailable { why, .. }) = refresher.get_token(at_once()).await else { panic!("{age}") };
            assert_eq!(why.contains(PAGE), expected.is_some(), "{why}");
            refresher.finish().await;
        });
    }
}

/// Exact may grant an access token and leave the refresh token as it was: that one's 30 days go on from its issue.
#[test]
fn a_refresh_token_that_a_grant_left_as_it_was_is_as_old_as_before() {
    let world = connected(Config::default());
    let issued = world.state().now;
    for day in 1..=3 {
        world.state().exact.script(exact_online::Fault::Odd(OddGrant::UnchangedRefreshToken));
        let mut state = world.state();
        state.now = issued + SignedDuration::from_secs(8 * day * DAY);
        drop(state);
        undisturbed(&world, |refresher, _| async move {
            let refresher = at_page(refresher, Some(PAGE));
            assert!(!refresher.tick().await.failed);
            let status = Status::soon(&refresher).await;
            let end = status.refresh_token_expires_at.unwrap();
            assert!(end.duration_since(issued).as_secs() / DAY <= 30, "{day}: {end}");
            assert_eq!(status.refresh_token_days_left, Some(30 - 8 * day), "{day}");
            let warned = day == 3;
            assert_eq!((status.state == State::Degraded, status.summary.contains(PAGE)), (warned, warned), "{}", status.summary);
            let token = refresher.get_token(at_once()).await.unwrap();
            assert_eq!(token.warnings.iter().any(|warning| warning.contains("the refresh token ends at")), warned, "{:?}", token.warnings);
        });
    }
    // The next grant brings a new one, whose 30 days begin.
    world.state().now += SignedDuration::from_secs(DAY);
    undisturbed(&world, |refresher, _| async move {
        assert!(!refresher.tick().await.failed);
        let status = Status::soon(&refresher).await;
        assert_eq!((status.state, status.refresh_token_days_left), (State::Connected, Some(30)), "{}", status.summary);
    });
}

/// Two looks, of which one meets a store that never answers.
fn looked_twice(op: &'static str, nth: usize) -> (Status, Status) {
    let world = connected(Config::default());
    let plan = Plan::new(None, Some(Fault { op, nth, how: How::Never }));
    let said = live(&world, &plan, |refresher, doubles| async move {
        let mut looks = Vec::new();
        for _ in 0..2 {
            let begun = doubles.true_now();
            looks.push(Status::soon(&refresher).await);
            assert!(doubles.true_now().duration_since(begun) <= SignedDuration::try_from(LOOK).unwrap(), "{op}");
        }
        (looks.remove(0), looks.remove(0))
    });
    said.expect("nobody kills it")
}

#[test]
fn a_status_that_a_silent_store_is_asked_for_is_answered_from_memory() {
    let (first, second) = looked_twice("ledger.read", 1);
    assert_eq!((first.state, first.servable, first.store_read_seconds_ago), (State::Connected, true, Some(0)));
    assert_eq!((second.state, second.servable, second.store_read_seconds_ago), (State::Degraded, true, Some(4)));
    assert_eq!((second.epoch, second.access_token_expires_at), (first.epoch, first.access_token_expires_at));
    assert!(second.summary.contains("does not answer within 4 s"), "{}", second.summary);
    for op in ["ledger.read", "vault.get"] {
        let (first, _) = looked_twice(op, 0);
        assert_eq!((first.state, first.servable, first.epoch, first.store_read_seconds_ago), (State::Degraded, false, None, None), "{op}");
    }
}

/// Fetched only when asked for, no token is at hand for most of the day; and a caller gets one all the same.
#[test]
fn servable_is_what_a_caller_would_be_served() {
    let world = connected(Config::default());
    world.state().mode = Mode::OnDemand;
    undisturbed(&world, |refresher, _| async move {
        for age in [0, 300, 545, 569, 580, 700, 3 * DAY] {
            tokio::time::sleep(Duration::from_secs(age.unsigned_abs())).await;
            let status = Status::soon(&refresher).await;
            assert_eq!((status.state, status.servable), (State::Connected, true), "{age}: {}", status.summary);
        }
    });
    // Where the last refresh failed, or where it is open what became of it, nobody is promised one.
    world.state().vault = VaultIs::ReadOnly;
    undisturbed(&world, |refresher, _| async move {
        assert!(refresher.get_token(at_once()).await.is_err());
        refresher.finish().await;
        let status = Status::soon(&refresher).await;
        assert_eq!((status.state, status.servable, status.last_failure_class), (State::Degraded, false, Some("not_sent")));
        assert!(status.last_failure_at.is_some());
    });
}

fn at_page(refresher: Arc<Refresher>, page: Option<&str>) -> Arc<Refresher> {
    let refresher = Arc::into_inner(refresher).expect("nobody has it yet");
    Arc::new(refresher.with_consent_at(page.map(str::to_owned)))
}
