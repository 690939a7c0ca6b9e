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

#[test]
fn me_names_the_user_and_the_company() {
    let mut w = world(|_| {});
    let users = w.rules.config().users.clone();
    assert_eq!(users[0].customer, users[2].customer, "two of one company");
    assert_ne!(users[0].customer, users[1].customer);
    for user in users {
        let code = w.rules.authorize(w.now, &user.id, REDIRECT_URI);
        let token = pair(&w.exchange(&code)).access_token;
        let select = "UserID,UserName,FullName,CurrentDivision,DivisionCustomer,DivisionCustomerCode,DivisionCustomerName";
        let reply = w.rules.me(w.now, &MeRequest::bearer(&token, select));
        let me = &json(&reply)["d"]["results"][0];
        let texts = ["UserID", "UserName", "FullName", "DivisionCustomer", "DivisionCustomerName"].map(|name| me[name].as_str().unwrap());
        assert_eq!(texts, [&user.id, &user.user_name, &user.full_name, &user.customer, &user.company].map(String::as_str));
        assert_eq!(me["CurrentDivision"], user.division);
        let code = me["DivisionCustomerCode"].as_str().unwrap();
        assert_eq!((code.len(), code.trim_start()), (18, user.customer_code.as_str()));
        assert_eq!(w.rules.asked_me().last().unwrap().user, Some(user.id));
    }
    assert_eq!(w.rules.violations(), []);
}

#[test]
fn me_fails_on_command() {
    let mut w = world(|_| {});
    let first = w.chain();
    let request = MeRequest::bearer(&w.granted(&first).access_token, "UserID");
    for (fault, status, delivery) in
        [(MeFault::Status500, 500, Delivery::Whole), (MeFault::Forbidden, 403, Delivery::Whole), (MeFault::Silent, 200, Delivery::Never)]
    {
        w.rules.fail_me(Some(fault));
        let reply = w.rules.me(w.now, &request);
        assert_eq!((reply.status, reply.delivery), (status, delivery));
    }
    w.rules.fail_me(None);
    assert_eq!(w.rules.me(w.now, &request).status, 200);
    let asked: Vec<u16> = w.rules.asked_me().iter().map(|it| it.status).collect();
    assert_eq!(asked, [500, 403, 200, 200]);
}
