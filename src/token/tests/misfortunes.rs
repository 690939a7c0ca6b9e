//! What follows from each kind of reply, second by second after the last grant.

use jiff::SignedDuration;

use super::arbitrary::at;
use super::timeline::Timeline;
use crate::token::ledger::{BUDGET_HOUR, BackoffCause, FailureKind};
use crate::token::reply::{Misconfiguration, NotSent, Refusal, Unclear};
use crate::token::rotation::Landed;
use crate::token::schedule::{Due, Mode, Reason, Wait, Why};
use crate::token::{AttemptId, Credential, Fingerprint, Ledger, LockId, Pointer, Secret, VersionId};

const REFUSED: FailureKind = FailureKind::Refused(Refusal::OldTokenUsed);
const LOST: FailureKind = FailureKind::Unclear(Unclear::ConnectionLost);
const HOUR: i64 = 3_600;

#[test]
fn a_grant_is_renewed_30_s_before_its_end() {
    let mut timeline = Timeline::granted_at_0();
    assert_eq!(timeline.waits(), (570, Wait::TooYoung));
    assert_eq!(timeline.at(570).reason(), Reason::Renewable);
    assert_eq!(timeline.at(600).reason(), Reason::Expired);
}

#[test]
fn on_demand_a_week_passes_before_anything_is_due() {
    let mut timeline = Timeline::granted_at_0();
    timeline.policy.mode = Mode::OnDemand;
    let week = 7 * 24 * HOUR;
    assert_eq!(timeline.at(600).waits(), (week, Wait::NobodyAsks));
    assert_eq!(timeline.at(week).reason(), Reason::KeepAlive);
}

#[test]
fn too_early_is_asked_again_after_60_120_240_s_and_571_s_after_the_first() {
    let mut timeline = Timeline::granted_at_0();
    for (at, next) in [(570, 630), (630, 750), (750, 990), (990, 1_141), (1_141, 1_201)] {
        timeline.at(at).sends_and(FailureKind::TooEarly);
        assert_eq!(timeline.waits(), (next, Wait::Backoff(BackoffCause::TooEarly)));
    }
    assert!(timeline.ledger.open.is_empty(), "nothing was spent");
}

#[test]
fn too_early_with_an_earlier_attempt_open_means_that_one_rotated_so_it_is_aimed_at() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(LOST);
    assert_eq!(timeline.waits(), (600, Wait::UnclearOutcome), "the first retry comes after 30 s");
    timeline.at(600).sends_and(FailureKind::TooEarly);
    assert_eq!(timeline.waits(), (570 + 573, Wait::UnclearOutcome), "the gate opens 570 s after the lost grant, a grace ends at 600");
    assert!(timeline.ledger.backoff.is_none());
}

#[test]
fn a_slow_reply_that_was_lost_is_aimed_at_all_along_its_way() {
    let mut timeline = Timeline::granted_at_0();
    let attempt = timeline.at(570).sends();
    timeline.at(670).comes_to(&attempt, FailureKind::Unclear(Unclear::TimedOut));
    timeline.at(700).sends_and(FailureKind::TooEarly);
    // A grant made x s after 570 is within both gate and grace from 1140 + x to 1170 + x.
    for at in [1_143, 1_171, 1_199, 1_227, 1_255] {
        assert_eq!(timeline.waits(), (at, Wait::UnclearOutcome));
        timeline.at(at).sends_and(FailureKind::TooEarly);
    }
}

#[test]
fn i2_a_process_that_says_nothing_is_left_alone_for_140_s() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends();
    assert_eq!(timeline.at(571).waits(), (710, Wait::AttemptInFlight));
    assert_eq!(timeline.at(710).reason(), Reason::RetryUnclear);
}

#[test]
fn what_was_not_sent_is_tried_again_after_5_10_20_to_300_s_and_costs_nothing() {
    let mut timeline = Timeline::granted_at_0();
    let mut at = 570;
    for pause in [5, 10, 20, 40, 80, 160, 300, 300, 300] {
        timeline.at(at).sends_and(FailureKind::NotSent(NotSent::Unreachable));
        assert_eq!(timeline.waits(), (at + pause, Wait::Backoff(BackoffCause::NotSent(NotSent::Unreachable))));
        assert_eq!(timeline.ledger.ungranted_in_hour(timeline.now()), 0);
        at += pause;
    }
    assert!(timeline.ledger.open.is_empty());
    assert_eq!(timeline.ledger.requests_today(timeline.now()), 1, "only the grant's own request");
}

