use super::*;

#[test]
fn a_code_is_some_700_characters_and_escaped_in_the_redirect() {
    let mut w = world(|_| {});
    let code = w.authorize();
    assert_eq!(code.len(), 700);
    assert_eq!(&code[15..36], "!IAAAASIMULATED-code-");

    let url = Rules::redirect_url(REDIRECT_URI, &code, Some("a b"));
    assert_eq!(url, format!("{REDIRECT_URI}?code={}&state=a%20b", code.replace('!', "%21")));
}

#[test]
fn a_code_works_once() {
    let mut w = world(|_| {});
    let code = w.authorize();
    let first = pair(&w.at(100).exchange(&code));
    assert_is(&w.at(101).exchange(&code), bodies::INVALID_REQUEST);
    assert!(w.alive(&first.refresh_token));
}

#[test]
fn a_code_lives_three_minutes() {
    let mut w = world(|_| {});
    let code = w.authorize();
    assert_is(&w.at(180).exchange(&code), bodies::INVALID_REQUEST);
    pair(&w.at(179).exchange(&code));
}

#[test]
fn a_code_is_for_one_redirect_uri() {
    let mut w = world(|_| {});
    let code = w.authorize();
    let other = TokenRequest::code(w.rules.config(), &code, "https://broker.example.test/");
    assert_is(&w.rules.token(w.now, &other), bodies::INVALID_REQUEST);
    pair(&w.exchange(&code));
}

#[test]
fn a_code_that_was_not_decoded_has_no_signature() {
    let mut w = world(|_| {});
    let code = w.authorize();
    assert_is(&w.exchange(&code.replace('!', "%21")), bodies::SIGNED_DATA);
    pair(&w.exchange(&code));
}

#[test]
fn a_code_that_is_not_whole_or_another_apps_has_no_signature() {
    let mut w = world(|_| {});
    let code = w.authorize();
    let foreign = w.rules.foreign_code();
    for wrong in ["stampNL001.abcd!IAAAAnonsense", &code[..code.len() - 1], &foreign] {
        assert_is(&w.exchange(wrong), bodies::SIGNED_DATA);
    }
    let outcomes: Vec<Outcome> = w.rules.log().iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [Outcome::SignedData; 3]);
    pair(&w.exchange(&code));
}

#[test]
fn the_newest_authorization_wins() {
    let mut w = world(|_| {});
    let older = w.authorize();
    let newer = w.at(5).authorize();
    assert_is(&w.at(10).exchange(&older), bodies::CHAIN_ID);
    pair(&w.at(11).exchange(&newer));
}

#[test]
fn a_new_chain_of_a_user_ends_the_old_one_at_the_exchange() {
    let mut w = world(|c| c.grace = Grace::UntilNewUsed);
    let old = w.chain();
    let code = w.authorize();
    assert!(w.alive(&old), "nothing has been exchanged yet");
    let new = pair(&w.at(1).exchange(&code));
    assert!(!w.alive(&old));
    assert_is(&w.at(2).refresh(&old), bodies::CHAIN_ID);
    assert!(w.alive(&new.refresh_token));
}

#[test]
fn two_users_do_not_disturb_one_another() {
    let mut w = world(|_| {});
    let first = w.chain();
    let other = w.rules.config().users[1].id.clone();
    let code = w.rules.authorize(w.now, &other, REDIRECT_URI);
    let theirs = pair(&w.exchange(&code));
    assert!(w.alive(&first) && w.alive(&theirs.refresh_token));
    w.granted(&first);
}

#[test]
fn a_code_is_exchanged_within_570_seconds_of_a_grant_and_opens_the_gate_anew() {
    let mut w = world(|_| {});
    let first = w.chain();
    w.granted(&first);
    let code = w.at(10).authorize();
    let new = pair(&w.at(20).exchange(&code));
    assert_is(&w.at(589).refresh(&new.refresh_token), bodies::TOO_EARLY);
    w.at(590).granted(&new.refresh_token);
    let kinds: Vec<(Kind, Outcome)> = w.rules.log().iter().map(|it| (it.kind, it.outcome)).collect();
    let granted = |kind| (kind, Outcome::Granted);
    assert_eq!(kinds, [granted(Kind::Refresh), granted(Kind::Code), (Kind::Refresh, Outcome::TooEarly), granted(Kind::Refresh)]);
    assert_eq!(w.rules.violations(), []);
}

#[test]
fn each_fault_spends_the_code_or_does_not() {
    for (name, fault) in Fault::all() {
        let mut w = world(|_| {});
        let old = w.chain();
        let code = w.authorize();
        w.rules.script(fault.clone());
        let reply = w.exchange(&code);
        let spent = !matches!(fault, Fault::NoCommit(_));
        let logged = w.rules.log().last().unwrap().clone();
        assert_eq!((logged.kind, logged.committed), (Kind::Code, spent), "{name}");
        assert_eq!((logged.status, logged.delivery), (reply.status, reply.delivery), "{name}");
        assert_eq!(w.alive(&old), !spent, "{name}");
        if spent {
            assert_is(&w.at(1).exchange(&code), bodies::INVALID_REQUEST);
        } else {
            pair(&w.at(1).exchange(&code));
        }
    }
}
