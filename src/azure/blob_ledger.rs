//! The ledger's port on one blob: its body is the ledger, its lease the lock, its `ETag` names the state.
//!
//! The blob is made when the lock is first taken, and is empty until the first ledger is written: an empty blob is no ledger. It is written only
//! with the lease's id and `If-Match` together, so neither a holder that lost its lease nor one that read too early can write.
//!
//! Source of the codes below: Microsoft Learn, "Lease Blob" and "Blob Storage error codes".

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::Bytes;
use azure_core::http::policies::Policy;
use azure_core::http::{ClientOptions, RequestContent, RetryOptions, Transport, Url};
use azure_storage_blob::models::{
    BlobClientAcquireLeaseOptions, BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders, BlockBlobClientUploadOptions, HttpRange,
};
use azure_storage_blob::{BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions};
use jiff::Timestamp;
use tracing::{debug, warn};

use super::identity::Credentials;
use super::read_retry::ReadRetry;
use super::shared_key::SharedKey;
use super::storage::{Access, StorageSettings};
use super::storage_clock::StorageClock;
use super::storage_error::StorageError;
use crate::ports::{Clock, Etag, LedgerError, LedgerStore, LockError, LockOwner, Snapshot, WriteError};
use crate::stored::{ledger_from_json, ledger_to_json};
use crate::token::{Fingerprint, Ledger, LockId};

/// Holds the ledger of every secret that is kept with this storage account.
pub const CONTAINER: &str = "exact-token-broker";

/// What the port promises; the service allows 15 to 60.
const LEASE_SECONDS: i32 = 60;
/// The longest that one call of the port may take, all its requests together: less than the 30 s after which the pass gives it up, so that what is
/// reported is what is known here.
const CALL_WITHIN: Duration = Duration::from_secs(25);
/// A ledger has some KiB. More is not read: it is not ours.
const LARGEST: usize = 1 << 20;

/// One blob.
pub struct BlobLedger {
    /// The blob's URL without query: for texts, and to be hashed.
    place: String,
    connect: Connect,
    clients: Mutex<Arc<Clients>>,
    clock: Arc<StorageClock>,
    /// The blob as it was when it was last seen empty: that is what a first ledger is written over.
    empty: Mutex<Option<Etag>>,
}

/// What all requests go through.
struct Clients {
    /// Tries again what may be tried again.
    reading: BlobClient,
    /// Sends once. A second, identical client: the crate has no retry setting per call.
    writing: BlobClient,
    /// Sends once.
    container: BlobContainerClient,
}

/// What clients are made of.
struct Connect {
    blob: Url,
    container: Url,
    credentials: Option<Credentials>,
    policies: Vec<Arc<dyn Policy>>,
    transport: Transport,
}

impl Connect {
    /// Clients that know no token yet.
    fn clients(&self) -> Result<Clients, String> {
        let credential = self.credentials.as_ref().map(|make| make()).transpose().map_err(|problem| problem.to_string())?;
        let options = |retry| ClientOptions {
            per_try_policies: self.policies.clone(),
            retry,
            transport: Some(self.transport.clone()),
            ..ClientOptions::default()
        };
        let refused = |_| "the address of the app's storage cannot be used: an identity needs https".to_owned();
        let blob = |retry| {
            let options = BlobClientOptions { client_options: options(retry), ..BlobClientOptions::default() };
            BlobClient::new(self.blob.clone(), credential.clone(), Some(options)).map_err(refused)
        };
        let container_options = BlobContainerClientOptions { client_options: options(RetryOptions::none()), ..BlobContainerClientOptions::default() };
        Ok(Clients {
            reading: blob(RetryOptions::custom(Arc::new(ReadRetry)))?,
            writing: blob(RetryOptions::none())?,
            container: BlobContainerClient::new(self.container.clone(), credential.clone(), Some(container_options)).map_err(refused)?,
        })
    }
}

impl BlobLedger {
    /// The ledger of the secret `secret_name` of the vault at `vault_host` (both without regard to case, as Key Vault has it). Nothing is sent yet.
    ///
    /// `identity` is needed for [`Access::Identity`] alone. `transport` must bound each exchange and follow no redirect, as
    /// [`http::azure_client`](crate::http::azure_client) does.
    ///
    /// # Errors
    ///
    /// A sentence for the operator, without any value.
    pub fn new(
        settings: &StorageSettings,
        identity: Option<Credentials>,
        transport: &Transport,
        clock: Arc<dyn Clock>,
        vault_host: &str,
        secret_name: &str,
    ) -> Result<Self, String> {
        let clock = Arc::new(StorageClock::new(clock));
        let mut policies: Vec<Arc<dyn Policy>> = vec![Arc::clone(&clock) as Arc<dyn Policy>];
        let mut credentials = None;
        let mut signature = None;
        match &settings.access {
            Access::AccountKey(key) => {
                let clock = Arc::clone(&clock);
                policies.push(Arc::new(SharedKey::new(key.clone(), move || clock.now())));
            }
            Access::SharedAccessSignature(query) => signature = Some(query.reveal()),
            Access::Identity { .. } => {
                credentials = Some(identity.ok_or("the app's storage is to be opened with an identity, and there is none")?);
            }
        }
        let name = format!("{}.json", secret_name.to_ascii_lowercase());
        let mut container = below(&settings.endpoint, &[CONTAINER]);
        let mut blob = below(&container, &[&vault_host.to_ascii_lowercase(), &name]);
        let place = blob.to_string();
        container.set_query(signature);
        blob.set_query(signature);
        let connect = Connect { blob, container, credentials, policies, transport: transport.clone() };
        let clients = Mutex::new(Arc::new(connect.clients()?));
        Ok(Self { place, connect, clients, clock, empty: Mutex::default() })
    }

