use super::*;

#[test]
fn requests_without_a_grant_are_counted_over_any_hour() {
    let mut w = world(|_| {});
    let token = w.rules.issue_chain_aged(w.now, Duration::ZERO).refresh_token;
    for at in [0, 1, 2] {
        w.at(at).refresh(&token);
    }
    w.at(600).granted(&token);
    w.at(3599).refresh(&token);
    assert_eq!(w.rules.max_ungranted_in_an_hour(), 4, "0, 1, 2 and 3599, but not the grant");
    w.at(3600).refresh(&token);
    assert_eq!(w.rules.max_ungranted_in_an_hour(), 4, "0 is an hour ago now");
}

#[test]
fn a_grant_that_did_not_arrive_counts_as_none() {
    for (fault, granted) in [
        (Fault::CommitThen(Loss::Reset), false),
        (Fault::CommitThen(Loss::Cut), false),
        (Fault::commit_then(bodies::EMPTY_200), false),
        (Fault::Odd(OddGrant::LacksRefreshToken), false),
        (Fault::NoCommit(Loss::Never), false),
        (Fault::CommitThen(Loss::Late(Duration::from_secs(35))), true),
        (Fault::Odd(OddGrant::UnchangedRefreshToken), true),
        (Fault::Pass, true),
    ] {
        let mut w = world(|_| {});
        let token = w.chain();
        w.rules.script(fault.clone());
        w.refresh(&token);
        assert_eq!(w.rules.log()[0].granted, granted, "{fault:?}");
        assert_eq!(w.rules.max_ungranted_in_an_hour(), usize::from(!granted), "{fault:?}");
    }
}

#[test]
fn requests_are_counted_per_utc_day() {
    let mut w = world(|_| {});
    assert_eq!(w.rules.max_requests_in_a_day(), 0);
    let seven_hours_later_it_is_midnight = 7 * 3600;
    for at in [0, 1, seven_hours_later_it_is_midnight] {
        w.at(at).refresh("x!");
    }
    assert_eq!(w.rules.max_requests_in_a_day(), 2);
}
