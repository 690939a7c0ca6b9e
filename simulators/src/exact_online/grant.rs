//! How a grant and a refusal are written, and what a fault makes of them.

use std::fmt::Write;

use super::bodies;
use super::config::{Config, ExpiresIn};
use super::faults::{Fault, Loss, OddGrant};
use super::reply::Reply;
use super::rules::Pair;

/// The reply to a request that was granted this pair.
pub(super) fn granted(config: &Config, fault: Option<&Fault>, pair: &Pair) -> Reply {
    let (access, refresh) = (Some(pair.access_token.as_str()), Some(pair.refresh_token.as_str()));
    match fault {
        Some(Fault::CommitThen(loss)) => loss.befall(tokens(config, access, refresh)),
        Some(Fault::Odd(OddGrant::LacksAccessToken)) => tokens(config, None, refresh),
        Some(Fault::Odd(OddGrant::LacksRefreshToken)) => tokens(config, access, None),
        Some(Fault::Odd(OddGrant::ErrorWithRefreshToken)) => {
            let error = bodies::TOO_EARLY;
            let open = error.body.trim_end_matches(" }");
            let body = format!(r#"{open},"refresh_token":"{}" }}"#, pair.refresh_token);
            Reply::new(error.status, error.headers, body)
        }
        Some(Fault::Odd(OddGrant::UnchangedRefreshToken) | Fault::Pass | Fault::NoCommit(_)) | None => tokens(config, access, refresh),
    }
}

/// The reply to a request that was refused, or not judged.
pub(super) fn refused(fault: Option<&Fault>, reply: Reply) -> Reply {
    match fault {
        Some(Fault::CommitThen(Loss::Reply(_)) | Fault::Odd(_) | Fault::Pass) | None => reply,
        Some(Fault::CommitThen(loss) | Fault::NoCommit(loss)) => loss.befall(reply),
    }
}

/// Whether a grant under this fault is a 200 that holds both tokens.
pub(super) fn says_all(fault: Option<&Fault>) -> bool {
    match fault {
        None | Some(Fault::Pass | Fault::Odd(OddGrant::UnchangedRefreshToken)) => true,
        Some(Fault::CommitThen(loss)) => !matches!(loss, Loss::Reply(_)),
        Some(Fault::NoCommit(_) | Fault::Odd(_)) => false,
    }
}

fn tokens(config: &Config, access: Option<&str>, refresh: Option<&str>) -> Reply {
    let seconds = config.access_token_lifetime.as_secs();
    let mut body = String::with_capacity(2048);
    body.push('{');
    // Writing to a string cannot fail.
    if let Some(token) = access {
        let _ = write!(body, r#""access_token":"{token}","#);
    }
    let _ = write!(body, r#""token_type":"{}","#, config.token_type);
    let _ = match config.expires_in {
        ExpiresIn::Text => write!(body, r#""expires_in":"{seconds}""#),
        ExpiresIn::Number => write!(body, r#""expires_in":{seconds}"#),
    };
    if let Some(token) = refresh {
        let _ = write!(body, r#","refresh_token":"{token}""#);
    }
    body.push('}');
    // Session cookies come along; a client has no use for them.
    let cookie = ("Set-Cookie", "ASP.NET_SessionId=SIMULATEDsession; path=/; HttpOnly; SameSite=Lax");
    Reply::new(200, &[("Content-Type", "application/json; charset=utf-8"), cookie], body)
}
