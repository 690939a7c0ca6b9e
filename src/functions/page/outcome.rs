//! How one consent ended, and everything else that keeps a person from seeing how things stand.

use maud::{Markup, html};

use crate::config::ConfigError;
use crate::consent::{Connected, Failed, Finished, Problem};
use crate::token::{Person, Secret};

use super::super::reply::Refused;
use super::super::route::Route;
use super::{Page, name, sentence};

pub(super) fn finished(finished: &Finished) -> Page {
    match finished {
        Finished::Connected(connected) => self::connected(connected),
        Finished::Confirm { stored, new, confirm } => self::confirm(stored.as_deref(), new.as_deref(), confirm),
        Finished::LeftAsItWas => Page {
            heading: "Nothing was changed",
            main: html! { p { "The tokens of the other user are not used; the connection is as it was before. This page can be closed." } },
        },
    }
}

fn connected(connected: &Connected) -> Page {
    let main = html! {
        @match connected.person.as_deref() {
            Some(person) => {
                p {
                    "The tokens carry the permissions of " strong { (told(&person.name)) } " (" (told(&person.login)) "), company "
                    strong { (told(&person.company)) } ", division " (person.division) "."
                }
                p { "If a load brings no rows later where there should be some, this user lacks the right to see them." }
            }
            None => p {
                "Exact Online did not say whose permissions the tokens carry: those of the user who has just logged in. "
                "If a load brings no rows later where there should be some, that user lacks the right to see them."
            }
        }
        p {
            @if connected.meanwhile {
                "Somebody else connected while you were logging in. The tokens of your log-in took the place of theirs; theirs work no more."
            } @else if connected.replaced {
                "The new tokens took the place of the connection before. Whatever else used its tokens has to be connected by itself."
            } @else {
                "This is the first connection here."
            }
        }
        p { "From now on the tokens are kept alive by themselves. This page can be closed." }
    };
    Page { heading: "Connected to Exact Online", main }
}

fn confirm(stored: Option<&Person>, new: Option<&Person>, confirm: &Secret) -> Page {
    let cell =
        |person: Option<&Person>, of: fn(&Person) -> Markup| html! { td { @match person { Some(person) => (of(person)), None => "not told" } } };
    let row = |what: &str, of: fn(&Person) -> Markup| html! { tr { th scope="row" { (what) } (cell(stored, of)) (cell(new, of)) } };
    let main = html! {
        p {
            @if new.is_some() {
                "Somebody else logged in than before. "
            } @else {
                "Exact Online did not say who logged in, so it may be somebody else than before. "
            }
            "Nothing was changed: the new tokens are stored and not used yet."
        }
        table {
            thead { tr { th scope="col" { "Detail" } th scope="col" { "Connected now" } th scope="col" { "Just logged in" } } }
            tbody {
                (row("Company", |person| told(&person.company)))
                (row("User", |person| told(&person.name)))
                (row("Log-in", |person| told(&person.login)))
                (row("Division", |person| html! { (person.division) }))
            }
        }
        p { "What is loaded from then on is what the new user may see. These buttons are good for 10 minutes in this browser; later the page Consent asks the same." }
        @if new.is_none() {
            p {
                "If it was the same user as before, this log-in has ended the connection before: then connect as this user. If it was somebody else, leave "
                "it as it was."
            }
        }
        form method="get" {
            input type="hidden" name="confirm" value=(confirm.reveal());
            button { "Connect as this user" }
        }
        form method="get" {
            input type="hidden" name="discard" value=(confirm.reveal());
            button { "Leave it as it was" }
        }
    };
    Page { heading: "Connect as another user than before?", main }
}

pub(super) fn failed(failed: &Failed, route: Route) -> Page {
    let problem = &failed.problem;
    let heading = match problem {
        Problem::Settings(_) => "A setting is missing or wrong",
        Problem::NotSaved(_) => "The new tokens are not stored yet",
        Problem::Unclear => "It is not known whether Exact Online was connected",
        Problem::Used => "This link was used before",
        Problem::Overtaken | Problem::NothingToConfirm => "Nothing was changed",
        Problem::Forged
        | Problem::OtherBrowser
        | Problem::Expired
        | Problem::NoCode
        | Problem::Denied
        | Problem::NotThisApp
        | Problem::EndedByExact
        | Problem::CodeRefused
        | Problem::TooEarly
        | Problem::App
        | Problem::Unreachable
        | Problem::Throttled
        | Problem::Budget { .. }
        | Problem::Busy
        | Problem::Store(_) => "Exact Online was not connected",
    };
    let main = html! {
        p { (sentence(&problem.to_string())) }
        h2 { "What to do" }
        p { (problem.remedy()) }
        @match (&failed.again, route) {
            (Some(again), _) => form method="get" {
                input type="hidden" name="again" value=(again.reveal());
                button { "Try again" }
            },
            // The page that the button is on. Without an action, as there.
            (None, Route::Consent) => form method="post" { button { "Try again" } },
            (None, _) => {}
        }
    };
    Page { heading, main }
}

pub(super) fn refused(refused: Refused, said: &str) -> Page {
    let heading = match refused {
        Refused::Malformed(_) => "This link cannot be used",
        _ => "This request cannot be taken",
    };
    let main = html! {
        p { (sentence(said)) }
        p { "Nothing was changed. Begin on the page Consent of this installation." }
    };
    Page { heading, main }
}

pub(super) fn bad_settings(error: &ConfigError) -> Page {
    let main = html! {
        p { "Nothing works until they are mended, in the settings of the function app (on a developer's machine: in local.settings.json)." }
        ul { @for problem in &error.problems { li { (sentence(problem)) } } }
    };
    Page { heading: "Settings are missing or wrong", main }
}

pub(super) fn overdue() -> Page {
    let main = html! {
        p { "It takes longer than a browser waits. The work goes on." }
        p { "Look at the page Consent in a minute to see how it ended." }
    };
    Page { heading: "Not finished yet", main }
}

fn told(told: &str) -> Markup {
    name(told, "not told")
}
