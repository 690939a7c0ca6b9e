//! Replies that carry tokens: what is a grant, what is an odd one, and what is none.

use super::*;

const ODD_200: &str = "odd grant stampNL001.EfGh!IAAAAmade-up-next, NotAGrant";
const NOT_A_GRANT: &str = "unclear, NotAGrant";

#[test]
fn both_tokens_under_200_are_a_grant() {
    let number = GRANT.replace(r#""600""#, "600");
    let documented = GRANT.replace("bearer", "Bearer");
    let untyped = GRANT.replace(r#""token_type":"bearer","#, "");
    let padded = format!("\u{feff}\r\n\t {GRANT}\r\n");
    let more = GRANT.replacen('{', r#"{"scope":null,"error":"none","extra":{"refresh_token":"other","deep":[[[{}]]]},"#, 1);
    let typed = &[("Content-Type", "text/html"), ("Reason", "TooEarlyToRefreshTokens")];
    check(&[
        ("as Exact writes it", 200, &[], GRANT.as_bytes(), GRANTED),
        ("lifetime as a number", 200, &[], number.as_bytes(), GRANTED),
        ("type as documented", 200, &[], documented.as_bytes(), GRANTED),
        ("no type", 200, &[], untyped.as_bytes(), GRANTED),
        ("byte order mark and white space", 200, &[], padded.as_bytes(), GRANTED),
        ("more fields than known", 200, &[], more.as_bytes(), GRANTED),
        ("odd headers", 200, typed, GRANT.as_bytes(), GRANTED),
    ]);
}

#[test]
fn an_unchanged_refresh_token_is_granted_too() {
    let same = GRANT.replace("stampNL001.EfGh!IAAAAmade-up-next", SENT);
    let expected = format!("granted stampNL001.gAAAAmade-up-access, {SENT}, 600 s");
    check(&[("unchanged", 200, &[], same.as_bytes(), &expected)]);
}

#[test]
fn escapes_in_a_token_are_undone() {
    let escaped = GRANT.replace("IAAAAmade", r"I\u0041AAA\/made");
    let expected = GRANTED.replace("IAAAAmade", "IAAAA/made");
    check(&[("escapes", 200, &[], escaped.as_bytes(), &expected)]);
}

#[test]
fn a_lifetime_is_whole_seconds_up_to_a_day() {
    for (given, seconds) in [("1", 1), ("\"1\"", 1), ("86400", 86_400), ("\"86400\"", 86_400), ("\"0600\"", 600)] {
        let body = GRANT.replace(r#""600""#, given);
        let expected = GRANTED.replace("600 s", &format!("{seconds} s"));
        check(&[(given, 200, &[], body.as_bytes(), &expected)]);
    }
    let wrong = ["0", "-1", "86401", "600.0", "6e2", "\"\"", "\" 600\"", "\"+600\"", "\"600s\"", "\"0x258\"", "\"99999999999999999999\""];
    for given in wrong.into_iter().chain(["99999999999999999999", "1e400", "null", "true", "[600]", "{\"s\":600}", "\"six hundred\"", "\"٦٠٠\""]) {
        // The refresh token stands before it here: what is behind a number that cannot be read, such as 1e400, is not read either.
        let body = format!(r#"{{"refresh_token":"stampNL001.EfGh!IAAAAmade-up-next","access_token":"made-up","expires_in":{given}}}"#);
        check(&[(given, 200, &[], body.as_bytes(), ODD_200)]);
        let same = body.replace("stampNL001.EfGh!IAAAAmade-up-next", SENT);
        check(&[(given, 200, &[], same.as_bytes(), NOT_A_GRANT)]);
    }
}

#[test]
fn a_new_refresh_token_is_kept_whatever_is_around_it() {
    const NEXT: &str = "stampNL001.EfGh!IAAAAmade-up-next";
    let with = |rest: &str| format!(r#"{{"refresh_token":"{NEXT}"{rest}"#).into_bytes();
    let odd = |problem: &str| format!("odd grant {NEXT}, {problem}");
    let twice = with(r#","refresh_token":"made-up-later","access_token":"made-up","expires_in":600}"#);
    let echoed = with(&format!(r#","refresh_token":"{SENT}","access_token":"made-up","expires_in":600}}"#));
    let limit = with(r#","error":"access_denied","error_description":"Rate limit exceeded: access_token not expired"}"#);
    let mut latin = with(r#","access_token":"made-up","expires_in":600,"error_description":""#);
    latin.extend(b"\xe9\"}");
    let expected = "granted made-up, stampNL001.EfGh!IAAAAmade-up-next, 600 s";
    check(&[
        ("alone", 200, &[], &with("}"), &odd("NotAGrant")),
        ("no lifetime", 200, &[], &with(r#","access_token":"made-up"}"#), &odd("NotAGrant")),
        ("empty access token", 200, &[], &with(r#","access_token":"","expires_in":600}"#), &odd("NotAGrant")),
        ("blank access token", 200, &[], &with(r#","access_token":" ","expires_in":600}"#), &odd("NotAGrant")),
        ("access token no text", 200, &[], &with(r#","access_token":7,"expires_in":600}"#), &odd("NotAGrant")),
        ("another type", 200, &[], &with(r#","access_token":"made-up","expires_in":600,"token_type":"mac"}"#), &odd("NotAGrant")),
        ("type no text", 200, &[], &with(r#","access_token":"made-up","expires_in":600,"token_type":1}"#), &odd("NotAGrant")),
        ("201", 201, &[], GRANT.as_bytes(), &odd("Status(201)")),
        ("202", 202, &[], GRANT.as_bytes(), &odd("Status(202)")),
        ("302", 302, &[], GRANT.as_bytes(), &odd("Status(302)")),
        ("500", 500, &[], GRANT.as_bytes(), &odd("Status(500)")),
        ("rate limit with a token, picqer/exact-php-client#559", 400, &[], &limit, &odd("Status(400)")),
        ("429", 429, &[("Retry-After", "5")], &with("}"), &odd("Status(429)")),
        ("a page behind it", 200, &[], format!("{GRANT}<html>").as_bytes(), &odd("NotAGrant")),
        ("it breaks off", 200, &[], &with(r#","access_token":"made"#), &odd("NotAGrant")),
        ("it stops being JSON", 200, &[], &with(",,,"), &odd("NotAGrant")),
        ("too deep behind it", 200, &[], &with(&format!(r#","error":{}"#, "[".repeat(10_000))), &odd("NotAGrant")),
        ("two of them: the last", 200, &[], &twice, "odd grant made-up-later, NotAGrant"),
        ("two of them: the new one", 200, &[], &echoed, &odd("NotAGrant")),
        ("two access tokens", 200, &[], &with(r#","access_token":"made-up","access_token":"other","expires_in":600}"#), &odd("NotAGrant")),
        ("bytes that are not UTF-8 elsewhere", 200, &[], &latin, expected),
    ]);
}

#[test]
fn what_is_no_new_refresh_token_is_not_kept() {
    let echo = format!(r#"{{"error":"unauthorized_client","error_description":"Old refresh token used.","refresh_token":"{SENT}"}}"#);
    let access = br#"{"access_token":"made-up","token_type":"bearer","expires_in":"600"}"#;
    check(&[
        ("an echo of the one sent", 401, &[], echo.as_bytes(), "refused, OldTokenUsed"),
        ("no refresh token, exactonline/exactonline-api-dotnet-client#150", 200, &[], access, NOT_A_GRANT),
        ("empty", 200, &[], br#"{"refresh_token":"","access_token":"made-up","expires_in":600}"#, NOT_A_GRANT),
        ("blank", 200, &[], br#"{"refresh_token":" \n","access_token":"made-up","expires_in":600}"#, NOT_A_GRANT),
        ("no text", 200, &[], br#"{"refresh_token":["a"],"access_token":"made-up","expires_in":600}"#, NOT_A_GRANT),
        ("mangled", 200, &[], b"{\"refresh_token\":\"a\xff\",\"access_token\":\"made-up\",\"expires_in\":600}", NOT_A_GRANT),
        ("not at the top", 200, &[], br#"{"token":{"refresh_token":"made-up"}}"#, NOT_A_GRANT),
        ("in an array", 200, &[], format!("[{GRANT}]").as_bytes(), NOT_A_GRANT),
        ("in a string", 200, &[], br#""refresh_token\":\"made-up\"""#, NOT_A_GRANT),
        ("in a page", 200, &[], format!("<pre>{GRANT}</pre>").as_bytes(), NOT_A_GRANT),
        ("cut inside the token", 200, &[], br#"{"refresh_token":"made-u"#, NOT_A_GRANT),
        ("too deep before it", 200, &[], format!("{}{GRANT}", "[".repeat(10_000)).as_bytes(), NOT_A_GRANT),
        ("white space", 200, &[], b" \r\n\t", "unclear, Empty"),
        ("byte order mark", 200, &[], b"\xef\xbb\xbf", "unclear, Empty"),
        ("object without anything", 200, &[], b"{}", NOT_A_GRANT),
        ("null", 200, &[], b"null", NOT_A_GRANT),
        ("no text at all", 200, &[], &[0xff, 0xfe, 0, 1, 2], NOT_A_GRANT),
    ]);
}

#[test]
fn of_a_body_that_broke_off_only_a_token_is_believed() {
    for cut in [Unclear::ConnectionLost, Unclear::TimedOut, Unclear::TooLarge] {
        let told = |status, headers: &[(&str, &str)], body: &str| told(&classified(status, headers, body.as_bytes(), Some(cut)));
        let odd = format!("odd grant stampNL001.EfGh!IAAAAmade-up-next, {cut:?}");
        assert_eq!(told(200, &[], GRANT), odd);
        assert_eq!(told(200, &[], GRANT.trim_end_matches('}')), odd);
        assert_eq!(told(200, &[], &GRANT[..GRANT.len() - 3]), format!("unclear, {cut:?}"));
        assert_eq!(told(400, &[("Reason", "TooEarlyToRefreshTokens")], r#"{"error":"invalid_client"}"#), format!("unclear, {cut:?}"));
        assert_eq!(told(200, &[], ""), format!("unclear, {cut:?}"));
    }
}
