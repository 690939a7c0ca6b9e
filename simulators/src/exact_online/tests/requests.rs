use super::*;

fn fields(token: &str) -> Vec<(&'static str, String)> {
    let config = Config::default();
    vec![
        ("grant_type", "refresh_token".to_owned()),
        ("refresh_token", token.to_owned()),
        ("client_id", config.client_id),
        ("client_secret", config.client_secret),
    ]
}

#[track_caller]
fn refused(request: impl FnOnce(&str) -> TokenRequest, canned: Canned, violations: &[Violation]) {
    let mut w = world(|_| {});
    let token = w.chain();
    assert_is(&w.rules.token(w.now, &request(&token)), canned);
    let found: Vec<Violation> = w.rules.violations().iter().map(|(_, it)| *it).collect();
    assert_eq!(found, violations);
    assert!(!w.rules.log()[0].committed);
    w.granted(&token);
}

#[test]
fn a_right_request_is_no_violation() {
    let mut w = world(|_| {});
    let token = w.chain();
    w.granted(&token);
    let code = w.authorize();
    pair(&w.exchange(&code));
    assert_eq!(w.rules.violations(), []);
}

#[test]
fn a_wrong_secret_or_id_is_an_invalid_client_but_no_violation() {
    for (place, name) in [(2, "client_id"), (3, "client_secret")] {
        let wrong = |token: &str| {
            let mut fields = fields(token);
            fields[place] = (name, "SIMULATEDwrong".to_owned());
            TokenRequest::form(&fields)
        };
        refused(wrong, bodies::INVALID_CLIENT, &[]);
    }
}

#[test]
fn braces_around_the_client_id_and_a_redirect_uri_in_a_refresh_do_no_harm() {
    let mut w = world(|_| {});
    let token = w.chain();
    let mut fields = fields(&token);
    fields[2].1 = format!("{{{}}}", fields[2].1.to_uppercase());
    fields.push(("redirect_uri", REDIRECT_URI.to_owned()));
    pair(&w.rules.token(w.now, &TokenRequest::form(&fields)));
    assert_eq!(w.rules.violations(), []);
}

#[test]
fn each_field_must_be_there_and_not_be_empty() {
    for (place, name) in ["grant_type", "refresh_token", "client_id", "client_secret"].into_iter().enumerate() {
        let without = |token: &str| {
            let mut fields = fields(token);
            fields.remove(place);
            TokenRequest::form(&fields)
        };
        let found: &[Violation] = match name {
            // Without a grant type nobody knows what the token is for.
            "grant_type" => &[Violation::MissingField("grant_type"), Violation::UnknownField],
            name => &[Violation::MissingField(name)],
        };
        refused(without, bodies::INVALID_REQUEST, found);
    }
    let empty = |_: &str| TokenRequest::form(&fields(""));
    refused(empty, bodies::INVALID_REQUEST, &[Violation::MissingField("refresh_token")]);
}

#[test]
fn a_field_that_stands_there_twice_or_is_unknown_is_refused() {
    let with = |name: &'static str| {
        move |token: &str| {
            let mut fields = fields(token);
            fields.push((name, "1".to_owned()));
            TokenRequest::form(&fields)
        }
    };
    refused(with("client_id"), bodies::INVALID_REQUEST, &[Violation::DuplicateField("client_id")]);
    refused(with("code_verifier"), bodies::INVALID_REQUEST, &[Violation::UnknownField]);
}

#[test]
fn a_line_break_in_a_field_is_refused() {
    let pasted = |token: &str| TokenRequest::form(&fields(&format!("{token}\r\n")));
    refused(pasted, bodies::INVALID_REQUEST, &[Violation::ControlCharacter("refresh_token")]);
}

#[test]
fn the_shape_of_the_request_must_be_right() {
    let get = |token: &str| TokenRequest { method: "GET".to_owned(), ..TokenRequest::form(&fields(token)) };
    refused(get, bodies::INVALID_REQUEST, &[Violation::NotPost]);

    let query = |token: &str| TokenRequest { query: Some("client_secret=SIMULATEDs3c".to_owned()), ..TokenRequest::form(&fields(token)) };
    refused(query, bodies::INVALID_REQUEST, &[Violation::QueryString]);

    let json = |token: &str| TokenRequest {
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        ..TokenRequest::form(&fields(token))
    };
    refused(json, bodies::INVALID_REQUEST, &[Violation::ContentType]);

    let basic = |token: &str| {
        let mut request = TokenRequest::form(&fields(token));
        request.headers.push(("Authorization".to_owned(), "Basic U0lNVUxBVEVE".to_owned()));
        request
    };
    refused(basic, bodies::INVALID_CLIENT_BASIC, &[Violation::AuthorizationHeader]);

    let password = |_: &str| TokenRequest::form(&[("grant_type", "client_credentials"), ("client_id", "1"), ("client_secret", "1")]);
    refused(password, bodies::INVALID_REQUEST, &[Violation::UnknownGrantType]);

    refused(|_| TokenRequest::post("refresh_token=%zz"), bodies::INVALID_REQUEST, &[Violation::UnreadableForm]);
}

#[test]
fn what_is_printed_of_requests_and_replies_holds_no_secret() {
    let mut w = world(|_| {});
    let token = w.chain();
    let request = TokenRequest::refresh(w.rules.config(), &token);
    let reply = w.rules.token(w.now, &request);
    let log = w.rules.log();
    let printed = format!("{request:?} {reply:?} {log:?} {:?}", MeRequest::bearer(&token, ""));
    assert!(String::from_utf8_lossy(&request.body).contains(MARKER), "the search finds what is there");
    assert!(!printed.contains(MARKER));
    assert_eq!(log[0].presented, Some(Fingerprint::of(&token)));
    assert_eq!(log[0].issued, w.rules.newest_refresh_token().map(Fingerprint::of));
}
