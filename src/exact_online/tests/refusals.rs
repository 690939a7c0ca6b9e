//! The error bodies that users of Exact's token service have published, byte for byte, and what must not be taken for one.

use super::*;

const CHAIN_ID: &[u8] = br#"{ "error":"invalid_grant","error_description":"Token is not allowed, because of invalid or empty chainId" }"#;
const TOO_EARLY: &[u8] = br#"{ "error":"access_denied","error_description":"Rate limit exceeded: access_token not expired" }"#;
const OLD: &[u8] = br#"{"error":"unauthorized_client","error_description":"Old refresh token used."}"#;
const EXPIRED: &[u8] =
    br#"{"error":"invalid_request","error_description":"The refresh token expired at 10\/11\/2022 9:18:20 PM and it is now 10\/28\/2022 4:15:50 PM."}"#;
const EXTRACT: &[u8] = br#"{"fault":{"faultstring":"Failed to execute the ExtractVariables: ExtractAccessToken","detail":{"errorcode":"steps.extractvariables.ExecutionFailed"}}}"#;
const NO_PROXY: &[u8] = br#"{"fault":{"faultstring":"Unable to identify proxy for host: start.exactonline.nl:443 and url: \/api\/oauth2\/token","detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}"#;

const REASON_EARLY: (&str, &str) = ("Reason", "TooEarlyToRefreshTokens: Rate limit exceeded: access_token not expired");
const REASON_CHAIN: (&str, &str) = ("Reason", "Unknown: Token is not allowed, because of invalid or empty chainId");

const OLD_USED: &str = "refused, OldTokenUsed";
const NO_CHAIN: &str = "refused, InvalidChain";
const DEAD: &str = "refused, Expired";
const UNCLEAR_400: &str = "unclear, Status(400)";
const NO_CLIENT: &str = "misconfigured, InvalidClient";
const UNAUTHORIZED: &str = "misconfigured, UnauthorizedClient";

