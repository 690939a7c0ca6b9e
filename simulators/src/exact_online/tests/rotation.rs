use super::*;

const DAY: u64 = 86_400;

#[test]
fn a_grant_looks_like_exacts() {
    let mut w = world(|_| {});
    let first = w.chain();
    let reply = w.refresh(&first);
    let body = json(&reply);
    assert_eq!(body["expires_in"], "600");
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body.as_object().unwrap().len(), 4);

    let Pair { access_token, refresh_token } = pair(&reply);
    assert!(access_token.starts_with("stampNL001.gAAAASIMULATED-access-"));
    assert_eq!(access_token.len(), 945);
    assert_eq!(&refresh_token[15..34], "!IAAAASIMULATED-ref");
    assert_eq!(refresh_token.len(), 600);
    assert_ne!(refresh_token, first);
}

#[test]
fn expires_in_can_be_a_number_and_the_type_capitalised() {
    let mut w = world(|c| {
        c.expires_in = ExpiresIn::Number;
        c.token_type = "Bearer";
    });
    let first = w.chain();
    let body = json(&w.refresh(&first));
    assert_eq!(body["expires_in"], 600);
    assert_eq!(body["token_type"], "Bearer");
}

#[test]
fn equal_worlds_make_equal_tokens_and_a_clone_goes_its_own_way() {
    let (mut a, mut b) = (world(|_| {}), world(|_| {}));
    let first = a.chain();
    assert_eq!(first, b.chain());
    let mut fork = a.rules.clone();
    assert!(a.granted(&first) == b.granted(&first));
    assert_eq!(fork.token(a.now, &TokenRequest::refresh(&Config::default(), &first)).status, 200, "what happens there does not happen here");
    assert!(world(|c| c.seed = 2).chain() != first);
}

#[test]
fn without_grace_an_old_token_is_refused_in_one_of_two_ways() {
    for (form, canned) in [(OldToken::OldRefreshTokenUsed, bodies::OLD_REFRESH_TOKEN), (OldToken::ChainId, bodies::CHAIN_ID)] {
        let mut w = world(|c| c.old_token = form);
        let first = w.chain();
        let second = w.granted(&first);
        assert!(!w.alive(&first));
        assert!(w.alive(&second.refresh_token), "too early now, but later it would be granted");
        assert_is(&w.at(571).refresh(&first), canned);
        w.at(572).granted(&second.refresh_token);
    }
}

#[test]
fn a_grace_of_600_s_can_be_hit_from_570_s_on() {
    let mut w = world(|c| c.grace = Grace::Seconds(600));
    let first = w.chain();
    let lost = w.granted(&first);
    assert!(w.alive(&first));
    assert_is(&w.at(569).refresh(&first), bodies::TOO_EARLY);

    let found = w.at(571).granted(&first);
    assert_eq!(w.rules.log().last().unwrap().outcome, Outcome::GrantedByGrace);
    assert!(!w.alive(&lost.refresh_token), "the pair of the lost reply is superseded");
    assert!(!w.alive(&first), "its grace ends before the gate opens again");

    assert_is(&w.at(1200).refresh(&lost.refresh_token), bodies::OLD_REFRESH_TOKEN);
    w.at(1201).granted(&found.refresh_token);
}

#[test]
fn a_grace_of_600_s_is_over_after_600_s() {
    let mut w = world(|c| c.grace = Grace::Seconds(600));
    let first = w.chain();
    w.granted(&first);
    assert!(w.at(599).alive(&first));
    assert!(!w.at(600).alive(&first));
    assert_is(&w.refresh(&first), bodies::OLD_REFRESH_TOKEN);
}

#[test]
fn a_grace_can_last_until_the_new_token_is_used() {
    let mut w = world(|c| c.grace = Grace::UntilNewUsed);
    let first = w.chain();
    w.granted(&first);
    let second = w.at(5 * DAY).granted(&first);
    let third = w.at(6 * DAY).granted(&first);
    assert!(!w.alive(&second.refresh_token));

    w.at(7 * DAY).granted(&third.refresh_token);
    assert_is(&w.at(8 * DAY).refresh(&first), bodies::OLD_REFRESH_TOKEN);
    assert!(w.alive(&third.refresh_token), "now it is the previous one");
}

