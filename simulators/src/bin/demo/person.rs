//! The person who consents: you, in your browser; or, with `--auto` and `--once`, the demo in your place.

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::{COOKIE, HeaderName, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use simulators::exact_online::{Rules, User};

use super::narrator::{Narrator, Who};
use super::world::World;

/// Goes the way of a browser, step by step: the page, its button, Exact's log-in, and back.
pub(super) async fn connect(world: &World, narrator: &Narrator) -> Result<()> {
    let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().context("the person's HTTP client")?;
    let page = world.consent_page();
    narrator.own_call();
    let shown = http.get(&page).send().await?;
    ensure!(shown.status() == StatusCode::OK, "{page} answered {}", shown.status());
    narrator.own_call();
    let pressed = http.post(&page).send().await?;
    ensure!(pressed.status() == StatusCode::SEE_OTHER, "the button of {page} answered {}", pressed.status());
    let log_in = Url::parse(header(&pressed, &LOCATION)?)?;
    let cookie = header(&pressed, &SET_COOKIE)?.split(';').next().unwrap_or_default().to_owned();
    let parameter = |name: &str| log_in.query_pairs().find(|(it, _)| it == name).map(|(_, value)| value.into_owned());
    let (Some(state), Some(redirect_uri)) = (parameter("state"), parameter("redirect_uri")) else {
        bail!("the way to Exact's log-in lacks a parameter")
    };

    let user = User::first();
    narrator.say(Who::Demo, &format!("at Exact Online: {} logs in, with a code of the authenticator, and allows the app", user.full_name));
    let code = world.exact.authorize(&user.id, &redirect_uri);
    narrator.own_call();
    let back = http.get(Rules::redirect_url(&redirect_uri, &code, Some(&state))).header(COOKIE, cookie).send().await?;
    let status = back.status();
    let heading = heading(&back.text().await?);
    ensure!(status == StatusCode::OK, "the way back from Exact Online ended with {status}: {heading}");
    narrator.say(Who::Demo, &format!("the page says: {heading}"));
    Ok(())
}

fn header<'a>(response: &'a Response, name: &HeaderName) -> Result<&'a str> {
    let value = response.headers().get(name).with_context(|| format!("the reply has no {name}"))?;
    value.to_str().with_context(|| format!("{name} is no text"))
}

fn heading(page: &str) -> String {
    let heading = page.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>"));
    heading.map_or_else(|| "(a page without a heading)".to_owned(), |(heading, _)| heading.to_owned())
}
