//! To Key Vault and to the blob service and back: what the official SDK's clients send through.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Method, Request, StatusCode};
use exact_token_broker::http::AZURE_EXCHANGE_WITHIN;
use simulators::exact_online::{Delivery, MARKER, Reply};
use simulators::key_vault::Operation;
use simulators::{blob_storage, key_vault};

use super::{carry, delay};
use crate::world::sent::Put;
use crate::world::weather::Journey;
use crate::world::{ProcessId, SECRET_NAME, STORAGE_HOST, State, VAULT_HOST, World};

/// The clients' transport of one process.
pub struct AzureWire {
    world: World,
    process: ProcessId,
}

impl AzureWire {
    /// That of this process.
    #[must_use]
    pub fn of(world: World, process: ProcessId) -> Arc<dyn HttpClient> {
        Arc::new(Self { world, process })
    }

    async fn exchange(
        &self,
        journey: Journey,
        effect: impl FnOnce(&mut State, jiff::Timestamp) -> (Reply, Option<Duration>) + Send + 'static,
    ) -> azure_core::Result<Reply> {
        if journey.unreachable {
            tokio::time::sleep(journey.there).await;
            return Err(Error::with_message(ErrorKind::Connection, "made up: no connection"));
        }
        let lost = || Error::with_message(ErrorKind::Io, "made up: the connection was lost");
        let reply = carry(&self.world, journey.there, effect, |_, _, _| {}).await.ok_or_else(lost)?;
        if matches!(reply.delivery, Delivery::Reset | Delivery::Cut) { Err(lost()) } else { Ok(reply) }
    }

