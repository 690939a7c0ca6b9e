//! How the chain stands, and the button.

use maud::{Markup, html};

use crate::status::{PendingConsent, State, Status};

use super::life::Life;
use super::{Page, moment, name, now, sentence, span, time_line};

pub(super) fn page(status: &Status) -> Page {
    let stored = status.base_url.is_some();
    let life = Life::of(status);
    let in_use = matches!(status.state, State::Connected | State::Degraded) && !matches!(life, Life::Over(_));
    let heading = match status.state {
        // No refresh can go well any more, and a token that lives, lives for minutes.
        State::Connected | State::Degraded if matches!(life, Life::Over(_)) => "Exact Online has to be connected again",
        State::Connected => "Exact Online is connected",
        State::Degraded if stored => "Exact Online is connected, but something is wrong",
        State::Degraded => "It is not known whether Exact Online is connected",
        State::ConsentRequired => "Exact Online has to be connected again",
        State::NeverConnected => "Exact Online is not connected yet",
        State::Misconfigured => "Something is set up wrongly",
    };
    let button = if status.state == State::NeverConnected { "Connect to Exact Online" } else { "Connect again" };
    let main = html! {
        @if status.state != State::Connected {
            p { (sentence(&status.summary)) }
        }
        @if let Some(pending) = &status.pending_consent {
            (waiting(pending, in_use))
        }
        h2 { "What needs doing" }
        p { (to_do(status, life, in_use)) }
        // Without an action it goes to this very address, whose function key then stands in no page.
        form method="post" { button { (button) } }
        p { "You log in at Exact Online and come back here, within 10 minutes and in this browser." }
        @if let Some(figure) = time_line::figure(status) {
            h2 { "Time line" }
            (figure)
        }
        h2 { "Details" }
        (details(status, life))
    };
    Page { heading, main }
}

/// Forms without an action, as the one below.
fn waiting(pending: &PendingConsent, in_use: bool) -> Markup {
    let before = if in_use { "the user whose tokens are in use" } else { "the user who was connected before" };
    html! {
        h2 { "Is another user meant?" }
        p {
            (name(pending.user.as_deref().unwrap_or_default(), "Somebody whose name Exact Online did not tell"))
            @if let Some(company) = pending.company.as_deref().filter(|company| !company.is_empty()) { " of " (name(company, "")) }
            " logged in on " (moment(pending.granted_at)) ", " @if pending.user.is_some() { "and not " (before) } @else { "perhaps not " (before) }
            ". The new tokens are stored and not used yet. What is loaded from then on is what the new user may see."
        }
        form method="post" {
            input type="hidden" name="confirm" value=(pending.version);
            button { "Connect as this user" }
        }
        form method="post" {
            input type="hidden" name="discard" value=(pending.version);
            button { "Leave it as it was" }
        }
    }
}

fn to_do(status: &Status, life: Life, in_use: bool) -> String {
    if status.unsaved_grant {
        return "Do not restart the app: the newest tokens are in its memory only. Mend the token store, as the log says; they are stored as soon as it takes them.".to_owned();
    }
    if status.pending_consent.is_some() {
        let what = match status.state {
            _ if in_use => "Say whether the other user is meant.",
            State::Connected | State::Degraded | State::ConsentRequired | State::NeverConnected => {
                "Say whether the other user is meant: then nobody has to log in. If not, press the button below and log in. Until one of the two is \
                 done no new token can be fetched."
            }
            State::Misconfigured => "Look at what is named above, and say whether the other user is meant: then nobody has to log in for that.",
        };
        return what.to_owned();
    }
    let lives = matches!(status.state, State::Connected | State::Degraded) && life.soon_over().is_none() && !matches!(life, Life::Over(_));
    if status.cut_off_log_in_at.is_some() && lives {
        return "If the log-in that was cut off was yours, press the button and log in again.".to_owned();
    }
    let what = match (status.state, life.soon_over()) {
        (State::NeverConnected, _) => "Press the button and log in as a user who may see all that has to be loaded.",
        (State::ConsentRequired, _) => "Press the button and log in. Until then no new token can be fetched.",
        (State::Misconfigured, _) => "First look at what is named above. Connect again only if the settings are as they are meant to be.",
        (State::Connected | State::Degraded, _) if matches!(life, Life::Over(_)) => {
            "Press the button and log in: the refresh token has ended, and no new token can be fetched."
        }
        (State::Connected | State::Degraded, Some(left)) => {
            return format!("Connect again within {}, unless a refresh goes well before: then the refresh token ends.", span(left));
        }
        (State::Connected, None) => "Nothing.",
        (State::Degraded, None) if status.servable => {
            "Nothing at once: tokens are still handed out, and what failed is tried again by itself. If it stays so, the log says more."
        }
        (State::Degraded, None) => "What failed is tried again by itself. If it stays so, the log says more.",
    };
    what.to_owned()
}

fn details(status: &Status, life: Life) -> Markup {
    let not_told = if status.base_url.is_some() {
        "not known: Exact Online did not tell, or the connection was not begun with a log-in here"
    } else {
        "none yet"
    };
    html! {
        dl {
            dt { "Company" }
            dd { (name(status.company.as_deref().unwrap_or_default(), not_told)) }
            dt { "User" }
            dd { (name(status.user.as_deref().unwrap_or_default(), not_told)) }
            dt { "Exact Online site" }
            dd { (status.base_url.as_deref().map_or("none yet", |url| url.trim_start_matches("https://"))) }
            dt { "Access token" }
            dd {
                @match status.access_token_expires_at {
                    None => "none yet",
                    Some(until) if until <= now(status) || status.access_token_seconds_left == 0 => {
                        "ended " (moment(until))
                        @match status.state {
                            State::Connected | State::Degraded if !matches!(life, Life::Over(_)) => {
                                "; the next is fetched by the timer or for the next caller"
                            }
                            _ => "; no other can be fetched until what needs doing is done",
                        }
                    }
                    Some(until) => { "valid until " (moment(until)) ", for " (span(until.duration_since(now(status)))) }
                }
            }
            dt { "Refresh token" }
            dd {
                @match life {
                    Life::Refused => "refused by Exact Online",
                    Life::Over(end) => { "ended " (moment(end)) }
                    Life::Until { end, left } => { "good until " (moment(end)) ", " (span(left)) " left" }
                    Life::Unknown if status.base_url.is_some() => "has brought no pair yet, so its age is not known",
                    Life::Unknown => "none yet",
                }
            }
            dt { "Last refresh" }
            dd { (last_refresh(status)) }
            dt { "What comes next" }
            dd { @if status.next.is_empty() { "not known yet" } @else { (status.next) } }
        }
    }
}

fn last_refresh(status: &Status) -> Markup {
    html! {
        @match status.last_grant_at {
            Some(at) => { (moment(at)) ", it went well" }
            None => "none has gone well yet",
        }
        @if let (Some(what), times @ 1..) = (&status.last_failure, status.failures_in_a_row) {
            "; since then " (times) " without success, the last: " (what)
        }
    }
}
