//! An identity's tokens: which are asked for, and what becomes of those that the service refuses.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::base64;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::Transport;
use azure_core::time::OffsetDateTime;
use exact_token_broker::azure::identity::Credentials;
use exact_token_broker::azure::{Access, BlobLedger, StorageSettings};
use exact_token_broker::http;
use exact_token_broker::ports::{LedgerError, LedgerStore, LockError, WriteError};
use exact_token_broker::token::Ledger;
use serde_json::json;

use crate::azurite::{Azurite, VAULT, clock, held};
use crate::ledger_contract::{first_ledger, owner};
use crate::wire::Wire;

/// The platform: its tokens are such as Azurite's basic mode looks at, at issuer, audience and times and not at the signature.
#[derive(Debug, Default)]
pub(crate) struct MadeUpIdentity {
    given: Mutex<Vec<String>>,
    /// Gives its last token again, whatever became of it.
    stubborn: AtomicBool,
    made: AtomicUsize,
}

impl MadeUpIdentity {
    /// What makes credentials on it.
    pub(crate) fn credentials(self: &Arc<Self>) -> Credentials {
        let platform = Arc::clone(self);
        Arc::new(move || {
            platform.made.fetch_add(1, Ordering::SeqCst);
            Ok(Arc::new(Cached { platform: Arc::clone(&platform), token: Mutex::default() }))
        })
    }

    /// How many tokens it has given, and to how many credentials.
    pub(crate) fn given_and_made(&self) -> (usize, usize) {
        (self.given.lock().unwrap().len(), self.made.load(Ordering::SeqCst))
    }

    fn give(&self) -> String {
        let mut given = self.given.lock().unwrap();
        if let (Some(last), true) = (given.last(), self.stubborn.load(Ordering::SeqCst)) {
            return last.clone();
        }
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let part = |value: serde_json::Value| base64::encode_url_safe(value.to_string()).trim_end_matches('=').to_owned();
        let payload = json!({
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + 3600,
        });
        let token = format!("{}.{}.made-up-{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(payload), given.len());
        given.push(token.clone());
        token
    }
}

/// A credential as those of the official crate are: it knows its token until shortly before its end.
#[derive(Debug)]
struct Cached {
    platform: Arc<MadeUpIdentity>,
    token: Mutex<Option<String>>,
}

#[async_trait]
impl TokenCredential for Cached {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://storage.azure.com/.default"]);
        let token = self.token.lock().unwrap().get_or_insert_with(|| self.platform.give()).clone();
        Ok(AccessToken::new(token, OffsetDateTime::now_utc() + Duration::from_hours(1)))
    }
}

