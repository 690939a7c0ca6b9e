//! Storage time: the clock that all processes share, because all of them get its replies.
//!
//! Every reply of the blob service says what time it was there, to the second. It was said between sending and receiving, so each reply bounds
//! how far the local clock is off; several bound it more closely. What is corrected is the least that agrees with them: a machine whose clock is
//! right is not corrected at all, and no two such machines differ.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::Context;
use azure_core::http::Request;
use azure_core::http::headers::HeaderName;
use azure_core::http::policies::{Policy, PolicyResult};
use jiff::{SignedDuration, Timestamp};

use crate::ports::Clock;

/// More than any clock gains or loses between two looks, beside [`SLEW`].
const JUMP: SignedDuration = SignedDuration::from_millis(500);
/// A clock that is being corrected gently runs at most 1/2000 fast or slow (Linux, `adjtimex`); twice that.
const SLEW: i32 = 1000;
/// 2000-01-01 to 2200: outside it is no date that the core could calculate with.
const CREDIBLE: std::ops::Range<i64> = 946_684_800..7_289_654_400;
const DATE: HeaderName = HeaderName::from_static("date");
/// Only the service itself sets it on a reply: a proxy's date is not the store's.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

/// The local clock, corrected by the dates of the replies that pass through it as a policy.
pub(super) struct StorageClock {
    local: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

impl StorageClock {
    pub(super) fn new(local: Arc<dyn Clock>) -> Self {
        Self { local, seen: Mutex::default() }
    }

    /// Storage time. Before the first reply: local time.
    pub(super) fn now(&self) -> Timestamp {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).now(self.read())
    }

    fn read(&self) -> Reading {
        Reading { wall: self.local.now(), monotonic: self.local.monotonic() }
    }
}

impl fmt::Debug for StorageClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageClock").finish_non_exhaustive()
    }
}

#[async_trait]
impl Policy for StorageClock {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let sent = self.read();
        let response = next[0].send(ctx, request, &next[1..]).await?;
        let received = self.read();
        let headers = response.headers();
        if headers.get_optional_str(&REQUEST_ID).is_some()
            && let Some(date) = headers.get_optional_str(&DATE).and_then(parse)
        {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).record(sent, received, date);
        }
        Ok(response)
    }
}

fn parse(date: &str) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    CREDIBLE.contains(&date.as_second()).then_some(date)
}

/// Both local clocks at one moment.
#[derive(Clone, Copy)]
struct Reading {
    wall: Timestamp,
    monotonic: Duration,
}

impl Reading {
    fn since(self, earlier: Self) -> (SignedDuration, SignedDuration) {
        let monotonic = self.monotonic.saturating_sub(earlier.monotonic);
        (self.wall.duration_since(earlier.wall), SignedDuration::try_from(monotonic).unwrap_or(SignedDuration::MAX))
    }

    /// Whether the wall clock was set, or the machine slept, since `earlier`.
    fn jumped_since(self, earlier: Self) -> bool {
        let (wall, monotonic) = self.since(earlier);
        (wall - monotonic).abs() > JUMP + monotonic / SLEW
    }
}

/// What the replies said.
#[derive(Default)]
struct Seen {
    latest: Option<Seeing>,
}

/// The latest reply, and all that is known since.
#[derive(Clone, Copy)]
struct Seeing {
    received: Reading,
    ahead: Bounds,
}

/// Storage time is at least `least` and at most `most` ahead of the wall clock.
#[derive(Clone, Copy)]
struct Bounds {
    least: SignedDuration,
    most: SignedDuration,
}

impl Bounds {
    /// What they are still good for after a time in which the wall clock drifted. They get wider and never old: a quick reply of an hour ago says more
    /// than one that was on its way for ten seconds just now.
    fn after(self, time: SignedDuration) -> Self {
        let drifted = time / SLEW;
        Self { least: self.least - drifted, most: self.most + drifted }
    }

    /// None if they contradict each other.
    fn and(self, other: Self) -> Option<Self> {
        let both = Self { least: self.least.max(other.least), most: self.most.min(other.most) };
        (both.least <= both.most).then_some(both)
    }

    /// The least that agrees with them. Not `clamp`, which panics where they cross.
    fn correction(self) -> SignedDuration {
        SignedDuration::ZERO.min(self.most).max(self.least)
    }
}

impl Seen {
    /// A wall clock that went back is not followed: the monotonic one cannot have run ahead. One that went forward is, since the machine may have
    /// slept; if it was set wrongly, the next reply says so, and nothing is sent to Exact before there was one.
    fn now(&self, now: Reading) -> Timestamp {
        let Some(Seeing { received, ahead }) = self.latest else { return now.wall };
        now.wall.max(received.wall + now.since(received).1) + ahead.correction()
    }

    fn record(&mut self, sent: Reading, received: Reading, date: Timestamp) {
        if received.jumped_since(sent) {
            // Which of the two clocks is to be believed for this exchange is not known.
            return;
        }
        let said = Bounds {
            least: date.duration_since(received.wall),
            // The date is cut to the second.
            most: date.duration_since(sent.wall) + SignedDuration::from_secs(1),
        };
        let known = self.latest.filter(|latest| !received.jumped_since(latest.received));
        let known = known.map(|latest| latest.ahead.after(received.since(latest.received).1));
        // What contradicts the newest reply is over.
        let ahead = known.and_then(|known| known.and(said)).unwrap_or(said);
        self.latest = Some(Seeing { received, ahead });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(START + millis).unwrap()
    }

