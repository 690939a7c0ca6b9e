use super::*;

/// One refresh under a fault, and whether the token that was sent would be good once more without any grace.
fn refresh_under(fault: Fault) -> (Reply, bool, World) {
    let mut w = world(|_| {});
    let first = w.chain();
    w.rules.script(fault);
    let reply = w.refresh(&first);
    let kept = w.alive(&first);
    (reply, kept, w)
}

#[test]
fn each_fault_spends_the_token_or_does_not() {
    for (name, fault) in Fault::all() {
        let (reply, kept, w) = refresh_under(fault.clone());
        let logged = w.rules.log().last().unwrap();
        let spends = match fault {
            Fault::NoCommit(_) | Fault::Odd(OddGrant::UnchangedRefreshToken) => false,
            Fault::Pass | Fault::CommitThen(_) | Fault::Odd(_) => true,
        };
        assert_eq!(kept, !spends, "{name}");
        assert_eq!(logged.committed, !matches!(fault, Fault::NoCommit(_)), "{name}");
        assert_eq!(logged.status, reply.status, "{name}");
        assert_eq!(logged.delivery, reply.delivery, "{name}");
        assert_eq!(logged.fault, Some(fault.describe()), "{name}");
    }
}

#[test]
fn every_fixed_reply_can_stand_in_for_a_grant() {
    for canned in bodies::ALL {
        let (reply, kept, _) = refresh_under(Fault::instead(*canned));
        assert_is(&reply, *canned);
        assert!(kept);
        let (reply, kept, _) = refresh_under(Fault::commit_then(*canned));
        assert_is(&reply, *canned);
        assert!(!kept);
    }
}

#[test]
fn faults_come_in_order_then_the_standing_one_until_it_is_taken_away() {
    let mut w = world(|_| {});
    let token = w.chain();
    w.rules.script(Fault::instead(bodies::APPLICATION_NOT_FOUND));
    w.rules.script(Fault::throttled(17));
    w.rules.always(Some(Fault::instead(bodies::HTML_503)));
    assert_eq!(w.rules.faults_left(), 2);

    assert_is(&w.refresh(&token), bodies::APPLICATION_NOT_FOUND);
    assert_eq!(w.refresh(&token).header("Retry-After"), Some("17"));
    assert_is(&w.refresh(&token), bodies::HTML_503);
    assert_is(&w.refresh(&token), bodies::HTML_503);

    w.rules.script(Fault::Pass);
    let second = w.granted(&token);
    assert_is(&w.at(600).refresh(&second.refresh_token), bodies::HTML_503);
    w.rules.always(None);
    w.granted(&second.refresh_token);
}

#[test]
fn a_lost_reply_is_found_again_by_grace() {
    let mut w = world(|c| c.grace = Grace::Seconds(600));
    let first = w.chain();
    w.rules.script(Fault::commit_then(bodies::EXTRACT_VARIABLES));
    assert_is(&w.refresh(&first), bodies::EXTRACT_VARIABLES);
    assert_is(&w.at(30).refresh(&first), bodies::TOO_EARLY);
    w.at(571).granted(&first);
}

#[test]
fn a_refusal_keeps_its_words_under_a_fault_that_spoils_grants() {
    for fault in [Fault::commit_then(bodies::EMPTY_200), Fault::Odd(OddGrant::LacksAccessToken)] {
        let mut w = world(|_| {});
        let young = w.rules.issue_chain_aged(w.now, Duration::ZERO).refresh_token;
        w.rules.script(fault);
        assert_is(&w.refresh(&young), bodies::TOO_EARLY);
    }
    let mut w = world(|_| {});
    let young = w.rules.issue_chain_aged(w.now, Duration::ZERO).refresh_token;
    w.rules.script(Fault::CommitThen(Loss::Reset));
    assert_eq!(w.refresh(&young).delivery, Delivery::Reset);
}

#[test]
fn odd_grants_are_odd_in_the_way_they_say() {
    let (reply, _, w) = refresh_under(Fault::Odd(OddGrant::LacksAccessToken));
    let body = json(&reply);
    assert_eq!((reply.status, body.get("access_token")), (200, None));
    assert_eq!(body["refresh_token"].as_str(), w.rules.newest_refresh_token());

    let (reply, _, _) = refresh_under(Fault::Odd(OddGrant::LacksRefreshToken));
    assert_eq!((reply.status, json(&reply).get("refresh_token")), (200, None));

    let (reply, _, w) = refresh_under(Fault::Odd(OddGrant::ErrorWithRefreshToken));
    let body = json(&reply);
    assert_eq!((reply.status, &body["error"]), (400, &Value::from("access_denied")));
    assert_eq!(body["refresh_token"].as_str(), w.rules.newest_refresh_token());
    assert!(w.rules.is_chain_alive(w.rules.newest_refresh_token().unwrap(), w.now));

    let (reply, _, mut w) = refresh_under(Fault::Odd(OddGrant::UnchangedRefreshToken));
    let same = pair(&reply);
    assert!(w.rules.is_alive(&same.access_token, w.now));
    assert_is(&w.at(569).refresh(&same.refresh_token), bodies::TOO_EARLY);
    w.at(570).granted(&same.refresh_token);
}

#[test]
fn the_big_reply_is_bigger_than_a_mebibyte() {
    let reply = bodies::oversized();
    assert!(reply.body.len() > 1 << 20);
    assert_eq!(json(&reply)["error"], "invalid_request");
}

#[test]
fn no_fixed_reply_holds_a_secret_and_names_are_unique() {
    for (place, canned) in bodies::ALL.iter().enumerate() {
        assert!(!canned.body.contains(MARKER), "{}", canned.name);
        assert!(bodies::ALL[..place].iter().all(|it| it.name != canned.name));
    }
}
