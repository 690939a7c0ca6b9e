//! What fills a day: the host's timer, callers, and somebody who watches whether a token is at hand.

use std::sync::Arc;
use std::time::Duration;

use exact_token_broker::get_token::{Ask, NoToken};
use exact_token_broker::refresh_token::{Refresher, Tick};
use exact_token_broker::token::Secret;
use exact_token_broker::token::schedule::{Answer, answer};
use jiff::{SignedDuration, Timestamp};
use simulators::exact_online::{Config, Logged};

use super::life::{Doubles, Plan, live};
use super::world::World;

pub(crate) const HOUR: i64 = 3_600;
/// The host kills a tick at this age.
const FUNCTION_TIMEOUT: Duration = Duration::from_mins(10);

/// A chain whose first pair was granted just now.
pub(crate) fn connected(config: Config) -> World {
    let world = World::new(config);
    let first = {
        let mut state = world.state();
        let now = state.now;
        state.exact.issue_chain(now)
    };
    let granted = undisturbed(&world, |refresher, _| async move {
        refresher.import(Secret::new(first), false).await.unwrap();
        refresher.tick().await
    });
    assert!(!granted.failed, "{}", granted.line);
    world
}

/// A process that nothing happens to.
pub(crate) fn undisturbed<T, F: Future<Output = T>>(world: &World, work: impl FnOnce(Arc<Refresher>, Arc<Doubles>) -> F) -> T {
    live(world, &Plan::new(None, None), work).expect("nobody kills it")
}

/// The host's timer, `0 */9 * * * *`, for so many seconds.
pub(crate) async fn ticks(refresher: &Arc<Refresher>, doubles: &Doubles, seconds: i64) -> Vec<Tick> {
    let end = doubles.true_now() + SignedDuration::from_secs(seconds);
    let mut ticks = Vec::new();
    loop {
        let now = doubles.true_now();
        let next = next_tick(now);
        if next >= end {
            sleep_until(doubles, end).await;
            return ticks;
        }
        sleep_until(doubles, next).await;
        let tick = tokio::time::timeout(FUNCTION_TIMEOUT, refresher.tick()).await;
        ticks.push(tick.expect("a tick ends before the host kills it"));
    }
}

async fn sleep_until(doubles: &Doubles, at: Timestamp) {
    tokio::time::sleep(at.duration_since(doubles.true_now()).max(SignedDuration::ZERO).unsigned_abs()).await;
}

/// The next minute of the hour that is divisible by nine.
fn next_tick(now: Timestamp) -> Timestamp {
    let minute = now.as_second().div_euclid(60) + 1;
    let next = (minute..minute + 9).find(|minute| minute.rem_euclid(60) % 9 == 0).unwrap_or(minute);
    Timestamp::from_second(next * 60).unwrap()
}

/// What somebody saw who looked again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) looks: u32,
    pub(crate) served: u32,
    /// Handed out, and Exact would not have taken it.
    pub(crate) dead: u32,
    /// The longest time without a token at hand, in seconds.
    pub(crate) longest_gap: i64,
    /// When a token was at hand for the first time.
    pub(crate) first_served: Option<Timestamp>,
    /// The latest refusal.
    pub(crate) told: Option<NoToken>,
    gap: i64,
}

impl Seen {
    fn look(&mut self, token: Result<&Secret, NoToken>, doubles: &Doubles, every: i64) {
        self.looks += 1;
        match token {
            Ok(token) => {
                let now = doubles.true_now();
                self.served += 1;
                self.gap = 0;
                self.told = None;
                self.first_served = self.first_served.or(Some(now));
                self.dead += u32::from(!doubles.world.state().exact.is_alive(token.reveal(), now));
            }
            Err(told) => {
                self.told = Some(told);
                self.gap += every;
                self.longest_gap = self.longest_gap.max(self.gap);
            }
        }
    }
}

/// Looks every 5 s whether a token with so many seconds of life is at hand; asks for nothing.
pub(crate) async fn watch(refresher: &Arc<Refresher>, doubles: &Doubles, life: i64, seconds: i64) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..seconds / 5 {
        let view = refresher.view();
        let token = view.servable.as_ref().and_then(|credential| credential.access.as_ref());
        let at_hand = matches!(answer(view.servable.as_deref(), view.served_at, SignedDuration::from_secs(life)), Answer::Token { .. });
        let none = NoToken::Unavailable { why: String::new(), retry_after: 1 };
        seen.look(token.filter(|_| at_hand).map(|token| &token.value).ok_or(none), doubles, 5);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    seen
}

/// Somebody who asks for a token every so often and does not wait for it.
pub(crate) async fn calls(refresher: &Arc<Refresher>, doubles: &Doubles, every: i64, seconds: i64) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..seconds / every {
        let answer = refresher.get_token(at_once()).await;
        seen.look(answer.as_ref().map(|token| &token.access_token).map_err(Clone::clone), doubles, every);
        tokio::time::sleep(Duration::from_secs(every.unsigned_abs())).await;
    }
    seen
}

/// A minute of life, and no waiting.
pub(crate) fn at_once() -> Ask {
    Ask { max_wait: SignedDuration::ZERO, ..Ask::default() }
}

/// The requests that Exact got after a time.
pub(crate) fn requests_since(world: &World, since: Timestamp) -> Vec<Logged> {
    world.state().exact.log().iter().filter(|logged| logged.at > since).cloned().collect()
}

/// The times of requests, in seconds from `since`.
pub(crate) fn seconds_of(requests: &[Logged], since: Timestamp) -> Vec<i64> {
    requests.iter().map(|logged| logged.at.duration_since(since).as_secs()).collect()
}
