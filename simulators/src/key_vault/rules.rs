//! The state machine: no sockets, no clock, and the same requests always get the same replies.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::faults::{Denial, Fault};
use super::log::{Action, Logged, Operation, Violation};
use super::request::Request;
use super::versions::{Secret, Version};
use crate::exact_online::{Delivery, Reply};

/// Whom tokens for the vault are for. The challenge says so.
pub const RESOURCE: &str = "https://vault.azure.net";

/// What is served (Microsoft Learn, "Key Vault REST API reference").
const API_VERSIONS: &[&str] = &["7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"];

/// Bytes of a value; the documentation says "25k".
const MOST_VALUE: usize = 25_600;

/// Lines of a page; also what a page has when the client does not ask.
const MOST_PAGE: usize = 25;

/// One vault and what it remembers.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The versions of a name that never existed: 404, or an empty list.
    pub unknown_name_is_404: bool,
    /// Whom the challenge names, if not [`RESOURCE`]: this is not a Key Vault then, but somebody who would like a token.
    pub challenge_resource: Option<&'static str>,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) writes: Option<Fault>,
    made: u64,
    denied: BTreeMap<Action, Denial>,
    script: VecDeque<(Option<Operation>, Fault)>,
    standing: Option<Fault>,
    held: Vec<(String, SetBody)>,
    log: Vec<Logged>,
    violations: Vec<Violation>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetBody {
    value: String,
    content_type: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateBody {
    content_type: Option<String>,
    /// All of them: what is not named is gone.
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Attributes {
    enabled: Option<bool>,
}

/// What tests do and ask.
impl Rules {
    /// With other switches than usual.
    #[must_use]
    pub fn with(set: impl FnOnce(&mut Self)) -> Self {
        let mut rules = Self::default();
        set(&mut rules);
        rules
    }

    /// Fails the next request of this kind (of any, if none is named) that no earlier fault is for.
    pub fn script(&mut self, operation: Option<Operation>, fault: Fault) {
        self.script.push_back((operation, fault));
    }

    /// Fails every request that no scripted fault is for.
    pub fn always(&mut self, fault: Option<Fault>) {
        self.standing = fault;
    }

    /// How many scripted faults nobody has run into yet.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.script.len()
    }

    /// Refuses an action from now on, or allows it again.
    pub fn deny(&mut self, action: Action, denial: Option<Denial>) {
        match denial {
            Some(denial) => drop(self.denied.insert(action, denial)),
            None => drop(self.denied.remove(&action)),
        }
    }

    /// Lets land what [`Fault::LandsLater`] held back, as if it arrived only now. How many did.
    pub fn land(&mut self, now: Timestamp) -> usize {
        let held = std::mem::take(&mut self.held);
        let landed = held.len();
        for (name, body) in held {
            self.add(now, &name, body);
        }
        landed
    }

    /// The versions of a secret in the order in which they landed.
    #[must_use]
    pub fn versions(&self, name: &str) -> &[Version] {
        self.secrets.get(name).map_or(&[], |secret| &secret.versions)
    }

    /// Puts a version there without a request. Its id.
    pub fn plant(&mut self, now: Timestamp, name: &str, value: &str, tags: &[(&str, &str)]) -> String {
        let tags = tags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.add(now, name, SetBody { value: value.to_owned(), content_type: None, tags, attributes: Attributes::default() }).id
    }

    /// Enables or disables a version, as a person in the portal does.
    ///
    /// # Panics
    ///
    /// If there is no such version.
    pub fn enable(&mut self, name: &str, version: &str, enabled: bool) {
        let version = self.secrets.get_mut(name).and_then(|secret| secret.version(Some(version)));
        version.expect("a test names a version that exists").enabled = enabled;
    }

    /// Deletes a secret softly, as a person in the portal does.
    pub fn delete(&mut self, name: &str) {
        self.secrets.entry(name.to_owned()).or_default().deleted = true;
    }

    /// Every request so far.
    #[must_use]
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// What a careful client does not send and somebody sent.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
}

/// What was judged: the reply, and whether something was changed.
struct Judged {
    reply: Reply,
    effect: bool,
}

impl Rules {
    /// One request; `opens` tells whether a bearer token is good here. What it changes is changed when this returns, whatever becomes of the reply.
    pub fn request(&mut self, now: Timestamp, request: &Request, opens: &dyn Fn(&str) -> bool) -> Reply {
        let (operation, name, version) = request.asks();
        let authorized = request.bearer.is_some();
        let judged = match &request.bearer {
            Some(token) if opens(token) => self.judge_or_fail(now, request, operation, &name, version.as_deref()),
            bearer => {
                if bearer.is_none() && !request.body.is_empty() {
                    self.violations.push(Violation::BodyBeforeChallenge);
                }
                Judged { reply: challenge(bearer.is_some(), self.challenge_resource.unwrap_or(RESOURCE)), effect: false }
            }
        };
        let Judged { reply, effect } = judged;
        self.log.push(Logged { at: now, operation, version, authorized, status: reply.status, effect, connection: request.connection });
        reply
    }

    fn judge_or_fail(&mut self, now: Timestamp, request: &Request, operation: Operation, name: &str, version: Option<&str>) -> Judged {
        match self.fault(operation) {
            None | Some(Fault::Pass) => self.judge(now, request, operation, name, version),
            Some(Fault::Instead(reply)) => Judged { reply, effect: false },
            Some(Fault::NoEffect(delivery)) => {
                let reply = json_reply(503, error_body("ServiceUnavailable", "SIMULATED server text", None));
                Judged { reply: reply.delivered(delivery), effect: false }
            }
            Some(Fault::EffectThen(delivery)) => {
                let judged = self.judge(now, request, operation, name, version);
                Judged { reply: judged.reply.delivered(delivery), ..judged }
            }
            Some(Fault::EffectThenReply(reply)) => Judged { reply, ..self.judge(now, request, operation, name, version) },
            Some(Fault::LandsLater) => {
                if let (Operation::Set, Ok(body)) = (operation, serde_json::from_slice(&request.body)) {
                    self.held.push((name.to_owned(), body));
                }
                Judged { reply: Reply::new(503, &[], "").delivered(Delivery::Never), effect: false }
            }
        }
    }

    fn fault(&mut self, operation: Operation) -> Option<Fault> {
        let next = self.script.iter().position(|(of, _)| of.is_none_or(|of| of == operation));
        let scripted = next.and_then(|at| self.script.remove(at)).map(|(_, fault)| fault);
        scripted.or_else(|| self.standing.clone()).or_else(|| self.write_fault(operation))
    }

    fn judge(&mut self, now: Timestamp, request: &Request, operation: Operation, name: &str, version: Option<&str>) -> Judged {
        match self.serve(now, request, operation, name, version) {
            Ok(body) => {
                let effect = !matches!(operation, Operation::Get | Operation::GetLatest | Operation::ListVersions | Operation::GetDeleted);
                Judged { reply: json_reply(200, body.to_string()), effect }
            }
            Err(reply) => Judged { reply, effect: false },
        }
    }

    fn serve(&mut self, now: Timestamp, request: &Request, operation: Operation, name: &str, version: Option<&str>) -> Result<Value, Reply> {
        if !request.parameter("api-version").is_some_and(|version| API_VERSIONS.contains(&version)) {
            return Err(self.refuse(Violation::ApiVersion, 400, "The specified version is not supported"));
        }
        if operation == Operation::Other {
            return Err(self.refuse(Violation::UnknownPath, 404, "Resource not found"));
        }
        if let Some(denial) = self.denied.get(&operation.action()) {
            return Err(forbidden(operation.action(), *denial));
        }
        if name.is_empty() || name.len() > 127 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(self.refuse(Violation::UnknownPath, 400, "The request URI contains an invalid name"));
        }
        let deleted = self.secrets.get(name).is_some_and(|secret| secret.deleted);
        let host = &request.host;
        match operation {
            Operation::Set if deleted => Err(conflict(name)),
            Operation::Set => {
                let Ok(body) = serde_json::from_slice::<SetBody>(&request.body) else {
                    return Err(self.refuse(Violation::Body, 400, "Parameter 'value' is not valid"));
                };
                if too_large(Some(&body.value), body.content_type.as_ref(), Some(&body.tags)) {
                    return Err(self.refuse(Violation::TooLarge, 400, "The size of a property is invalid"));
                }
                Ok(self.add(now, name, body).bundle(host, name, true))
            }
            Operation::Recover => match self.secrets.get_mut(name).filter(|secret| secret.deleted) {
                Some(secret) => {
                    secret.deleted = false;
                    Ok(json!({ "id": format!("https://{host}/secrets/{name}"), "attributes": { "enabled": true } }))
                }
                None => Err(not_found(name, None)),
            },
            Operation::GetDeleted if deleted => Ok(deleted_bundle(host, name)),
            Operation::GetDeleted | Operation::Other => Err(not_found(name, version)),
            Operation::Get | Operation::GetLatest => {
                let found = self.secrets.get_mut(name).filter(|_| !deleted).and_then(|secret| secret.version(version));
                match found {
                    Some(found) if found.enabled => Ok(found.bundle(host, name, true)),
                    Some(_) => {
                        let text = "Operation get is not allowed on a disabled secret.";
                        Err(json_reply(403, error_body("Forbidden", text, Some("SecretDisabled"))))
                    }
                    None => Err(not_found(name, version)),
                }
            }
            Operation::Update => self.update(now, request, name, version, deleted),
            Operation::Delete => match self.secrets.get_mut(name).filter(|secret| !secret.deleted) {
                Some(secret) => {
                    secret.deleted = true;
                    Ok(deleted_bundle(host, name))
                }
                None => Err(not_found(name, None)),
            },
            Operation::ListVersions => self.list(request, name, deleted),
        }
    }

    fn update(&mut self, now: Timestamp, request: &Request, name: &str, version: Option<&str>, deleted: bool) -> Result<Value, Reply> {
        let Ok(body) = serde_json::from_slice::<UpdateBody>(&request.body) else {
            return Err(self.refuse(Violation::Body, 400, "The request body is not valid"));
        };
        if too_large(None, body.content_type.as_ref(), body.tags.as_ref()) {
            return Err(self.refuse(Violation::TooLarge, 400, "The size of a property is invalid"));
        }
        let found = self.secrets.get_mut(name).filter(|_| !deleted).and_then(|secret| secret.version(version));
        let found = found.ok_or_else(|| not_found(name, version))?;
        found.updated = now;
        if body.content_type.is_some() {
            found.content_type = body.content_type;
        }
        found.tags = body.tags.unwrap_or_else(|| std::mem::take(&mut found.tags));
        found.enabled = body.attributes.enabled.unwrap_or(found.enabled);
        Ok(found.bundle(&request.host, name, false))
    }

    /// By version id, so in no order that means anything.
    fn list(&mut self, request: &Request, name: &str, deleted: bool) -> Result<Value, Reply> {
        let size = match request.parameter("maxresults").map(str::parse::<usize>) {
            None => MOST_PAGE,
            Some(Ok(size @ 1..=MOST_PAGE)) => size,
            Some(_) => return Err(self.refuse(Violation::PageSize, 400, "Parameter 'maxresults' must be between 1 and 25")),
        };
        let Some(secret) = self.secrets.get(name).filter(|_| !deleted) else {
            return if self.unknown_name_is_404 { Err(not_found(name, None)) } else { Ok(json!({ "value": [], "nextLink": null })) };
        };
        let from = request.parameter("$skiptoken").unwrap_or_default().to_owned();
        let after = secret.by_id.range((Bound::Excluded(from), Bound::Unbounded));
        let mut page: Vec<&Version> = after.map(|(_, &at)| &secret.versions[at]).take(size + 1).collect();
        let more = page.len() > size;
        page.truncate(size);
        let next = page.last().filter(|_| more).map(|last| {
            let api_version = request.parameter("api-version").unwrap_or_default();
            format!("https://{}:443/secrets/{name}/versions?api-version={api_version}&$skiptoken={}&maxresults={size}", request.host, last.id)
        });
        let lines: Vec<Value> = page.into_iter().map(|version| version.bundle(&request.host, name, false)).collect();
        Ok(json!({ "value": lines, "nextLink": next }))
    }

    fn add(&mut self, now: Timestamp, name: &str, body: SetBody) -> Version {
        self.made += 1;
        let digest: [u8; 32] = Sha256::digest(format!("{name} {}", self.made)).into();
        let id = format!("{:032x}", digest[..16].iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte)));
        let SetBody { value, content_type, tags, attributes } = body;
        let version = Version { id, value, content_type, tags, enabled: attributes.enabled.unwrap_or(true), created: now, updated: now };
        self.secrets.entry(name.to_owned()).or_default().add(version.clone());
        version
    }

    fn refuse(&mut self, violation: Violation, status: u16, message: &str) -> Reply {
        self.violations.push(violation);
        json_reply(status, error_body("BadParameter", message, None))
    }
}