    async fn vault(&self, request: &Request) -> azure_core::Result<Reply> {
        let url = request.url();
        let asked = key_vault::Request {
            method: request.method().as_ref().to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            path: url.path().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            bearer: header(request, "authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)),
            body: bytes(request),
            connection: 0,
        };
        let (operation, name, _) = asked.asks();
        let process = self.process;
        let (journey, fault) = {
            let now = self.world.time.now();
            let mut state = self.world.state();
            let mut random = state.random.fork();
            // A challenge and a refused token are answered at the gate.
            if asked.bearer.as_deref().is_some_and(|token| state.opens(token)) {
                let drawn = state.weather.vault(now, operation, &mut random);
                if drawn.0.unreachable || drawn.1.is_some() || drawn.0.there > Duration::from_secs(1) || drawn.0.back > Duration::from_secs(1) {
                    state.strike(now, process);
                    state.facts.count(format!("fault vault: {}", what_vault(&drawn.0, drawn.1.as_ref())));
                }
                if operation == Operation::ListVersions {
                    state.looked(process);
                }
                if operation == Operation::Set && name == SECRET_NAME {
                    state.putting(now, process, &asked.body);
                }
                drawn
            } else {
                (Journey { unreachable: false, there: random.millis(2, 20), back: random.millis(2, 20) }, None)
            }
        };
        let back = journey.back;
        let effect = move |state: &mut State, now: jiff::Timestamp| {
            let token = state.identity_token();
            let opens = |presented: &str| presented == token;
            if let Some(fault) = fault.filter(|_| asked.bearer.as_deref().is_some_and(opens)) {
                state.vault.script(None, fault);
            }
            let before = state.vault.versions(SECRET_NAME).len();
            let reply = state.vault.request(now, &asked, &opens);
            if asked.bearer.is_some() {
                state.note(now, process, &format!("vault {operation:?}: {}, {:?}", reply.status, reply.delivery));
            }
            if state.vault.versions(SECRET_NAME).len() > before {
                let value = state.vault.versions(SECRET_NAME).last().map(|version| version.value.clone()).unwrap_or_default();
                state.landed(now, process, &value);
            }
            let told = state.vault.versions(SECRET_NAME).iter().any(|version| {
                version.tags.iter().any(|(name, value)| name.contains(MARKER) || value.contains(MARKER))
                    || version.content_type.as_ref().is_some_and(|kind| kind.contains(MARKER))
            });
            if told || asked.path.contains(MARKER) || asked.query.iter().any(|(_, value)| value.contains(MARKER)) {
                state.broke(now, process, "I5 a secret in a tag, or in a vault's URL");
            }
            if state.vault.versions(SECRET_NAME).iter().any(|version| !version.enabled) {
                state.broke(now, process, "I6 a version was disabled");
            }
            if matches!(operation, Operation::Delete | Operation::GetLatest) {
                state.broke(now, process, "I6 the vault was asked to delete, or for its latest");
            }
            let back = delay(reply.delivery, back);
            (reply, back)
        };
        let put = (operation == Operation::Set).then(|| Awaited { world: &self.world, process, clear: false });
        let result = self.exchange(journey, effect).await;
        if let Some(mut put) = put {
            put.clear = match &result {
                Ok(reply) => !matches!(reply.status, 408 | 500..=599),
                Err(error) => matches!(error.kind(), ErrorKind::Connection),
            };
        }
        result
    }

    async fn blob(&self, request: &Request) -> azure_core::Result<Reply> {
        let url = request.url();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str().to_ascii_lowercase(), value.as_str().to_owned())).collect();
        let asked = blob_storage::Request {
            method: request.method().as_ref().to_owned(),
            path: format!("{}{}", url.host_str().unwrap_or_default(), url.path()),
            query: url.query_pairs().into_owned().collect(),
            headers,
            body: bytes(request),
        };
        let process = self.process;
        let (journey, instead, delivery) = {
            let now = self.world.time.now();
            let mut state = self.world.state();
            let mut random = state.random.fork();
            let drawn = state.weather.blob(now, &mut random);
            if drawn.0.unreachable
                || drawn.1.is_some()
                || drawn.2.is_some()
                || drawn.0.there >= Duration::from_secs(1)
                || drawn.0.back >= Duration::from_secs(1)
            {
                state.strike(now, process);
                state.facts.count(format!("fault blob: {}", what_blob(&drawn.0, drawn.1.as_ref(), drawn.2)));
            }
            drawn
        };
        let back = journey.back;
        let effect = move |state: &mut State, now: jiff::Timestamp| {
            let opens = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|token| state.opens(token));
            let kind = asked.asks();
            let reply = if !opens {
                let challenge =
                    "Bearer authorization_uri=https://login.microsoftonline.com/made-up/oauth2/authorize resource_id=https://storage.azure.com";
                Reply::new(401, &[("x-ms-error-code", "InvalidAuthenticationInfo"), ("www-authenticate", challenge)], "")
            } else if let Some(instead) = instead {
                instead
            } else {
                if kind == "write" && (asked.header("if-match").is_none() || asked.header("x-ms-lease-id").is_none()) {
                    state.broke(now, process, "I3 the ledger is written without If-Match and lease");
                }
                let (reply, effect) = state.blob.request(now, &asked);
                if effect == blob_storage::Effect::Written {
                    state.written(now, process, &asked.body);
                }
                if let (true, Some(seen)) = (matches!(kind, "acquire" | "renew") && reply.status < 300, state.processes.get_mut(&process)) {
                    seen.leased = Some(now);
                }
                if reply.status < 300 && asked.path.starts_with(STORAGE_HOST) {
                    state.lease(now, process, kind);
                }
                reply.delivered(delivery.unwrap_or(Delivery::Whole))
            };
            if kind != "read" || reply.status >= 400 {
                let code = reply.header("x-ms-error-code").unwrap_or_default().to_owned();
                state.note(now, process, &format!("blob {kind}: {} {code} {:?}", reply.status, reply.delivery));
            }
            if asked.headers.iter().any(|(name, value)| name != "authorization" && value.contains(MARKER)) {
                state.broke(now, process, "I5 a secret in a header of the blob's");
            }
            let back = delay(reply.delivery, back);
            (reply, back)
        };
        self.exchange(journey, effect).await
    }
}

/// A PUT that somebody waits for; whoever gives it up does not know what became of it.
struct Awaited<'a> {
    world: &'a World,
    process: ProcessId,
    clear: bool,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut state = self.world.state();
        if let Some((_, put)) = state.processes.get_mut(&self.process).and_then(|seen| seen.put.as_mut()) {
            *put = if self.clear { Put::Clear } else { Put::Open };
        }
    }
}

