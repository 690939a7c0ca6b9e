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
use azure_core::credentials::TokenCredential;
use azure_core::http::policies::Policy;
use azure_core::http::{ClientOptions, RequestContent, RetryOptions, Transport, Url};
use azure_storage_blob::models::{
    BlobClientAcquireLeaseOptions, BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders, BlockBlobClientUploadOptions, HttpRange,
};
use azure_storage_blob::{BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions};
use jiff::Timestamp;
use tracing::{debug, warn};

use super::bounded_credential::BoundedCredential;
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
    /// Tries again what may be tried again.
    reading: BlobClient,
    /// Sends once. A second, identical client: the crate has no retry setting per call.
    writing: BlobClient,
    /// Sends once.
    container: BlobContainerClient,
    clock: Arc<StorageClock>,
    /// The blob as it was when it was last seen empty: that is what a first ledger is written over.
    empty: Mutex<Option<Etag>>,
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
        identity: Option<Arc<dyn TokenCredential>>,
        transport: &Transport,
        clock: Arc<dyn Clock>,
        vault_host: &str,
        secret_name: &str,
    ) -> Result<Self, String> {
        let clock = Arc::new(StorageClock::new(clock));
        let mut policies: Vec<Arc<dyn Policy>> = vec![Arc::clone(&clock) as Arc<dyn Policy>];
        let mut credential: Option<Arc<dyn TokenCredential>> = None;
        let mut signature = None;
        match &settings.access {
            Access::AccountKey(key) => {
                let clock = Arc::clone(&clock);
                policies.push(Arc::new(SharedKey::new(key.clone(), move || clock.now())));
            }
            Access::SharedAccessSignature(query) => signature = Some(query.reveal()),
            Access::Identity { .. } => {
                let identity = identity.ok_or("the app's storage is to be opened with an identity, and there is none")?;
                credential = Some(Arc::new(BoundedCredential(identity)));
            }
        }
        let options =
            |retry| ClientOptions { per_try_policies: policies.clone(), retry, transport: Some(transport.clone()), ..ClientOptions::default() };
        let reads = RetryOptions::custom(Arc::new(ReadRetry));
        let writes = RetryOptions::none();

        let name = format!("{}.json", secret_name.to_ascii_lowercase());
        let container = below(&settings.endpoint, &[CONTAINER]);
        let blob = below(&container, &[&vault_host.to_ascii_lowercase(), &name]);
        let place = blob.to_string();
        let with_signature = |mut url: Url| {
            url.set_query(signature);
            url
        };
        let client = |retry| {
            let options = BlobClientOptions { client_options: options(retry), ..BlobClientOptions::default() };
            BlobClient::new(with_signature(blob.clone()), credential.clone(), Some(options))
        };
        let container_options = BlobContainerClientOptions { client_options: options(writes.clone()), ..BlobContainerClientOptions::default() };
        let refused = |_| "the address of the app's storage cannot be used: an identity needs https".to_owned();
        Ok(Self {
            reading: client(reads).map_err(refused)?,
            writing: client(writes).map_err(refused)?,
            container: BlobContainerClient::new(with_signature(container), credential.clone(), Some(container_options)).map_err(refused)?,
            place,
            clock,
            empty: Mutex::default(),
        })
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

    async fn acquire(&self, owner: &LockOwner) -> Result<(), StorageError> {
        let options = BlobClientAcquireLeaseOptions { proposed_lease_id: Some(owner.0.clone()), ..BlobClientAcquireLeaseOptions::default() };
        self.writing.acquire_lease(LEASE_SECONDS, Some(options)).await?;
        Ok(())
    }

    /// The blob as it is made: empty. Somebody else may be quicker, which is as good.
    async fn create(&self) -> Result<(), StorageError> {
        match self.create_blob().await {
            Err(error) if error.is(404, &["ContainerNotFound"]) => {}
            other => return other,
        }
        match self.container.create(None).await.map_err(StorageError::from) {
            Err(error) if !error.is(409, &["ContainerAlreadyExists"]) => return Err(error),
            Ok(_) | Err(_) => {}
        }
        self.create_blob().await
    }

    async fn create_blob(&self) -> Result<(), StorageError> {
        let options =
            BlockBlobClientUploadOptions { blob_content_type: Some("application/json".to_owned()), ..BlockBlobClientUploadOptions::default() };
        match self.writing.upload(RequestContent::from(Vec::new()), Some(options.if_not_exists())).await.map_err(StorageError::from) {
            Ok(made) => {
                self.set_empty(made.etag.map(|etag| Etag(etag.to_string())));
                Ok(())
            }
            Err(error) if error.is(409, &["BlobAlreadyExists"]) || matches!(error, StorageError::Answered { status: 412, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The body and what names it; None if there is no blob.
    async fn download(&self) -> Result<Option<(Bytes, Etag)>, StorageError> {
        // One part of one byte more than is believed: whatever is there, it is read in one request, and body and ETag belong together.
        let part = std::num::NonZero::new(LARGEST + 1);
        let options =
            BlobClientDownloadOptions { range: Some(HttpRange::from(0..LARGEST + 1)), partition_size: part, ..BlobClientDownloadOptions::default() };
        let found = match self.reading.download(Some(options)).await.map_err(StorageError::from) {
            Ok(found) => found,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error),
        };
        let etag = found.properties.etag.ok_or(StorageError::NoReply)?;
        Ok(Some((found.body.collect().await?, Etag(etag.to_string()))))
    }

    /// What a first ledger is to be written over.
    async fn etag_of_empty(&self) -> Result<Etag, WriteError> {
        if let Some(etag) = self.empty() {
            return Ok(etag);
        }
        let not_writable = |error: &StorageError| WriteError::NotWritable(self.explain(error));
        let found = match self.reading.get_properties(None).await.map_err(StorageError::from) {
            Ok(found) => found,
            Err(StorageError::Answered { status: 404, .. }) => return Err(WriteError::Conflict),
            Err(error) => return Err(not_writable(&error)),
        };
        match (found.content_length(), found.etag()) {
            (Ok(Some(0)), Ok(Some(etag))) => Ok(Etag(etag.to_string())),
            (Ok(Some(_)), _) => Err(WriteError::Conflict),
            _ => Err(not_writable(&StorageError::NoReply)),
        }
    }

    async fn upload(&self, owner: &LockOwner, ledger: &Ledger, over: &Etag) -> Result<Etag, StorageError> {
        let options = BlockBlobClientUploadOptions {
            lease_id: Some(owner.0.clone()),
            if_match: Some(over.0.clone().into()),
            blob_content_type: Some("application/json".to_owned()),
            ..BlockBlobClientUploadOptions::default()
        };
        let written = self.writing.upload(RequestContent::from(ledger_to_json(ledger).into_bytes()), Some(options)).await?;
        written.etag.map(|etag| Etag(etag.to_string())).ok_or(StorageError::NoReply)
    }
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
        let found = within(self.download()).await.map_err(|error| LedgerError::Unavailable(self.explain(&error)))?;
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
        let take = async {
            match self.acquire(owner).await {
                Err(error) if error.is_missing() => {}
                other => return other,
            }
            self.create().await?;
            self.acquire(owner).await
        };
        within(take).await.map_err(|error| match error {
            error if error.is(409, &["LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"]) => LockError::Held,
            error => LockError::Unavailable(self.explain(&error)),
        })
    }

    async fn renew(&self, owner: &LockOwner) -> Result<(), LockError> {
        let renew = async { Ok(self.writing.renew_lease(owner.0.clone(), None).await.map(drop)?) };
        within(renew).await.map_err(|error| match error {
            // A lease of a blob that is gone is gone.
            error if error.is_missing() => LockError::Held,
            error if error.is(409, LEASE_LOST) => LockError::Held,
            error => LockError::Unavailable(self.explain(&error)),
        })
    }

    async fn unlock(&self, owner: &LockOwner) {
        let release = async { Ok(self.writing.release_lease(owner.0.clone(), None).await.map(drop)?) };
        if let Err(error) = within(release).await {
            debug!(problem = %error, "the lock was not given back; it ends by itself");
        }
    }

    async fn write(&self, owner: &LockOwner, ledger: &Ledger, over: Option<&Etag>) -> Result<Etag, WriteError> {
        let over = match over {
            Some(etag) => etag.clone(),
            None => within_or(self.etag_of_empty(), || WriteError::NotWritable(self.explain(&StorageError::NoReply))).await?,
        };
        match within(self.upload(owner, ledger, &over)).await {
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

async fn within<T>(call: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
    within_or(call, || StorageError::NoReply).await
}

async fn within_or<T, E>(call: impl Future<Output = Result<T, E>>, late: impl FnOnce() -> E) -> Result<T, E> {
    tokio::time::timeout(CALL_WITHIN, call).await.unwrap_or_else(|_| Err(late()))
}

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
