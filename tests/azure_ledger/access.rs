//! Every way to open the app's storage.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::base64;
use azure_core::http::Transport;
use exact_token_broker::azure::{Access, BlobLedger, StorageSettings};
use exact_token_broker::clock::SystemClock;
use exact_token_broker::http;
use exact_token_broker::ports::{Clock, LedgerError, LedgerStore, LockError};
use exact_token_broker::token::Ledger;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use crate::azurite::{ACCOUNT, Azurite, KEY, VAULT, clock, ledger, settings, wrong_key};
use crate::identity::{MadeUpIdentity, Tls};
use crate::ledger_contract::{first_ledger, owner};
use crate::wire::Wire;

/// One of everything.
async fn works(ledger: &dyn LedgerStore) {
    let me = owner();
    ledger.lock(&me).await.unwrap();
    let etag = ledger.write(&me, &first_ledger(), None).await.unwrap();
    ledger.renew(&me).await.unwrap();
    ledger.write(&me, &Ledger { generation: 2, ..first_ledger() }, Some(&etag)).await.unwrap();
    assert_eq!(ledger.read().await.unwrap().unwrap().ledger.generation, 2);
    ledger.unlock(&me).await;
    ledger.lock(&owner()).await.unwrap();
}

fn wire(settings: &StorageSettings) -> Arc<Wire> {
    Arc::new(Wire::to(http::azure_client(settings.endpoint.as_str()).unwrap()))
}

/// The emulator's own port, at a loopback address that nobody else listens on.
#[tokio::test]
async fn development_storage() {
    let pid = std::process::id();
    let host = format!("127.77.{}.{}", pid / 250 % 250 + 1, pid % 250 + 1);
    let _azurite = Azurite::start_with(&["--blobHost", &host, "--blobPort", "10000"]);
    let settings = settings(&format!("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://{host}"));
    works(&ledger(&settings, &wire(&settings), clock(), "made-up")).await;
}

#[tokio::test]
async fn a_wrong_account_key_is_said_without_it() {
    let azurite = Azurite::start();
    let settings = StorageSettings { access: Access::AccountKey(wrong_key()), ..azurite.settings() };
    let ledger = ledger(&settings, &wire(&settings), clock(), "made-up");
    let Err(LedgerError::Unavailable(text)) = ledger.read().await else { panic!() };
    assert!(text.contains("status 403 ") && text.contains("check the network rules of the storage account, and the key"), "{text}");
    assert!(matches!(ledger.lock(&owner()).await, Err(LockError::Unavailable(_))));
}

/// By the page "Create an account SAS": blob service, containers and objects.
fn account_signature(expiry: &str) -> String {
    let (version, permissions) = ("2020-10-02", "rwdlacup");
    let text = format!("{ACCOUNT}\n{permissions}\nb\nco\n\n{expiry}\n\n\n{version}\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(&base64::decode(KEY).unwrap()).unwrap();
    mac.update(text.as_bytes());
    let signature: String = form_urlencoded::byte_serialize(base64::encode(mac.finalize().into_bytes()).as_bytes()).collect();
    let expiry: String = form_urlencoded::byte_serialize(expiry.as_bytes()).collect();
    format!("sv={version}&ss=b&srt=co&sp={permissions}&se={expiry}&sig={signature}")
}

#[tokio::test]
async fn a_shared_access_signature_opens_and_is_not_shown() {
    let azurite = Azurite::start();
    let connect = |signature: &str| settings(&format!("BlobEndpoint={};SharedAccessSignature={signature}", azurite.endpoint));
    let good = connect(&account_signature("2199-01-01T00:00:00Z"));
    works(&ledger(&good, &wire(&good), clock(), "made-up")).await;

    let over = connect(&account_signature("2020-01-01T00:00:00Z"));
    let ledger = ledger(&over, &wire(&over), clock(), "made-up");
    let Err(LedgerError::Unavailable(text)) = ledger.read().await else { panic!() };
    assert!(text.contains("status 403 "), "{text}");
    assert!(!text.contains("sig=") && !text.contains("sv="), "{text}");
}

#[tokio::test]
async fn an_identity_over_https() {
    let tls = Tls::start();
    assert_eq!(tls.azurite.endpoint.scheme(), "https");
    let identity = Arc::new(MadeUpIdentity::default());
    let transport = Transport::new(Arc::new(tls.trusting.clone()));
    works(&BlobLedger::new(&tls.settings(), Some(identity.credentials()), &transport, clock(), VAULT, "made-up").unwrap()).await;
    assert_eq!(identity.given_and_made(), (1, 1));
}

#[test]
fn an_identity_is_asked_for_where_it_is_needed() {
    let at = |endpoint: &str| StorageSettings { endpoint: endpoint.parse().unwrap(), access: Access::Identity { client_id: None } };
    let make = |settings: &StorageSettings, identity| {
        BlobLedger::new(
            settings,
            identity,
            &Transport::new(Arc::new(http::azure_client(settings.endpoint.as_str()).unwrap())),
            clock(),
            VAULT,
            "made-up",
        )
    };
    let identity = || Some(Arc::new(MadeUpIdentity::default()).credentials());
    assert!(make(&at("https://made1up.blob.core.windows.net"), None).is_err());
    assert!(make(&at("http://made1up.blob.core.windows.net"), identity()).unwrap_err().contains("https"));
    assert!(make(&at("https://made1up.blob.core.windows.net"), identity()).is_ok());
}

struct ClockOff(SystemClock, SignedDuration);

#[async_trait]
impl Clock for ClockOff {
    fn now(&self) -> Timestamp {
        self.0.now() + self.1
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

/// All processes agree on the time, whatever their machines' clocks say.
#[tokio::test]
async fn storage_time_is_that_of_the_service() {
    let azurite = Azurite::start();
    for (number, off) in [-3600, -2, 0, 2, 3600, 86_400].into_iter().enumerate() {
        let off = SignedDuration::from_secs(off);
        let settings = azurite.settings();
        let clock: Arc<dyn Clock> = Arc::new(ClockOff(SystemClock::new(), off));
        let ledger = ledger(&settings, &wire(&settings), Arc::clone(&clock), &format!("made-up-{number}"));
        let error = |ledger: &BlobLedger| ledger.now().duration_since(clock.now() - off).as_secs_f64();
        assert!((error(&ledger) - off.as_secs_f64()).abs() < 0.1, "before the first reply: the local clock");
        // A signature that looks old is refused once; the refusal says what time it is.
        let _ = ledger.read().await;
        assert!(error(&ledger).abs() < 1.5, "{off:#}: {}", error(&ledger));
        works(&ledger).await;
        for _ in 0..15 {
            tokio::time::sleep(Duration::from_millis(130)).await;
            ledger.read().await.unwrap();
        }
        println!("measured: a clock that is {off:#} off is corrected to within {:.3} s", error(&ledger));
        assert!(error(&ledger).abs() < 0.5, "{off:#}: {}", error(&ledger));
    }
}
