//! One who needs tokens: asks `GetToken`, as Data Factory does.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::narrator::{Narrator, Who};
use super::world::World;

/// As long as Data Factory waits.
const PATIENCE: Duration = Duration::from_secs(230);
/// A token's characters that are shown.
const SHOWN: usize = 16;

pub(super) struct Caller<'a> {
    world: &'a World,
    narrator: &'a Narrator,
    http: reqwest::Client,
}

/// What came of a call.
pub(super) enum Answer {
    /// The whole body, token and all.
    Token(Value),
    Nothing,
}

impl<'a> Caller<'a> {
    pub(super) fn new(world: &'a World, narrator: &'a Narrator) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().context("the caller's HTTP client")?;
        Ok(Self { world, narrator, http })
    }

    pub(super) fn url(&self) -> String {
        format!("{}/api/GetToken", self.world.host.url())
    }

    /// One call, told in one line.
    pub(super) async fn ask(&self) -> Answer {
        self.narrator.own_call();
        let (status, body) = match self.get().await {
            Ok(answer) => answer,
            Err(error) => {
                self.narrator.odd(Who::Caller, &format!("no answer: {:#}", anyhow::Error::new(error.without_url())));
                return Answer::Nothing;
            }
        };
        let (Some(token), Some(seconds)) = (body["access_token"].as_str(), body["expires_in"].as_i64()) else {
            let why = body["error_description"].as_str().unwrap_or("(no reason given)");
            self.narrator.odd(Who::Caller, &format!("answered {status} {}: {why}", body["error"].as_str().unwrap_or_default()));
            return Answer::Nothing;
        };
        if self.world.exact.is_alive(token) {
            self.narrator.say(Who::Caller, &format!("got a token with {seconds} s of life left"));
        } else {
            self.narrator.odd(Who::Caller, "got a token that Exact Online does not accept");
        }
        for warning in body["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.narrator.odd(Who::Caller, warning);
        }
        Answer::Token(body)
    }

    async fn get(&self) -> reqwest::Result<(u16, Value)> {
        let response = self.http.get(self.url()).send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }
}

/// The body with its token shortened. It is a made-up one; but nobody should learn to show tokens.
pub(super) fn shown(mut body: Value) -> String {
    if let Some(token) = body["access_token"].as_str() {
        let start: String = token.chars().take(SHOWN).collect();
        body["access_token"] = format!("{start}…").into();
    }
    body.to_string()
}