    /// A world with its true time, a wall clock that is `off` it, and a monotonic one.
    struct Scene {
        seen: Seen,
        truth: i64,
        off: i64,
        slept: i64,
    }

    impl Scene {
        fn with_clock_off(off: i64) -> Self {
            Self { seen: Seen::default(), truth: 250, off, slept: 0 }
        }

        fn reading(&self) -> Reading {
            let monotonic = Duration::from_millis(u64::try_from(self.truth - self.slept).unwrap());
            Reading { wall: at(self.truth + self.off), monotonic }
        }

        /// An exchange: the reply is made half way.
        fn exchange(&mut self, took: i64) {
            let sent = self.reading();
            self.truth += took / 2;
            let date = Timestamp::from_second(at(self.truth).as_second()).unwrap();
            self.truth += took - took / 2;
            self.seen.record(sent, self.reading(), date);
        }

        /// Milliseconds that storage time is wrong by.
        fn error(&self) -> i64 {
            (self.seen.now(self.reading()).as_millisecond()) - at(self.truth).as_millisecond()
        }
    }

    #[test]
    fn before_the_first_reply_it_is_the_local_clock() {
        assert_eq!(Scene::with_clock_off(1234).error(), 1234);
    }

    #[test]
    fn a_right_clock_is_not_corrected() {
        let mut scene = Scene::with_clock_off(0);
        for round in 0..200 {
            scene.exchange(7 + round % 40);
            scene.truth += 3_333 + round;
            assert_eq!(scene.error(), 0);
        }
    }

    #[test]
    fn one_reply_corrects_to_within_a_second_and_the_round_trip() {
        for off in [-86_400_000, -3_000, -1_200, 1_200, 3_000, 86_400_000] {
            let mut scene = Scene::with_clock_off(off);
            scene.exchange(40);
            assert!(scene.error().abs() <= 1_040, "{off}: {}", scene.error());
            // Some more, at other parts of the second.
            for _ in 0..20 {
                scene.truth += 730;
                scene.exchange(40);
            }
            assert!(scene.error().abs() <= 100, "{off}: {}", scene.error());
        }
    }

    #[test]
    fn a_slow_reply_does_not_spoil_what_a_quick_one_said() {
        let mut scene = Scene::with_clock_off(5_000);
        for _ in 0..10 {
            scene.truth += 730;
            scene.exchange(20);
        }
        let before = scene.error();
        scene.exchange(9_000);
        assert!((scene.error() - before).abs() <= 10, "{}", scene.error());
    }

    /// Seed 9106 of the simulation: after ten minutes without a request, the first reply was a slow one.
    #[test]
    fn nor_does_it_after_a_long_silence() {
        for off in [-7_000, 7_000] {
            let mut scene = Scene::with_clock_off(off);
            for _ in 0..20 {
                scene.truth += 730;
                scene.exchange(20);
            }
            scene.truth += 660_000;
            scene.exchange(9_000);
            assert!(scene.error().abs() <= 1_000, "{off}: {}", scene.error());
        }
    }

    #[test]
    fn a_clock_set_back_is_not_followed_and_one_set_forward_until_the_next_reply() {
        let mut scene = Scene::with_clock_off(0);
        scene.exchange(20);
        scene.truth += 5_000;
        scene.off = -3_600_000;
        assert_eq!(scene.error(), 0);
        scene.exchange(20);
        assert!(scene.error().abs() <= 1_020, "{}", scene.error());

        scene.off += 7_200_000;
        assert!(scene.error() > 7_000_000);
        scene.exchange(20);
        assert!(scene.error().abs() <= 1_020, "{}", scene.error());
    }

    #[test]
    fn a_machine_that_slept_is_right_at_once() {
        let mut scene = Scene::with_clock_off(3_000);
        scene.exchange(20);
        let before = scene.error();
        scene.truth += 8 * 3_600_000;
        scene.slept += 8 * 3_600_000;
        assert_eq!(scene.error(), before);
        scene.exchange(20);
        assert!(scene.error().abs() <= 1_020);
    }

    #[test]
    fn an_exchange_during_which_a_clock_jumped_says_nothing() {
        let mut scene = Scene::with_clock_off(0);
        scene.exchange(20);
        let sent = scene.reading();
        let date = at(scene.truth);
        scene.truth += 3_600_000;
        scene.slept += 3_600_000;
        scene.seen.record(sent, scene.reading(), date);
        assert_eq!(scene.error(), 0);
    }

    #[test]
    fn a_drifting_clock_is_followed() {
        let mut scene = Scene::with_clock_off(0);
        for _ in 0..600 {
            // A tenth of a second every half minute: 3333 ppm, more than any real clock.
            scene.truth += 30_000;
            scene.off += 100;
            scene.exchange(20);
            assert!(scene.error().abs() <= 2_020, "{}", scene.error());
        }
        assert_eq!(scene.off, 60_000);
    }

    #[test]
    fn dates_that_are_read_and_dates_that_are_not() {
        assert_eq!(parse("Mon, 23 Nov 2026 17:25:31 GMT"), "2026-11-23T17:25:31Z".parse().ok());
        for date in ["", "yesterday", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "2026-11-23T17:25:31Z"] {
            assert_eq!(parse(date), None, "{date}");
        }
    }
}