impl State {
    /// The token that identities have now.
    #[must_use]
    pub fn identity_token(&self) -> String {
        format!("{MARKER}-identity-token-{}", self.identity)
    }

    fn opens(&self, token: &str) -> bool {
        token == self.identity_token()
    }

    fn looked(&mut self, process: ProcessId) {
        if let Some((_, put)) = self.processes.get_mut(&process).and_then(|seen| seen.put.as_mut()) {
            *put = Put::Clear;
        }
    }

    /// A PUT is about to leave: not again, unless it is known what became of the last.
    fn putting(&mut self, now: jiff::Timestamp, process: ProcessId, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        let attempt = text.split_once(r#""attempt":""#).and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id.to_owned()).unwrap_or_default();
        let Some(seen) = self.processes.get_mut(&process) else { return };
        // While one is on its way, a pass beside a consent may save the same pair: another piece of work, and what is durable sooner is not lost.
        let blind = seen.put.as_ref() == Some(&(attempt.clone(), Put::Open));
        seen.put = Some((attempt, Put::Awaited));
        // What is put again before another request is the head that the vault has lost: any number of copies of that does no harm.
        // And a process that was frozen has lost the lock, and stores before it asks for it.
        let frozen = self.processes.get(&process).is_some_and(|seen| seen.control.was_frozen_since(now - jiff::SignedDuration::from_secs(60)));
        if blind && !frozen && !self.head_is_gone() {
            self.broke(now, process, "a version was put again without a look at what became of the first");
        }
    }
}

fn header(request: &Request, name: &'static str) -> Option<String> {
    request.headers().get_optional_str(&name.into()).map(str::to_owned)
}

fn bytes(request: &Request) -> Vec<u8> {
    match request.body() {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::SeekableStream(_) => Vec::new(),
    }
}

fn what_vault(journey: &Journey, fault: Option<&key_vault::Fault>) -> &'static str {
    use key_vault::Fault;
    match fault {
        None if journey.unreachable => "unreachable",
        None if journey.there > Duration::from_secs(10) => "lands later",
        None => "slow",
        Some(Fault::Pass) => "none",
        Some(Fault::Instead(reply)) if reply.status == 429 => "429",
        Some(Fault::Instead(reply)) if reply.status == 403 => "403",
        Some(Fault::Instead(_)) => "5xx",
        Some(Fault::NoEffect(_)) => "lost before its effect",
        Some(Fault::EffectThen(_) | Fault::EffectThenReply(_)) => "lost after its effect",
        Some(Fault::LandsLater) => "lands later",
    }
}

fn what_blob(journey: &Journey, instead: Option<&Reply>, delivery: Option<Delivery>) -> &'static str {
    match (instead, delivery) {
        (None, None) if journey.unreachable => "unreachable",
        (None, None) => "slow",
        (None, Some(_)) => "lost after its effect",
        (Some(reply), _) if !reply.arrives() => "lost before its effect",
        (Some(reply), _) if reply.status == 412 => "412",
        (Some(reply), _) if reply.status == 403 => "403",
        (Some(_), _) => "5xx",
    }
}

#[async_trait]
impl HttpClient for AzureWire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let late = |_| Error::with_message(ErrorKind::Io, "made up: no answer in time");
        let reply = if request.url().host_str() == Some(VAULT_HOST) {
            // As the shipped clients: reads are bounded here, writes above.
            match request.method() {
                Method::Get => tokio::time::timeout(AZURE_EXCHANGE_WITHIN, self.vault(request)).await.map_err(late)??,
                _ => self.vault(request).await?,
            }
        } else {
            let reply = tokio::time::timeout(AZURE_EXCHANGE_WITHIN, self.blob(request)).await.map_err(late)??;
            if let (Some(_), Some(seen)) = (reply.header("date"), self.world.state().processes.get_mut(&self.process)) {
                seen.told_the_time = true;
            }
            reply
        };
        let mut headers = Headers::new();
        for (name, value) in reply.headers {
            headers.insert(name.to_ascii_lowercase(), value);
        }
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(reply.status), headers, reply.body))
    }
}

impl fmt::Debug for AzureWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AzureWire")
    }
}
