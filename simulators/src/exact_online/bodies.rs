//! Replies of the token endpoint, byte for byte as users reported them.
//!
//! Two styles of JSON: the gateway puts a blank after `{`, the back end behind it writes compactly and escapes `/`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::reply::Reply;

/// A reply with fixed bytes. [`ALL`] lists every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canned {
    /// For a test's message.
    pub name: &'static str,
    /// The status code.
    pub status: u16,
    /// Names and values.
    pub headers: &'static [(&'static str, &'static str)],
    /// The bytes.
    pub body: &'static str,
}

impl Canned {
    /// The reply itself.
    #[must_use]
    pub fn reply(&self) -> Reply {
        Reply::new(self.status, self.headers, self.body)
    }
}

impl From<Canned> for Reply {
    fn from(canned: Canned) -> Self {
        canned.reply()
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");
const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");
const TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");
const TOO_EARLY_REASON: (&str, &str) = ("Reason", "TooEarlyToRefreshTokens: Rate limit exceeded: access_token not expired");

macro_rules! canned {
    ($($(#[$doc:meta])* $name:ident = $status:literal, [$($header:expr),*], $body:expr;)*) => {
        $($(#[$doc])* pub const $name: Canned =
            Canned { name: stringify!($name), status: $status, headers: &[$($header),*], body: $body };)*

        /// Every fixed reply of this module, to iterate over.
        pub const ALL: &[Canned] = &[$($name),*];
    };
}

canned! {
    /// Less than 570 s after the last grant, as seen on the wire (websmurf/laravel-exact-online#31).
    TOO_EARLY = 400, [JSON, TOO_EARLY_REASON],
        r#"{ "error":"access_denied","error_description":"Rate limit exceeded: access_token not expired" }"#;
    /// The same with the status that the documentation names.
    TOO_EARLY_401 = 401, [JSON, TOO_EARLY_REASON],
        r#"{ "error":"access_denied","error_description":"Rate limit exceeded: access_token not expired" }"#;
    /// The same with the code of one integration's test fixture.
    TOO_EARLY_INVALID_REQUEST = 400, [JSON, TOO_EARLY_REASON],
        r#"{ "error":"invalid_request","error_description":"Rate limit exceeded: access_token not expired" }"#;
    /// The refresh token was rotated away (picqer/exact-php-client#300, #549, #640).
    OLD_REFRESH_TOKEN = 401, [JSON],
        r#"{"error":"unauthorized_client","error_description":"Old refresh token used."}"#;
    /// The chain was broken or superseded, or the code is not the newest (picqer/exact-php-client#471, #573).
    CHAIN_ID = 400,
        [JSON, ("Reason", "Unknown: Token is not allowed, because of invalid or empty chainId")],
        r#"{ "error":"invalid_grant","error_description":"Token is not allowed, because of invalid or empty chainId" }"#;
    /// Thirty days have passed; the reported sample (websmurf/laravel-exact-online#22, #23).
    REFRESH_TOKEN_EXPIRED = 400, [JSON],
        r#"{"error":"invalid_request","error_description":"The refresh token expired at 10\/11\/2022 9:18:20 PM and it is now 10\/28\/2022 4:15:50 PM."}"#;
    /// Malformed request, or a code that is wrong, used or expired (picqer/exact-php-client#553).
    INVALID_REQUEST = 400, [JSON], r#"{"error":"invalid_request"}"#;
    /// A mangled code or token (picqer/exact-php-client#579); the `error` code is inferred.
    SIGNED_DATA = 400, [JSON],
        r#"{"error":"invalid_request","error_description":"Signed data extraction has failed"}"#;
    /// An `invalid_grant` without a description, in the style of the back end.
    INVALID_GRANT = 400, [JSON], r#"{"error":"invalid_grant"}"#;
    /// Wrong client id or secret in the form (`DotNetOpenAuth`'s `AccessTokenFailedResponse`; no sample from Exact is known).
    INVALID_CLIENT = 400, [JSON], r#"{"error":"invalid_client"}"#;
    /// Wrong client id or secret in a Basic header (`DotNetOpenAuth`'s `AccessTokenFailedResponse`).
    INVALID_CLIENT_BASIC = 401, [JSON, ("WWW-Authenticate", "Basic")], r#"{"error":"invalid_client"}"#;
    /// An `unauthorized_client` that has nothing to do with rotation.
    UNAUTHORIZED_CLIENT = 400, [JSON], r#"{"error":"unauthorized_client"}"#;
    /// Invalid token, missing rights or a blocked user (helpdesk.informat.be, section 360000640040).
    FORBIDDEN_REFRESH = 403, [TEXT], "Error getting access token using refresh token";
    /// A blocked user; the reasons are listed in picqer/exact-php-client#451.
    BLOCKED_USER = 403, [JSON, ("Reason", "BlockedUser")], "";
    /// The licence has ended (picqer/exact-php-client#451).
    LICENSE_EXPIRED = 403, [JSON, ("Reason", "LicenseExpired")], "";
    /// The gateway failed *after* the back end had issued tokens (exactonline/exactonline-api-dotnet-client#152).
    EXTRACT_VARIABLES = 500, [JSON],
        r#"{"fault":{"faultstring":"Failed to execute the ExtractVariables: ExtractAccessToken","detail":{"errorcode":"steps.extractvariables.ExecutionFailed"}}}"#;
    /// The gateway is being deployed; passes by itself.
    APPLICATION_NOT_FOUND = 404, [JSON],
        r#"{"fault":{"faultstring":"Unable to identify proxy for host: start.exactonline.nl:443 and url: \/api\/oauth2\/token","detail":{"errorcode":"messaging.adaptors.http.flow.ApplicationNotFound"}}}"#;
    /// Too many requests. No sample from the token endpoint is known; `Retry-After` as RFC 9110 has it.
    TOO_MANY_REQUESTS = 429, [JSON, ("Retry-After", "60")], "";
    /// Too many requests, and not a word about when to come back.
    TOO_MANY_REQUESTS_BARE = 429, [], "";
    /// Success, with nothing in it (exactonline/exactonline-api-dotnet-client#150).
    EMPTY_200 = 200, [], "";
    /// A failure with nothing in it.
    EMPTY_500 = 500, [], "";
    /// Success, with a page in it (picqer/exact-php-client#54).
    HTML_200 = 200, [HTML],
        "<!DOCTYPE html><html><head><title>Exact Online</title></head><body><h1>Maintenance</h1></body></html>";
    /// Success, with JSON in it that is not an object.
    JSON_NULL_200 = 200, [JSON], "null";
    /// The page of a failed back end.
    HTML_500 = 500, [HTML],
        "<!DOCTYPE html><html><head><title>Runtime Error</title></head><body><h1>Server Error in '/' Application.</h1></body></html>";
    /// The page of a load balancer without a back end.
    HTML_503 = 503, [HTML],
        "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n";
    /// Unavailable, and a word about when to come back.
    RETRY_AFTER_503 = 503, [HTML, ("Retry-After", "120")], "";
    /// To the login page; whoever follows is recorded as [`UnknownPath`](super::Violation::UnknownPath).
    REDIRECT_302 = 302, [HTML, ("Location", "/docs/Login.aspx?ReturnUrl=%2fapi%2foauth2%2ftoken")],
        "<html><head><title>Object moved</title></head><body></body></html>";
    /// A redirect that would have the form, with its secrets, sent again; to follow is recorded as a violation.
    REDIRECT_307 = 307, [("Location", "/docs/Elsewhere.aspx")], "";
}

/// The text of an expiry at these times.
#[must_use]
pub fn refresh_token_expired(expired_at: Timestamp, now: Timestamp) -> Reply {
    let body = format!(
        r#"{{"error":"invalid_request","error_description":"The refresh token expired at {} and it is now {}."}}"#,
        us_date(expired_at),
        us_date(now)
    );
    Reply::new(REFRESH_TOKEN_EXPIRED.status, REFRESH_TOKEN_EXPIRED.headers, body)
}

/// `10\/11\/2022 9:18:20 PM`: month first, no leading zeros but in minutes and seconds, UTC.
fn us_date(at: Timestamp) -> String {
    let it = TimeZone::UTC.to_datetime(at);
    let (hour, half) = match it.hour() {
        0 => (12, "AM"),
        hour @ 1..=11 => (hour, "AM"),
        12 => (12, "PM"),
        hour => (hour - 12, "PM"),
    };
    let (month, day, year) = (it.month(), it.day(), it.year());
    let (minute, second) = (it.minute(), it.second());
    format!(r"{month}\/{day}\/{year} {hour}:{minute:02}:{second:02} {half}")
}

/// An error of a little more than 1 MiB: valid JSON, for a reader that has no limit.
#[must_use]
pub fn oversized() -> Reply {
    let filler = "x".repeat((1 << 20) + 4096);
    Reply::new(400, &[JSON], format!(r#"{{"error":"invalid_request","error_description":"{filler}"}}"#))
}
