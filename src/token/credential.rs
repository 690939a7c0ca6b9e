//! One pair of tokens and what is known about it. Immutable: a refresh makes another credential, never changes one.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::ledger::Pointer;
use super::reply::Grant;
use super::secret::Secret;

/// How long before an access token's end Exact allows the next refresh: of 600 s of life, the last 30 (Exact's "9 minutes and 30 seconds").
pub const RENEWAL_WINDOW: SignedDuration = SignedDuration::from_secs(30);

/// How long a refresh token lives from its issue, by Exact's documentation (30 days, counted anew at each refresh).
pub const REFRESH_TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// One pair of tokens as it is stored: one version of the secret in the vault.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Good for one use.
    pub refresh_token: Secret,
    /// Absent after an import and after a reply that carried a refresh token alone.
    pub access: Option<AccessToken>,
    /// When the reply that brought it was received (storage time); for an import, when it was imported.
    pub granted_at: Timestamp,
    /// The cautious start of the time in which Exact grants the next refresh: reply received + `expires_in` − 30 s.
    pub renewable_at: Timestamp,
    /// The attempt that brought it. A version found in the vault is matched to an open attempt by this.
    pub attempt: AttemptId,
    /// A consent or an import begins an epoch; a refresh stays in it.
    pub epoch: u64,
    /// The lock under which it was got. Another lock may not send it: two locks over one chain are no lock.
    pub lock_id: LockId,
    /// Whose chain it is.
    pub chain: ChainIdentity,
}

/// The part that is handed out.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The bearer token.
    pub value: Secret,
    /// The cautious end: request sent + `expires_in`.
    pub expires_at: Timestamp,
    /// `expires_in` as Exact gave it (600 s).
    pub lifetime: SignedDuration,
}

impl Credential {
    /// The credential that a grant makes of the one that was sent. `sent` is taken before the request leaves, `received` after the reply came.
    #[must_use]
    pub fn granted(&self, grant: &Grant, attempt: AttemptId, sent: Timestamp, received: Timestamp) -> Self {
        Self {
            refresh_token: grant.refresh_token.clone(),
            access: Some(AccessToken { value: grant.access_token.clone(), expires_at: sent + grant.expires_in, lifetime: grant.expires_in }),
            granted_at: received,
            renewable_at: received + (grant.expires_in - RENEWAL_WINDOW).max(SignedDuration::ZERO),
            attempt,
            ..self.clone()
        }
    }

    /// The credential that a reply makes which carried a refresh token and no usable access token.
    #[must_use]
    pub fn odd_grant(&self, refresh_token: Secret, attempt: AttemptId, received: Timestamp) -> Self {
        Self { refresh_token, access: None, granted_at: received, renewable_at: received, attempt, ..self.clone() }
    }

    /// The credential of a head of which the ledger knows more: Exact says who consented only after the pair is stored, so the first version of a
    /// chain does not, and may have no epoch, or one that another log-in began first.
    #[must_use]
    pub fn as_head(self: &Arc<Self>, head: &Pointer) -> Arc<Self> {
        let user = self.chain.user.clone().or_else(|| head.user.clone());
        let epoch = head.epoch;
        if user == self.chain.user && epoch == self.epoch {
            return Arc::clone(self);
        }
        Arc::new(Self { epoch, chain: ChainIdentity { user, ..self.chain.clone() }, ..(**self).clone() })
    }

    /// Names the refresh token without telling it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.refresh_token)
    }

    /// When the refresh token dies if it is not used. `issued` is what the ledger knows: a grant that left the refresh token as it was made it no
    /// younger.
    #[must_use]
    pub fn refresh_token_expires_at(&self, issued: Option<Issued>) -> Timestamp {
        let earlier = issued.filter(|issued| issued.at < self.granted_at && issued.fingerprint == self.fingerprint());
        earlier.map_or(self.granted_at, |issued| issued.at) + REFRESH_TOKEN_LIFETIME
    }
}

/// Since when a refresh token is known. Its credential tells only when it was granted last, and Exact may grant an access token and leave the refresh
/// token as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Of the refresh token.
    pub fingerprint: Fingerprint,
    /// When it first came.
    pub at: Timestamp,
}

/// Which app at which Exact site a chain belongs to, and, once it is known, which Exact user gave the consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainIdentity {
    /// `https://start.exactonline.nl`, without a slash at the end.
    pub base_url: String,
    /// The app's client id.
    pub client_id: String,
    /// The Exact user, once known.
    pub user: Option<String>,
}

impl ChainIdentity {
    /// Whether both belong to the same app at the same site. The user does not count: settings do not know it.
    #[must_use]
    pub fn same_app(&self, other: &Self) -> bool {
        self.base_url == other.base_url && self.client_id == other.client_id
    }
}

/// The first 16 bytes of a secret's SHA-256: enough to tell tokens apart, nothing to get one back from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Of one secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        Self::of_parts(&[secret.reveal()])
    }

    /// Of several texts, each length-prefixed so that moving a character from one to the next changes the result.
    #[must_use]
    pub fn of_parts(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        if let [only] = parts {
            hasher.update(only.as_bytes());
        } else {
            for part in parts {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part.as_bytes());
            }
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self(first)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Names one immutable version of the secret in the vault.
    VersionId
);
name!(
    /// Names one request to Exact, from before it is sent until its outcome is known. A random UUID.
    AttemptId
);
name!(
    /// Names the lock: the hash of the ledger blob's URL, or a constant for the embedded store.
    LockId
);
