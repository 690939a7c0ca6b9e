//! To Exact Online and back: what the product's adapter sends through.

use std::fmt;

use async_trait::async_trait;
use exact_token_broker::exact_online::wire::{Broken, Chunks, Incoming, NotAnswered, Wire};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use simulators::exact_online::{Delivery, Fault, Kind, MeRequest, Reply, TokenRequest};

use super::{carry, delay};
use crate::world::{ProcessId, World};

/// The wire of one process.
pub struct ExactWire {
    world: World,
    process: ProcessId,
}

impl ExactWire {
    /// That of this process.
    #[must_use]
    pub fn new(world: World, process: ProcessId) -> Self {
        Self { world, process }
    }

    async fn token(&self, request: &Request) -> Result<Reply, NotAnswered> {
        let (world, process) = (&self.world, self.process);
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
        let field = |name: &str| form_urlencoded::parse(&body).find(|(it, _)| it == name).map(|(_, value)| value.into_owned());
        let (kind, secret) = match (field("refresh_token"), field("code")) {
            (Some(token), _) => (Kind::Refresh, token),
            (None, Some(code)) => (Kind::Code, code),
            (None, None) => (Kind::Other, String::new()),
        };
        let headers = request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned())).collect();
        let held_up = world.state().sends(process, &secret);
        if held_up {
            // It goes no further until it is thawed.
            tokio::task::yield_now().await;
        }
        let asked = TokenRequest { method: request.method().to_string(), query: request.url().query().map(str::to_owned), headers, body };
        let (journey, fault) = {
            let now = world.time.now();
            let mut state = world.state();
            state.about_to_ask(now, process, kind, &secret);
            let mut random = state.random.fork();
            let drawn = state.weather.exact(now, &mut random);
            if drawn.0.unreachable || drawn.1.is_some() {
                state.strike(now, process);
                let what = drawn.1.as_ref().map_or_else(|| "unreachable".to_owned(), Fault::describe);
                state.facts.count(format!("fault exact: {what}"));
            }
            drawn
        };
        if journey.unreachable {
            tokio::time::sleep(journey.there).await;
            return Err(NotAnswered::NeverLeft);
        }
        let (back, sent) = (journey.back, secret);
        let effect = move |state: &mut crate::world::State, now: jiff::Timestamp| {
            state.exact.script(fault.unwrap_or(Fault::Pass));
            let reply = state.exact.token(now, &asked);
            let back = delay(reply.delivery, back);
            let whole = token_in(&reply).is_some() && reply.arrives();
            if says_dead(&reply) {
                state.refused(now, &sent);
            }
            state.asked(now, process, &sent, back.filter(|_| whole).map(|back| now + back));
            (reply, back)
        };
        let ignored = move |state: &mut crate::world::State, now, reply: Reply| {
            if let Some(token) = token_in(&reply) {
                state.ignored(now, process, &token);
            }
        };
        let reply = carry(world, journey.there, effect, ignored).await.ok_or(NotAnswered::Lost)?;
        if reply.delivery == Delivery::Reset {
            return Err(NotAnswered::Lost);
        }
        let now = world.time.now();
        if let Some(token) = token_in(&reply).filter(|_| reply.arrives()) {
            world.state().received(now, process, &token);
        }
        Ok(reply)
    }

    async fn me(&self, request: &Request) -> Result<Reply, NotAnswered> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let asked = MeRequest { query: request.url().query().map(str::to_owned), authorization: header("authorization"), accept: header("accept") };
        let (there, back) = {
            let mut state = self.world.state();
            (state.random.millis(15, 200), state.random.millis(15, 200))
        };
        let effect = move |state: &mut crate::world::State, now: jiff::Timestamp| (state.exact.me(now, &asked), Some(back));
        carry(&self.world, there, effect, |_, _, _| {}).await.ok_or(NotAnswered::Lost)
    }
}

/// Whether it holds one of the three texts after which a token is dead, if they come again.
fn says_dead(reply: &Reply) -> bool {
    let text = String::from_utf8_lossy(&reply.body);
    reply.status >= 400 && ["Old refresh token used", "chainId", "refresh token expired at"].iter().any(|words| text.contains(words))
}

/// The refresh token in a reply, wherever it stands.
fn token_in(reply: &Reply) -> Option<String> {
    let text = std::str::from_utf8(&reply.body).ok()?;
    let rest = text.split_once(r#""refresh_token":""#)?.1;
    rest.split_once('"').map(|(token, _)| token.to_owned())
}

#[async_trait]
impl Wire for ExactWire {
    async fn send(&self, request: Request) -> Result<Incoming, NotAnswered> {
        let reply = if request.method() == Method::POST { self.token(&request).await? } else { self.me(&request).await? };
        let mut headers = HeaderMap::new();
        for (name, value) in &reply.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.append(name, value);
            }
        }
        let status = StatusCode::from_u16(reply.status).map_err(|_| NotAnswered::Lost)?;
        let broken = reply.delivery == Delivery::Cut;
        let mut rest = reply.body;
        if broken {
            rest.truncate(rest.len() / 2);
        }
        Ok(Incoming { status, headers, body: Box::new(Pieces { rest, broken }) })
    }
}

impl fmt::Debug for ExactWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExactWire")
    }
}

/// A body in two pieces, or the first half of one.
struct Pieces {
    rest: Vec<u8>,
    broken: bool,
}

#[async_trait]
impl Chunks for Pieces {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        tokio::task::yield_now().await;
        match (self.rest.is_empty(), self.broken) {
            (true, true) => Err(Broken),
            (true, false) => Ok(None),
            (false, _) => {
                let piece = self.rest.len().div_ceil(2).max(64).min(self.rest.len());
                Ok(Some(self.rest.drain(..piece).collect()))
            }
        }
    }
}