#[test]
fn a_refusal_is_believed_when_it_is_repeated_60_s_later() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(REFUSED);
    assert_eq!(timeline.waits(), (630, Wait::Refused(Refusal::OldTokenUsed)));
    assert!(timeline.ledger.dead.is_none());
    assert_eq!(timeline.at(630).reason(), Reason::ConfirmRefusal);
    timeline.sends_and(REFUSED);
    assert_eq!(timeline.due(), Due::NeedsConsent(Why::Refused(Refusal::OldTokenUsed)));
}

#[test]
fn a_refusal_that_comes_again_too_soon_does_not_count() {
    let mut timeline = Timeline::granted_at_0();
    let first = timeline.at(570).sends();
    let second = AttemptId("of a process that was frozen".to_owned());
    let (fingerprint, now) = (timeline.head().fingerprint(), timeline.now());
    timeline.ledger.announce(second.clone(), fingerprint, now);
    timeline.at(571).comes_to(&first, REFUSED);
    timeline.at(600).comes_to(&second, REFUSED);
    assert!(timeline.ledger.dead.is_none());
    assert_eq!(timeline.waits().0, 631);
}

#[test]
fn a_chain_that_looks_dead_is_probed_after_1_6_and_24_h_and_then_daily() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(REFUSED);
    timeline.at(630).sends_and(REFUSED);
    let mut before = 630;
    for hours in [1, 6, 24, 48, 72, 96] {
        let probe = 630 + hours * HOUR;
        for silent in [before + 1, before + 600, i64::midpoint(before, probe), probe - 1] {
            assert!(matches!(timeline.at(silent).due(), Due::NeedsConsent(_)), "nothing is sent {silent} s after the grant");
        }
        assert_eq!(timeline.at(probe).reason(), Reason::Probe);
        timeline.sends_and(REFUSED);
        before = probe;
    }
}

#[test]
fn a_probe_that_is_granted_clears_all() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(REFUSED);
    timeline.at(630).sends_and(REFUSED);
    let probe = timeline.at(630 + HOUR).sends();
    timeline.is_granted(&probe);
    assert!(timeline.ledger.dead.is_none() && timeline.ledger.refusals.is_empty());
    assert_eq!(timeline.waits(), (630 + HOUR + 570, Wait::TooYoung));
}

#[test]
fn a_probe_that_did_not_leave_is_not_counted() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(REFUSED);
    timeline.at(630).sends_and(REFUSED);
    timeline.at(630 + HOUR).sends_and(FailureKind::NotSent(NotSent::Unreachable));
    assert_eq!(timeline.waits().0, 630 + HOUR + 5);
}

#[test]
fn a_probe_whose_reply_was_lost_is_aimed_at_although_the_retry_was_too_early() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(REFUSED);
    timeline.at(630).sends_and(REFUSED);
    let probe = 630 + HOUR;
    timeline.at(probe).sends_and(LOST);
    timeline.at(probe + 30).sends_and(FailureKind::TooEarly);
    assert_eq!(timeline.waits(), (probe + 573, Wait::UnclearOutcome), "the lost reply was a grant; only an aim gets it back");
}

#[test]
fn i4_a_log_in_that_was_cut_off_is_no_probe_that_has_to_be_cleared_up() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(REFUSED);
    timeline.at(630).sends_and(REFUSED);
    timeline.ledger.announce_code(AttemptId("code".to_owned()), Fingerprint([9; 16]), None, at(700));
    for second in [850, 1_300] {
        assert!(matches!(timeline.at(second).due(), Due::NeedsConsent(_)), "{second} s: the hour's requests are kept for a person");
    }
}

/// Seeds 8007 and 10731 of the simulation: false refusals of the living head, and an old candidate was probed in its place for days.
#[test]
fn after_refusals_of_all_the_latest_grant_is_what_is_tried_now_and_then() {
    let mut timeline = Timeline::granted_at_0();
    let latest = timeline.ledger.head.clone().unwrap();
    for ago in [2_000, 3_000] {
        let refresh_token = Secret::new(format!("made-up-of-{ago}-s-ago"));
        let old = Credential { refresh_token, granted_at: at(-ago), ..timeline.head().clone() };
        let version = VersionId(timeline.versions.len().to_string());
        timeline.ledger.candidates.push(Pointer { version, fingerprint: old.fingerprint(), granted_at: old.granted_at, ..latest.clone() });
        timeline.versions.push(old);
    }
    let mut second = 570;
    while timeline.ledger.dead.is_none() {
        timeline.at(second).sends_and(REFUSED);
        second += 61;
        assert!(second < 2_000);
    }
    assert_eq!(timeline.ledger.head.as_ref().unwrap().version, latest.version);
    assert_eq!(timeline.ledger.candidates.len(), 2, "nothing is thrown away");
}