/// A blob service over TLS that looks at tokens.
pub(crate) struct Tls {
    pub(crate) azurite: Azurite,
    /// Trusts its certificate alone.
    pub(crate) trusting: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Tls {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        fs::write(&cert, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let files = [cert.to_str().unwrap(), key.to_str().unwrap()];
        let azurite = Azurite::start_with(&["--blobPort", "0", "--oauth", "basic", "--cert", files[0], "--key", files[1]]);
        let certificate = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
        let trusting = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy().build().unwrap();
        Self { azurite, trusting, _folder: folder }
    }

    pub(crate) fn settings(&self) -> StorageSettings {
        StorageSettings { endpoint: self.azurite.endpoint.clone(), access: Access::Identity { client_id: None } }
    }

    fn ledger(&self, identity: &Arc<MadeUpIdentity>) -> (BlobLedger, Arc<Wire>) {
        let wire = Arc::new(Wire::to(self.trusting.clone()));
        let transport = Transport::new(Arc::clone(&wire) as _);
        (BlobLedger::new(&self.settings(), Some(identity.credentials()), &transport, clock(), VAULT, "made-up").unwrap(), wire)
    }
}

fn revoke_all(identity: &MadeUpIdentity, wire: &Wire) {
    wire.revoke(&identity.given.lock().unwrap());
}

fn generation(generation: u64) -> Ledger {
    Ledger { generation, ..first_ledger() }
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_sends_nothing() {
    let tls = Tls::start();
    let identity = Arc::new(MadeUpIdentity::default());
    let wary = Transport::new(Arc::new(http::azure_client(tls.azurite.endpoint.as_str()).unwrap()));
    let ledger = BlobLedger::new(&tls.settings(), Some(identity.credentials()), &wary, clock(), VAULT, "made-up").unwrap();
    let Err(LedgerError::Unavailable(text)) = ledger.read().await else { panic!() };
    assert!(text.contains("no connection"), "{text}");
}

/// The token is refused long before its end, and the credential would give it again: so it is thrown away with all that holds it.
#[tokio::test]
async fn a_revoked_token_costs_one_request_more() {
    let tls = Tls::start();
    let identity = Arc::new(MadeUpIdentity::default());
    let (ledger, wire) = tls.ledger(&identity);
    let (me, mut etag) = held(&ledger).await;
    assert_eq!(identity.given_and_made(), (1, 1), "three clients and one token");

    wire.take();
    revoke_all(&identity, &wire);
    assert_eq!(ledger.read().await.unwrap().unwrap().ledger, first_ledger());
    assert_eq!(wire.take(), ["GET blob", "GET blob"]);
    assert_eq!(identity.given_and_made(), (2, 2));

    // The other clients were made anew as well: nothing is refused any more.
    etag = ledger.write(&me, &generation(2), Some(&etag)).await.unwrap();
    ledger.renew(&me).await.unwrap();
    assert_eq!(wire.take(), ["PUT blob", "PUT lease renew"]);
    assert_eq!(identity.given_and_made(), (2, 2));

    // A write that was refused so was not carried out, so that this is no second try of one.
    revoke_all(&identity, &wire);
    ledger.write(&me, &generation(3), Some(&etag)).await.unwrap();
    assert_eq!(wire.take(), ["PUT blob", "PUT blob"]);
    revoke_all(&identity, &wire);
    ledger.renew(&me).await.unwrap();
    assert_eq!(wire.take(), ["PUT lease renew", "PUT lease renew"]);
    assert_eq!(identity.given_and_made(), (4, 4));
}

#[tokio::test]
async fn a_second_refusal_is_said_and_nothing_is_tried_a_third_time() {
    let tls = Tls::start();
    let identity = Arc::new(MadeUpIdentity::default());
    let (ledger, wire) = tls.ledger(&identity);
    let (me, etag) = held(&ledger).await;
    wire.take();
    identity.stubborn.store(true, Ordering::SeqCst);
    revoke_all(&identity, &wire);

    let Err(LedgerError::Unavailable(read)) = ledger.read().await else { panic!() };
    assert_eq!(wire.take(), ["GET blob"; 2]);
    let Err(LockError::Unavailable(locked)) = ledger.lock(&owner()).await else { panic!() };
    assert_eq!(wire.take(), ["PUT lease acquire 60"; 2]);
    let Err(LockError::Unavailable(renewed)) = ledger.renew(&me).await else { panic!() };
    assert_eq!(wire.take(), ["PUT lease renew"; 2]);
    let Err(WriteError::NotWritable(written)) = ledger.write(&me, &generation(2), Some(&etag)).await else { panic!() };
    assert_eq!(wire.take(), ["PUT blob"; 2]);
    for text in [read, locked, renewed, written] {
        assert!(text.contains("status 401") && text.contains("its identity has the role Storage Blob Data Owner"), "{text}");
        assert!(!text.contains("made-up-0"), "the token is not repeated");
    }
    assert_eq!(identity.given_and_made(), (1, 5), "each call asked the platform once more");

    // When the platform gives another one, all is well.
    identity.stubborn.store(false, Ordering::SeqCst);
    ledger.write(&me, &generation(2), Some(&etag)).await.unwrap();
    assert_eq!(ledger.read().await.unwrap().unwrap().ledger, generation(2));
}

#[tokio::test]
async fn of_many_who_are_refused_at_once_one_makes_the_new_clients() {
    let tls = Tls::start();
    let identity = Arc::new(MadeUpIdentity::default());
    let (ledger, wire) = tls.ledger(&identity);
    ledger.lock(&owner()).await.unwrap();
    ledger.read().await.unwrap();
    revoke_all(&identity, &wire);
    let ledger = Arc::new(ledger);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let ledger = Arc::clone(&ledger);
        readers.spawn(async move { ledger.read().await });
    }
    for read in readers.join_all().await {
        assert!(read.unwrap().is_none(), "there is a blob, and it is empty");
    }
    assert_eq!(identity.given_and_made(), (2, 2));
}
