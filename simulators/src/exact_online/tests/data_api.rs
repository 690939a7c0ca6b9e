use super::*;

#[test]
fn me_says_whose_token_it_is() {
    let mut w = world(|_| {});
    let first = w.chain();
    let token = w.granted(&first).access_token;
    let reply = w.rules.me(w.now, &MeRequest::bearer(&token, "CurrentDivision,UserID"));
    assert_eq!(reply.status, 200);
    let me = &json(&reply)["d"]["results"][0];
    assert_eq!(me["CurrentDivision"], 1_402_771);
    assert_eq!(me["UserID"], w.user());
    assert_eq!(me.get("FullName"), None, "it was not selected");
}

#[test]
fn me_with_a_dead_token_is_401_with_nothing_or_with_a_page() {
    for (form, body) in [(DeadToken::Empty, ""), (DeadToken::Html, "<title>Object moved</title>")] {
        let mut w = world(|c| c.dead_token = form);
        let first = w.chain();
        let token = w.granted(&first).access_token;
        w.at(600);
        let reply = w.rules.me(w.now, &MeRequest::bearer(&token, ""));
        assert_eq!(reply.status, 401);
        assert_eq!(reply.body.is_empty(), body.is_empty());
        assert!(String::from_utf8(reply.body).unwrap().contains(body));
        assert_eq!(w.rules.violations(), [], "tokens die, that is nobody's fault");
    }
}

#[test]
fn me_minds_what_a_correct_client_never_sends() {
    let mut w = world(|_| {});
    let first = w.chain();
    let token = w.granted(&first).access_token;
    let atom = w.rules.me(w.now, &MeRequest { accept: None, ..MeRequest::bearer(&token, "") });
    assert!(atom.header("content-type").unwrap().contains("atom+xml"));
    assert_eq!(w.rules.me(w.now, &MeRequest::default()).status, 401);
    assert_eq!(w.rules.me(w.now, &MeRequest::bearer(&token, "Password")).status, 400);
    let found: Vec<Violation> = w.rules.violations().iter().map(|(_, it)| *it).collect();
    assert_eq!(found, [Violation::NotAskedForJson, Violation::NoBearer, Violation::UnknownProperty]);
}