/// Seed 3690 of the simulation: three requests for one probe, and the next probe came after a day.
#[test]
fn what_clears_up_a_probe_is_no_probe() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(REFUSED);
    timeline.at(630).sends_and(REFUSED);
    let probe = 630 + HOUR;
    timeline.at(probe).sends_and(LOST);
    for retry in [probe + 30, probe + 573] {
        timeline.at(retry).sends_and(REFUSED);
    }
    timeline.at(630 + 6 * HOUR - 1);
    assert!(matches!(timeline.due(), Due::NeedsConsent(_)));
    assert_eq!(timeline.at(630 + 6 * HOUR).reason(), Reason::Probe);
}

#[test]
fn a_candidate_takes_the_place_of_a_head_that_was_refused_twice() {
    let mut timeline = Timeline::granted_at_0();
    let odd = timeline.at(570).sends();
    assert_eq!(timeline.is_granted_oddly(&odd, FailureKind::Unclear(Unclear::Status(400))), Landed::Candidate);
    assert_eq!(timeline.head().attempt.0, "attempt-1", "the head stays");
    assert_eq!(timeline.waits(), (600, Wait::UnclearOutcome));
    timeline.at(600).sends_and(REFUSED);
    let again = timeline.waits().0;
    assert!(again >= 660);
    timeline.at(again).sends_and(REFUSED);
    assert_eq!(timeline.head().attempt, odd);
    assert!(timeline.ledger.dead.is_none());
    assert_eq!(timeline.reason(), Reason::NoAccessToken);
}

#[test]
fn after_a_grant_nothing_is_open_that_nothing_can_come_of() {
    let mut timeline = Timeline::granted_at_0();
    let odd = timeline.at(570).sends();
    timeline.is_granted_oddly(&odd, FailureKind::Unclear(Unclear::Status(400)));
    timeline.at(600).sends_and(REFUSED);
    let again = timeline.waits().0;
    timeline.at(again).sends_and(REFUSED);
    let granted = timeline.sends();
    timeline.is_granted(&granted);
    assert!(timeline.ledger.open.is_empty(), "else every pass lists all versions, for ever");
    assert_eq!(timeline.waits(), (again + 570, Wait::TooYoung));
}

#[test]
fn with_a_candidate_of_another_user_a_person_is_asked() {
    let mut timeline = Timeline::granted_at_0();
    let mut theirs = timeline.head().clone();
    theirs.epoch = 0;
    theirs.refresh_token = crate::token::Secret::new("somebody else's");
    let pointer = timeline.stored(theirs);
    timeline.ledger.odd_grant_saved(pointer);
    timeline.at(570).sends_and(REFUSED);
    timeline.at(630).sends_and(REFUSED);
    assert_eq!(timeline.due(), Due::NeedsConsent(Why::Refused(Refusal::OldTokenUsed)));
}

#[test]
fn an_app_that_is_not_accepted_is_tried_once_an_hour() {
    let mut timeline = Timeline::granted_at_0();
    let what = Misconfiguration::InvalidClient;
    for at in [570, 570 + HOUR, 570 + 2 * HOUR] {
        timeline.at(at).sends_and(FailureKind::Misconfigured(what));
        assert_eq!(timeline.waits(), (at + HOUR, Wait::Misconfigured(what)));
    }
}

#[test]
fn an_app_that_is_not_accepted_is_tried_at_once_when_a_setting_changes() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(FailureKind::Misconfigured(Misconfiguration::UnauthorizedClient));
    timeline.policy.settings = Fingerprint([2; 16]);
    assert_eq!(timeline.at(571).reason(), Reason::RetrySettings);
    timeline.policy.settings = Fingerprint([1; 16]);
    assert_eq!(timeline.waits().0, 570 + HOUR, "and not when it changes back");
}

#[test]
fn exact_asks_for_patience_and_gets_it() {
    let throttled = |retry_after| {
        let mut timeline = Timeline::granted_at_0();
        let attempt = timeline.at(570).sends();
        timeline.comes_to_with(&attempt, FailureKind::Throttled, retry_after);
        timeline.waits().0 - 570
    };
    assert_eq!(throttled(Some(120)), 120);
    assert_eq!(throttled(None), 30);
    assert_eq!(throttled(Some(0)), 30, "at once is no patience");
    assert_eq!(throttled(Some(10 * 24 * HOUR)), 24 * HOUR, "ten days are a mistake");
}

#[test]
fn exact_asks_for_patience_again_and_again() {
    let mut timeline = Timeline::granted_at_0();
    let mut at = 570;
    for pause in [30, 60, 120, 240, 300, 300] {
        timeline.at(at).sends_and(FailureKind::Throttled);
        assert_eq!(timeline.waits(), (at + pause, Wait::Backoff(BackoffCause::Throttled)));
        at += pause;
    }
}

