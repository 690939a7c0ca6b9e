use super::*;

#[test]
fn a_refresh_is_too_early_until_570_s_after_the_grant_and_does_not_cost_the_token() {
    let mut w = world(|_| {});
    let first = w.chain();
    let second = w.granted(&first);

    let early = w.at(569).refresh(&second.refresh_token);
    assert_is(&early, bodies::TOO_EARLY);
    assert_eq!(early.header("reason"), Some("TooEarlyToRefreshTokens: Rate limit exceeded: access_token not expired"));

    w.at(570).granted(&second.refresh_token);
}

#[test]
fn a_chain_from_postman_has_its_gate_too() {
    let mut w = world(|_| {});
    let young = w.rules.issue_chain_aged(w.now, Duration::from_secs(500)).refresh_token;
    assert_is(&w.at(69).refresh(&young), bodies::TOO_EARLY);
    w.at(70).granted(&young);
}

#[test]
fn a_code_exchange_closes_the_gate() {
    let mut w = world(|_| {});
    let code = w.authorize();
    let first = pair(&w.exchange(&code));
    assert_is(&w.at(569).refresh(&first.refresh_token), bodies::TOO_EARLY);
    w.at(570).granted(&first.refresh_token);
}

#[test]
fn a_code_exchange_ignores_the_gate_unless_it_is_told_otherwise() {
    let mut w = world(|_| {});
    w.rules.issue_chain_aged(w.now, Duration::ZERO);
    let code = w.authorize();
    pair(&w.exchange(&code));

    let mut w = world(|c| c.gate_covers_codes = true);
    w.rules.issue_chain_aged(w.now, Duration::from_secs(500));
    let code = w.authorize();
    assert_is(&w.exchange(&code), bodies::TOO_EARLY);
    pair(&w.at(70).exchange(&code));
}

#[test]
fn the_order_of_gate_and_token_check_is_a_switch() {
    for (gate, young, later) in [
        (Gate::BeforeTokenCheck, bodies::TOO_EARLY, bodies::OLD_REFRESH_TOKEN),
        (Gate::AfterTokenCheck, bodies::OLD_REFRESH_TOKEN, bodies::OLD_REFRESH_TOKEN),
    ] {
        let mut w = world(|c| c.gate = gate);
        let first = w.chain();
        w.granted(&first);
        assert_is(&w.at(10).refresh(&first), young);
        assert_is(&w.at(570).refresh(&first), later);
    }
}

#[test]
fn after_the_token_check_a_good_token_is_still_too_early() {
    let mut w = world(|c| c.gate = Gate::AfterTokenCheck);
    let first = w.chain();
    let second = w.granted(&first);
    assert_is(&w.at(10).refresh(&second.refresh_token), bodies::TOO_EARLY);
}

#[test]
fn an_exempt_app_has_no_gate() {
    let mut w = world(|c| c.gate = Gate::Off);
    let first = w.chain();
    let second = w.granted(&first);
    w.granted(&second.refresh_token);
}

#[test]
fn the_form_of_too_early_is_a_switch() {
    for (form, canned) in [
        (TooEarly::AccessDenied400, bodies::TOO_EARLY),
        (TooEarly::AccessDenied401, bodies::TOO_EARLY_401),
        (TooEarly::InvalidRequest400, bodies::TOO_EARLY_INVALID_REQUEST),
    ] {
        let mut w = world(|c| c.too_early = form);
        let young = w.rules.issue_chain_aged(w.now, Duration::ZERO).refresh_token;
        assert_is(&w.refresh(&young), canned);
    }
}

#[test]
fn the_gate_follows_the_lifetime_of_a_demo() {
    let mut w = world(|c| c.access_token_lifetime = Duration::from_mins(1));
    let first = w.chain();
    let second = w.granted(&first);
    assert_is(&w.at(29).refresh(&second.refresh_token), bodies::TOO_EARLY);
    let third = w.at(30).refresh(&second.refresh_token);
    assert_eq!(json(&third)["expires_in"], "60");
}