fn too_large(value: Option<&String>, content_type: Option<&String>, tags: Option<&BTreeMap<String, String>>) -> bool {
    value.is_some_and(|value| value.len() > MOST_VALUE)
        || content_type.is_some_and(|it| it.len() > 255)
        || tags.is_some_and(|tags| tags.len() > 15 || tags.iter().any(|(name, value)| name.len() > 256 || value.len() > 256))
}

fn deleted_bundle(host: &str, name: &str) -> Value {
    json!({
        "recoveryId": format!("https://{host}/deletedsecrets/{name}"),
        "deletedDate": 1_800_000_000,
        "scheduledPurgeDate": 1_807_776_000,
        "id": format!("https://{host}/secrets/{name}"),
        "attributes": { "enabled": true, "recoveryLevel": "Recoverable+Purgeable" },
    })
}

fn challenge(presented: bool, resource: &str) -> Reply {
    let header = format!(r#"Bearer authorization="https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000", resource="{resource}""#);
    let text = if presented {
        "AKV10046: Unable to resolve the key used for signature validation."
    } else {
        "AKV10000: Request is missing a Bearer or PoP token."
    };
    let body = error_body("Unauthorized", text, None);
    Reply::new(401, &[("WWW-Authenticate", &header), ("Content-Type", "application/json; charset=utf-8")], body)
}

fn forbidden(action: Action, denial: Denial) -> Reply {
    let text = match denial {
        Denial::Firewall => "Client address is not authorized and caller is not a trusted service.".to_owned(),
        Denial::Rbac | Denial::AccessPolicy => {
            let action = action.name();
            format!("Caller is not authorized to perform action on resource.\r\nAction: 'Microsoft.KeyVault/vaults/secrets/{action}'\r\nSIMULATED")
        }
    };
    json_reply(403, error_body("Forbidden", &text, Some(denial.code())))
}

fn not_found(name: &str, version: Option<&str>) -> Reply {
    let id = version.map(|it| format!("/{it}")).unwrap_or_default();
    json_reply(404, error_body("SecretNotFound", &format!("A secret with (name/id) {name}{id} was not found in this key vault."), None))
}

fn conflict(name: &str) -> Reply {
    let text = format!("Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused.");
    json_reply(409, error_body("Conflict", &text, Some("ObjectIsDeletedButRecoverable")))
}

pub(super) fn error_body(code: &str, message: &str, inner: Option<&str>) -> String {
    let mut error = json!({ "code": code, "message": message });
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    json!({ "error": error }).to_string()
}

fn json_reply(status: u16, body: String) -> Reply {
    Reply::new(status, &[("Content-Type", "application/json; charset=utf-8")], body)
}