#[test]
fn i4_the_ninth_request_of_an_hour_waits_for_the_first_to_leave_it() {
    let mut timeline = Timeline::granted_at_0();
    for at in (570..).step_by(200).take(8) {
        let attempt = timeline.at(at).sends();
        timeline.ledger.close(&attempt);
    }
    assert_eq!(timeline.at(2_500).waits(), (570 + BUDGET_HOUR.as_secs(), Wait::HourlyBudget));
    assert_eq!(timeline.at(570 + BUDGET_HOUR.as_secs()).reason(), Reason::Expired);
}

#[test]
fn i4_the_201st_request_of_a_day_waits_for_midnight() {
    let mut timeline = Timeline::granted_at_0();
    timeline.ledger.today.requests = 200;
    let (until, why) = timeline.at(570).waits();
    assert_eq!(why, Wait::DailyBudget);
    assert_eq!(at(until).to_string(), "2027-01-16T00:00:00Z");
    assert_eq!(timeline.at(until).reason(), Reason::Expired);
}

#[test]
fn a_lost_ledger_is_rebuilt_around_the_latest_grant_and_holds_off_for_140_s() {
    let timeline = Timeline::granted_at_0();
    let version = |name: &str, second| {
        let mut credential = timeline.head().clone();
        credential.granted_at = at(second);
        credential.renewable_at = at(second + 570);
        credential.refresh_token = crate::token::Secret::new(name);
        (VersionId(name.to_owned()), credential)
    };
    let versions = vec![version("b", -1_200), version("d", -2_400), version("a", -600), version("c", -1_800), version("e", -3_000)];
    let empty = Ledger::begin(LockId("lock".to_owned()), "writer");
    let ledger = Ledger::rebuild(versions, at(0), empty);
    let name = |pointer: &crate::token::Pointer| pointer.version.0.clone();
    assert_eq!(ledger.head.as_ref().map(name).as_deref(), Some("a"));
    assert_eq!(ledger.candidates.iter().map(name).collect::<String>(), "bcd");
    assert_eq!((ledger.epoch, ledger.rebuilt_at), (2, Some(at(0))));
    assert_eq!(ledger.ungranted_in_hour(at(0)), 5, "nothing is known of the budget");

    let head = version("a", -600).1;
    let asked = |second| crate::token::schedule::due(&ledger, Some(&head), at(second), &timeline.policy);
    assert_eq!(asked(1), Due::NotYet { until: at(140), why: Wait::Backoff(BackoffCause::Rebuilt) });
    assert!(matches!(asked(140), Due::Now(_)));
}

#[test]
fn with_a_clock_that_went_back_the_gate_is_counted_from_when_that_was_noticed() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(-HOUR);
    assert_eq!(timeline.waits(), (-HOUR + 571, Wait::ClockBehind));
    let now = timeline.now();
    assert!(timeline.ledger.is_ahead_of(Some(timeline.head()), now));
    timeline.ledger.reanchor(now);
    assert!(!timeline.ledger.is_ahead_of(Some(timeline.head()), now));
    assert_eq!(timeline.at(-HOUR + 300).waits(), (-HOUR + 571, Wait::ClockBehind), "it does not move on with the clock");
    assert!(matches!(timeline.at(-HOUR + 571).due(), Due::Now(_)));
}

#[test]
fn with_a_clock_that_went_back_nothing_comes_sooner_and_nothing_waits_for_the_old_time() {
    let mut timeline = Timeline::granted_at_0();
    timeline.at(570).sends_and(LOST);
    timeline.at(600).sends_and(FailureKind::Throttled);
    timeline.at(1_155).sends_and(REFUSED);
    let spent = timeline.ledger.ungranted_in_hour(timeline.now());
    timeline.at(-HOUR);
    let now = timeline.now();
    timeline.ledger.reanchor(now);
    assert_eq!(timeline.ledger.ungranted_in_hour(now), spent, "the budget is as full as it was");
    assert!(timeline.waits().0 <= -HOUR + 601, "and all is over within 10 minutes");
}

#[test]
fn on_demand_a_grant_of_a_clock_that_ran_ahead_is_kept_alive_all_the_same() {
    let mut timeline = Timeline::granted_at_0();
    timeline.policy.mode = Mode::OnDemand;
    // The clock was a year ahead when the pair was granted, and is right again.
    let year_ago = -365 * 24 * HOUR;
    timeline.at(year_ago);
    let now = timeline.now();
    timeline.ledger.reanchor(now);
    let (until, why) = timeline.waits();
    assert_eq!(why, Wait::NobodyAsks);
    assert!(at(until).duration_since(now) <= SignedDuration::from_hours(7 * 24 + 1), "a refresh token dies after 30 days");
}