    /// One call of the port: bounded, and made once more with a new token if the service refused the one it was made with.
    async fn call<T, F>(&self, what: impl Fn(Arc<Clients>) -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let calling = async {
            let clients = self.clients();
            match what(Arc::clone(&clients)).await {
                // Refused before anything was done, so that this is no second try of a write.
                Err(error) if error.token_refused() && self.connect.credentials.is_some() => match self.afresh(&clients) {
                    Some(afresh) => what(afresh).await,
                    None => Err(error),
                },
                result => result,
            }
        };
        tokio::time::timeout(CALL_WITHIN, calling).await.unwrap_or(Err(StorageError::NoReply))
    }

    fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Clients that know no token, in place of those that were `refused`. Of several callers who were refused at once, the first makes them.
    fn afresh(&self, refused: &Arc<Clients>) -> Option<Arc<Clients>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&clients, refused) {
            warn!("the blob service refused the identity's token; another one is asked for");
            *clients = Arc::new(self.connect.clients().ok()?);
        }
        Some(Arc::clone(&clients))
    }

    /// Where the ledger is: for `status` and for texts. Without any signature.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    fn explain(&self, error: &StorageError) -> String {
        format!("{}: {error}", self.place)
    }

    fn empty(&self) -> Option<Etag> {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_empty(&self, etag: Option<Etag>) {
        *self.empty.lock().unwrap_or_else(PoisonError::into_inner) = etag;
    }

    /// The blob as it is made: empty. Somebody else may be quicker, which is as good.
    async fn create(&self, clients: &Clients) -> Result<(), StorageError> {
        match self.create_blob(clients).await {
            Err(error) if error.is(404, &["ContainerNotFound"]) => {}
            other => return other,
        }
        match clients.container.create(None).await.map_err(StorageError::from) {
            Err(error) if !error.is(409, &["ContainerAlreadyExists"]) => return Err(error),
            Ok(_) | Err(_) => {}
        }
        self.create_blob(clients).await
    }

    async fn create_blob(&self, clients: &Clients) -> Result<(), StorageError> {
        let options =
            BlockBlobClientUploadOptions { blob_content_type: Some("application/json".to_owned()), ..BlockBlobClientUploadOptions::default() };
        match clients.writing.upload(RequestContent::from(Vec::new()), Some(options.if_not_exists())).await.map_err(StorageError::from) {
            Ok(made) => {
                self.set_empty(made.etag.map(|etag| Etag(etag.to_string())));
                Ok(())
            }
            Err(error) if error.is(409, &["BlobAlreadyExists"]) || matches!(error, StorageError::Answered { status: 412, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What a first ledger is to be written over. None: there is a ledger, or no blob.
    async fn etag_of_empty(&self) -> Result<Option<Etag>, StorageError> {
        if let Some(etag) = self.empty() {
            return Ok(Some(etag));
        }
        let properties = self.call(async |clients: Arc<Clients>| Ok(clients.reading.get_properties(None).await?)).await;
        let found = match properties {
            Ok(found) => found,
            Err(StorageError::Answered { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        match (found.content_length(), found.etag()) {
            (Ok(Some(0)), Ok(Some(etag))) => Ok(Some(Etag(etag.to_string()))),
            (Ok(Some(_)), _) => Ok(None),
            _ => Err(StorageError::NoReply),
        }
    }
}

async fn acquire(clients: &Clients, owner: &LockOwner) -> Result<(), StorageError> {
    let options = BlobClientAcquireLeaseOptions { proposed_lease_id: Some(owner.0.clone()), ..BlobClientAcquireLeaseOptions::default() };
    clients.writing.acquire_lease(LEASE_SECONDS, Some(options)).await?;
    Ok(())
}

/// The body and what names it; None if there is no blob.
async fn download(clients: &Clients) -> Result<Option<(Bytes, Etag)>, StorageError> {
    // One part of one byte more than is believed: whatever is there, it is read in one request, and body and ETag belong together.
    let part = std::num::NonZero::new(LARGEST + 1);
    let options =
        BlobClientDownloadOptions { range: Some(HttpRange::from(0..LARGEST + 1)), partition_size: part, ..BlobClientDownloadOptions::default() };
    let found = match clients.reading.download(Some(options)).await.map_err(StorageError::from) {
        Ok(found) => found,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error),
    };
    let etag = found.properties.etag.ok_or(StorageError::NoReply)?;
    Ok(Some((found.body.collect().await?, Etag(etag.to_string()))))
}

async fn upload(clients: &Clients, owner: &LockOwner, ledger: &Ledger, over: &Etag) -> Result<Etag, StorageError> {
    let options = BlockBlobClientUploadOptions {
        lease_id: Some(owner.0.clone()),
        if_match: Some(over.0.clone().into()),
        blob_content_type: Some("application/json".to_owned()),
        ..BlockBlobClientUploadOptions::default()
    };
    let written = clients.writing.upload(RequestContent::from(ledger_to_json(ledger).into_bytes()), Some(options)).await?;
    written.etag.map(|etag| Etag(etag.to_string())).ok_or(StorageError::NoReply)
}

#[async_trait]
impl LedgerStore for BlobLedger {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock_id(&self) -> LockId {
        LockId(Fingerprint::of_parts(&[&self.place]).to_string())
    }

    async fn read(&self) -> Result<Option<Snapshot>, LedgerError> {
        let found = self
            .call(async |clients: Arc<Clients>| download(&clients).await)
            .await
            .map_err(|error| LedgerError::Unavailable(self.explain(&error)))?;
        let Some((body, etag)) = found else {
            self.set_empty(None);
            return Ok(None);
        };
        if body.is_empty() {
            self.set_empty(Some(etag));
            return Ok(None);
        }
        self.set_empty(None);
        let damaged = |what: &dyn fmt::Display| {
            let place = &self.place;
            LedgerError::Damaged(format!(
                "{place}: {what}; put a good copy in its place, or delete the blob and let the ledger be rebuilt from the vault"
            ))
        };
        if body.len() > LARGEST {
            return Err(damaged(&"it is larger than 1 MiB, as no ledger of this program is"));
        }
        let text = std::str::from_utf8(&body).map_err(|_| damaged(&"it is not text"))?;
        let ledger = ledger_from_json(text).map_err(|malformed| damaged(&malformed))?;
        Ok(Some(Snapshot { ledger, etag }))
    }

    async fn lock(&self, owner: &LockOwner) -> Result<(), LockError> {
        let take = async |clients: Arc<Clients>| {
            match acquire(&clients, owner).await {
                Err(error) if error.is_missing() => {}
                other => return other,
            }
            self.create(&clients).await?;
            acquire(&clients, owner).await
        };
        self.call(take).await.map_err(|error| match error {
            error if error.is(409, &["LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"]) => LockError::Held,
            error => LockError::Unavailable(self.explain(&error)),
        })
    }

    async fn renew(&self, owner: &LockOwner) -> Result<(), LockError> {
        let renew = async |clients: Arc<Clients>| Ok(clients.writing.renew_lease(owner.0.clone(), None).await.map(drop)?);
        self.call(renew).await.map_err(|error| match error {
            // A lease of a blob that is gone is gone.
            error if error.is_missing() => LockError::Held,
            error if error.is(409, LEASE_LOST) => LockError::Held,
            error => LockError::Unavailable(self.explain(&error)),
        })
    }

    async fn unlock(&self, owner: &LockOwner) {
        let release = async |clients: Arc<Clients>| Ok(clients.writing.release_lease(owner.0.clone(), None).await.map(drop)?);
        if let Err(error) = self.call(release).await {
            debug!(problem = %error, "the lock was not given back; it ends by itself");
        }
    }

    async fn write(&self, owner: &LockOwner, ledger: &Ledger, over: Option<&Etag>) -> Result<Etag, WriteError> {
        let over = match over {
            Some(etag) => etag.clone(),
            None => match self.etag_of_empty().await {
                Ok(etag) => etag.ok_or(WriteError::Conflict)?,
                Err(error) => return Err(WriteError::NotWritable(self.explain(&error))),
            },
        };
        match self.call(async |clients: Arc<Clients>| upload(&clients, owner, ledger, &over).await).await {
            Ok(etag) => {
                self.set_empty(None);
                Ok(etag)
            }
            Err(error) if error.is_missing() || matches!(error, StorageError::Answered { status: 412, .. }) => {
                self.set_empty(None);
                Err(WriteError::Conflict)
            }
            Err(error) if error.spared() => Err(WriteError::NotWritable(self.explain(&error))),
            Err(error) => {
                self.set_empty(None);
                warn!(problem = %error, "the ledger may or may not have been written");
                Err(WriteError::Unclear)
            }
        }
    }
}

/// How a renewal is refused where the lease is another's, was broken, or is over and somebody wrote since.
const LEASE_LOST: &[&str] =
    &["LeaseIdMismatchWithLeaseOperation", "LeaseIsBrokenAndCannotBeRenewed", "LeaseNotPresentWithLeaseOperation", "LeaseLost"];

fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

impl fmt::Debug for BlobLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobLedger").field("place", &self.place).finish_non_exhaustive()
    }
}
