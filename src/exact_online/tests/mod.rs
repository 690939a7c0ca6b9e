mod fuzz;
mod grants;
mod properties;
mod refusals;
mod sockets;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::response::{Body, classify};
use crate::token::reply::Unclear;
use crate::token::{Reply, Secret};

/// The token that every test sends.
const SENT: &str = "stampNL001.AbCd!IAAAAmade-up-sent+/";
/// A whole grant for it, as Exact writes one.
const GRANT: &str = r#"{"access_token":"stampNL001.gAAAAmade-up-access","token_type":"bearer","expires_in":"600","refresh_token":"stampNL001.EfGh!IAAAAmade-up-next"}"#;
/// What [`told`] makes of [`GRANT`].
const GRANTED: &str = "granted stampNL001.gAAAAmade-up-access, stampNL001.EfGh!IAAAAmade-up-next, 600 s";

/// Name, status, headers, body, what is told of it.
type Case<'a> = (&'a str, u16, &'a [(&'a str, &'a str)], &'a [u8], &'a str);

/// Holds every case to its word and names those that break it.
fn check(cases: &[Case]) {
    let wrong = cases.iter().filter_map(|&(name, status, headers, body, expected)| {
        let told = told(&classified(status, headers, body, None));
        (told != expected).then(|| format!("{name}: {told}, not {expected}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
}

fn classified(status: u16, headers: &[(&str, &str)], body: &[u8], cut: Option<Unclear>) -> Reply {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    classify(&Secret::new(SENT), StatusCode::from_u16(status).unwrap(), &map, &Body { bytes: body.to_vec(), cut })
}

/// A reply with its tokens laid open. They are made up.
fn told(reply: &Reply) -> String {
    match reply {
        Reply::Granted(grant) => {
            format!("granted {}, {}, {} s", grant.access_token.reveal(), grant.refresh_token.reveal(), grant.expires_in.as_secs())
        }
        Reply::OddGrant { refresh_token, problem } => format!("odd grant {}, {problem:?}", refresh_token.reveal()),
        Reply::NotSent(what) => format!("not sent, {what:?}"),
        Reply::TooEarly => "too early".to_owned(),
        Reply::Unclear(what) => format!("unclear, {what:?}"),
        Reply::Refused(what) => format!("refused, {what:?}"),
        Reply::Misconfigured(what) => format!("misconfigured, {what:?}"),
        Reply::Throttled { retry_after } => format!("throttled, {:?}", retry_after.map(|after| after.as_secs())),
    }
}