#[test]
fn every_published_refusal_is_known() {
    check(&[
        ("too early, websmurf/laravel-exact-online#31", 400, &[REASON_EARLY], TOO_EARLY, "too early"),
        ("too early without the header", 400, &[], TOO_EARLY, "too early"),
        ("too early as documented, 401", 401, &[REASON_EARLY], TOO_EARLY, "too early"),
        (
            "too early with another code",
            400,
            &[],
            br#"{"error":"invalid_request","error_description":"Rate limit exceeded: access_token not expired"}"#,
            "too early",
        ),
        ("too early in the documentation's words", 401, &[("reason", "Access Token not expired")], b"", "too early"),
        ("old token, picqer/exact-php-client#300, #549, #640", 401, &[], OLD, OLD_USED),
        ("chain id, picqer/exact-php-client#471, #573", 400, &[REASON_CHAIN], CHAIN_ID, NO_CHAIN),
        ("chain id without the header", 400, &[], CHAIN_ID, NO_CHAIN),
        ("expired, websmurf/laravel-exact-online#22, #23", 400, &[], EXPIRED, DEAD),
        ("malformed, picqer/exact-php-client#553", 400, &[], br#"{"error":"invalid_request"}"#, UNCLEAR_400),
        (
            "signed data, picqer/exact-php-client#579",
            400,
            &[],
            br#"{"error":"invalid_request","error_description":"Signed data extraction has failed"}"#,
            UNCLEAR_400,
        ),
        ("signed data as a page", 400, &[], b"Signed data extraction has failed", UNCLEAR_400),
        ("wrong client secret", 400, &[], br#"{"error":"invalid_client"}"#, NO_CLIENT),
        ("wrong client secret, 401", 401, &[("WWW-Authenticate", "Basic")], br#"{"error":"invalid_client"}"#, NO_CLIENT),
        ("app not allowed, picqer/exact-php-client#488", 400, &[], br#"{"error":"unauthorized_client"}"#, UNAUTHORIZED),
        (
            "app of another country, picqer/exact-php-client#617",
            400,
            &[],
            br#"{"error":"invalid_request","error_description":"Client with identifier '11111111-2222-3333-4444-555555555555' not found."}"#,
            UNAUTHORIZED,
        ),
        ("forbidden, helpdesk.informat.be 360000640040", 403, &[], b"Error getting access token using refresh token", "unclear, Status(403)"),
        ("gateway lost the tokens, exactonline/exactonline-api-dotnet-client#152", 500, &[], EXTRACT, "unclear, Status(500)"),
        ("gateway without a route", 404, &[], NO_PROXY, "unclear, Status(404)"),
        ("empty, hotgluexyz/tap-exact", 200, &[], b"", "unclear, Empty"),
        ("not JSON, picqer/exact-php-client#54", 200, &[], b"<html><body>Busy</body></html>", "unclear, NotAGrant"),
        ("HTML of a login page, picqer/exact-php-client#343", 401, &[], b"<html><head><title>Object moved</title>", "unclear, Status(401)"),
        ("bare 400", 400, &[], b"", UNCLEAR_400),
        ("maintenance", 503, &[("Retry-After", "60")], b"<html>Service Unavailable</html>", "unclear, Status(503)"),
    ]);
}

#[test]
fn words_count_in_json_fields_and_in_the_reason_header_alone() {
    let html = b"<html><body>Rate limit exceeded: access_token not expired. Old refresh token used. invalid_client</body></html>";
    let nested = br#"{"fault":{"error":"invalid_client","error_description":"access_token not expired"}}"#;
    check(&[
        ("header, empty body: early", 400, &[REASON_EARLY], b"", "too early"),
        ("header, empty body: chain", 400, &[REASON_CHAIN], b"", NO_CHAIN),
        ("header, empty body: old", 401, &[("REASON", "Unknown: Old refresh token used.")], b"", OLD_USED),
        ("header, HTML body", 403, &[REASON_EARLY], html, "too early"),
        ("the code alone in the header", 400, &[("Reason", "TooEarlyToRefreshTokens")], b"", "too early"),
        ("the second of two headers", 400, &[("Reason", "Unknown"), REASON_CHAIN], b"", NO_CHAIN),
        ("page", 400, &[], html, UNCLEAR_400),
        ("page about the client", 404, &[], b"Client with identifier 'x' not found.", "unclear, Status(404)"),
        ("page under 200", 200, &[], html, "unclear, NotAGrant"),
        ("JSON string", 400, &[], br#""Old refresh token used.""#, UNCLEAR_400),
        ("array", 400, &[], br#"[{"error_description":"Old refresh token used."}]"#, UNCLEAR_400),
        ("nested", 400, &[], nested, UNCLEAR_400),
        ("OData error", 400, &[], br#"{"error":{"code":"","message":{"lang":"","value":"Old refresh token used."}}}"#, UNCLEAR_400),
        ("JSON with a page behind it", 400, &[], br#"{"error_description":"Old refresh token used."} <html>"#, UNCLEAR_400),
        ("JSON that breaks off", 400, &[], br#"{"error_description":"Old refresh token used.""#, UNCLEAR_400),
        ("a field twice", 400, &[], br#"{"error":"invalid_request","error":"invalid_client"}"#, UNCLEAR_400),
        ("description is a number", 400, &[], br#"{"error":"invalid_client","error_description":7}"#, NO_CLIENT),
        ("words in place of the code", 401, &[], br#"{"error":"Old refresh token used."}"#, OLD_USED),
        ("byte order mark and white space", 401, &[], b"\xef\xbb\xbf\r\n {\"error\":\"old REFRESH token used\"} \n", OLD_USED),
        ("bytes that are not UTF-8", 401, &[], b"{\"error_description\":\"\xe9\xff Old refresh token used.\"}", OLD_USED),
    ]);
}

#[test]
fn what_only_sounds_alike_is_not_taken_for_it() {
    let retry = &[("Retry-After", "5")];
    check(&[
        (
            "refresh token not expired",
            400,
            &[],
            br#"{"error":"invalid_request","error_description":"The refresh token is not expired"}"#,
            UNCLEAR_400,
        ),
        ("nothing said but the code", 400, &[], br#"{"error":"access_denied"}"#, UNCLEAR_400),
        ("not expired, by its code", 400, &[], br#"{"error":"access_denied","error_description":"Not expired"}"#, "too early"),
        ("access token expired", 401, &[], br#"{"error":"access_denied","error_description":"access_token expired"}"#, "unclear, Status(401)"),
        ("old token in other words", 401, &[], br#"{"error":"unauthorized_client","error_description":"Old refresh token"}"#, "unclear, Status(401)"),
        ("another code of the grant", 400, &[], br#"{"error":"invalid_grant"}"#, UNCLEAR_400),
        ("a longer code", 400, &[], br#"{"error":"invalid_client_metadata"}"#, UNCLEAR_400),
        ("a refusal under 200", 200, &[], OLD, "unclear, NotAGrant"),
        ("a refusal under 500", 500, &[REASON_CHAIN], CHAIN_ID, "unclear, Status(500)"),
        ("too early under 502", 502, &[REASON_EARLY], TOO_EARLY, "unclear, Status(502)"),
        ("bad client under 503", 503, retry, br#"{"error":"invalid_client"}"#, "unclear, Status(503)"),
        ("redirect", 302, &[("Location", "/docs/Login.aspx")], b"", "unclear, Status(302)"),
        ("no content", 204, &[], b"", "unclear, Status(204)"),
    ]);
}

#[test]
fn where_two_things_are_said_the_one_that_can_be_asked_again_counts() {
    check(&[
        ("early before old", 400, &[REASON_EARLY], OLD, "too early"),
        ("early before expired", 400, &[REASON_EARLY], EXPIRED, "too early"),
        ("old before a wrong client", 400, &[("Reason", "Old refresh token used")], br#"{"error":"invalid_client"}"#, OLD_USED),
        ("chain before an app not allowed", 400, &[REASON_CHAIN], br#"{"error":"unauthorized_client"}"#, NO_CHAIN),
        ("early before patience", 429, &[("Retry-After", "9")], TOO_EARLY, "too early"),
        ("a dead token before patience", 403, &[REASON_CHAIN, ("Retry-After", "9")], b"", NO_CHAIN),
        ("old, as one word of a longer text", 400, &[], br#"{"error_description":"x: OLD REFRESH TOKEN USED, chain"}"#, OLD_USED),
    ]);
}

#[test]
fn patience_is_as_long_as_asked() {
    const DATE: (&str, &str) = ("Date", "Mon, 23 Nov 2026 17:25:31 GMT");
    let none = "throttled, None";
    check(&[
        ("429", 429, &[], b"", none),
        ("429 of the gateway", 429, &[("Retry-After", "17")], br#"{"fault":{"faultstring":"Rate limit"}}"#, "throttled, Some(17)"),
        ("403 with a reason", 403, &[("Reason", "BlockedUser"), ("Retry-After", "0")], b"", "throttled, Some(0)"),
        ("403 with an empty reason", 403, &[("Reason", " ")], b"", "unclear, Status(403)"),
        ("400 with a reason", 400, &[("Reason", "BlockedUser")], b"", UNCLEAR_400),
        ("a date", 429, &[DATE, ("Retry-After", "Mon, 23 Nov 2026 17:27:01 GMT")], b"", "throttled, Some(90)"),
        ("a date gone by", 429, &[DATE, ("Retry-After", "Mon, 23 Nov 2026 17:00:00 GMT")], b"", "throttled, Some(0)"),
        ("a date and no clock", 429, &[("Retry-After", "Mon, 23 Nov 2026 17:27:01 GMT")], b"", none),
        ("a date and a broken clock", 429, &[("Date", "soon"), ("Retry-After", "Mon, 23 Nov 2026 17:27:01 GMT")], b"", none),
        ("words", 429, &[DATE, ("Retry-After", "later")], b"", none),
        ("empty", 429, &[DATE, ("Retry-After", "")], b"", none),
        ("negative", 429, &[DATE, ("Retry-After", "-5")], b"", none),
        ("a fraction", 429, &[DATE, ("Retry-After", "1.5")], b"", none),
        ("beyond any number", 429, &[DATE, ("Retry-After", "99999999999999999999")], b"", none),
        ("longer than the world", 429, &[("Retry-After", "9223372036854775807")], b"", "throttled, Some(9223372036854775807)"),
    ]);
}