#[test]
fn grace_does_not_reach_back_two_tokens() {
    for grace in [Grace::Seconds(6000), Grace::UntilNewUsed] {
        let mut w = world(|c| c.grace = grace);
        let first = w.chain();
        let second = w.granted(&first);
        w.at(600).granted(&second.refresh_token);
        assert!(!w.alive(&first));
        assert_is(&w.at(1200).refresh(&first), bodies::OLD_REFRESH_TOKEN);
    }
}

#[test]
fn a_refresh_token_dies_after_thirty_days_and_the_text_has_us_dates() {
    let mut w = world(|_| {});
    let first = w.rules.issue_chain_aged(w.now, Duration::ZERO).refresh_token;
    assert!(w.at(30 * DAY - 1).alive(&first));
    assert!(!w.at(30 * DAY).alive(&first));

    let reply = w.at(44 * DAY + 27_000).refresh(&first);
    assert_eq!(reply.status, 400);
    assert_eq!(
        String::from_utf8(reply.body).unwrap(),
        r#"{"error":"invalid_request","error_description":"The refresh token expired at 12\/23\/2026 5:00:00 PM and it is now 1\/7\/2027 12:30:00 AM."}"#
    );
}

#[test]
fn the_reported_expiry_text_comes_out_byte_for_byte() {
    let reply = bodies::refresh_token_expired("2022-10-11T21:18:20Z".parse().unwrap(), "2022-10-28T16:15:50.9Z".parse().unwrap());
    assert_is(&reply, bodies::REFRESH_TOKEN_EXPIRED);
}

#[test]
fn each_refresh_begins_new_thirty_days() {
    let mut w = world(|_| {});
    let mut token = w.chain();
    for month in 1..=24 {
        token = w.at(month * 29 * DAY).granted(&token).refresh_token;
    }
}

#[test]
fn an_access_token_lives_600_s_whatever_rotates() {
    let mut w = world(|_| {});
    let first = w.chain();
    let second = w.granted(&first);
    w.at(570).granted(&second.refresh_token);
    let alive = |w: &World| w.rules.is_alive(&second.access_token, w.now);
    assert!(alive(w.at(599)));
    assert!(!alive(w.at(600)));
}

#[test]
fn a_rotation_can_be_told_to_end_older_access_tokens() {
    let mut w = world(|c| c.rotation_ends_access_tokens = true);
    let first = w.chain();
    let second = w.granted(&first);
    let third = w.at(570).granted(&second.refresh_token);
    assert!(!w.rules.is_alive(&second.access_token, w.now));
    assert!(w.rules.is_alive(&third.access_token, w.now));
}

#[test]
fn a_revoked_chain_is_refused() {
    let mut w = world(|_| {});
    let first = w.chain();
    let user = w.user();
    w.rules.revoke(&user);
    assert!(!w.alive(&first));
    assert_is(&w.refresh(&first), bodies::CHAIN_ID);
}

#[test]
fn a_token_of_nobodys_making_has_no_signature() {
    let mut w = world(|_| {});
    assert_is(&w.refresh("stampNL001.abcd!IAAAAnonsense"), bodies::SIGNED_DATA);
    assert!(!w.alive("stampNL001.abcd!IAAAAnonsense"));
    assert_eq!(w.rules.newest_refresh_token(), None);
}

#[test]
fn two_requests_at_once_are_both_answered_and_the_first_pair_is_dead() {
    let mut w = world(|c| c.both_answered = Duration::from_secs(2));
    let token = w.chain();
    let first = pair(&w.refresh(&token)).refresh_token;
    let second = pair(&w.refresh(&token)).refresh_token;
    assert!(!w.alive(&first) && w.alive(&second));
}
