//! A consent's exchange of a code: one request under the same lock, announced and saved in the same way. It obeys neither quarantine nor back-off,
//! since the code lives 3 minutes; the hour's budget keeps one request for it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::person::LOCK_WITHIN;
use super::{Loaded, Pass, REPLY_WITHIN, Stop, elapsed};
use crate::patience::Patience;
use crate::ports::ConsentEndpoint;
use crate::refresh_token::lease::Lease;
use crate::refresh_token::memory::{BroughtBy, Unsaved};
use crate::refresh_token::{LookError, Outcome, Refresher};
use crate::token::consent::{Pending, SentCode, UNCONFIRMED, UsedState};
use crate::token::ledger::{ANSWER_WITHIN, FailureKind, SEND_WITHIN};
use crate::token::reply::{NotSent, Unclear};
use crate::token::{AccessToken, AttemptId, CodeReply, Credential, Fingerprint, Person, Reply, Secret, VersionId};

/// How long it may take in all: the front end of Azure gives up on a browser at 230 s.
pub const EXCHANGE: Duration = Duration::from_secs(200);
/// Whose the tokens are is worth asking again: without an answer a person has to confirm.
const ME_TRIES: u32 = 3;
const ME_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// To send, to answer, and to save.
const REQUEST_NEEDS_HERE: Duration = Duration::from_secs(130);

const _: () = assert!(REQUEST_NEEDS_HERE.as_secs() > (SEND_WITHIN.as_secs() + ANSWER_WITHIN.as_secs()).unsigned_abs());
const _: () = assert!(LOCK_WITHIN.as_secs() + REQUEST_NEEDS_HERE.as_secs() < EXCHANGE.as_secs());

/// A code that a browser, or a person, brought.
#[derive(Debug)]
pub struct Code {
    /// Decoded.
    pub code: Secret,
    /// That it was got with.
    pub redirect_uri: String,
    /// That came with it; None from the command line.
    pub state: Option<UsedState>,
}

/// What the exchange came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// A new epoch.
    Connected {
        /// Its number.
        epoch: u64,
        /// Whether there was a chain before.
        replaced: bool,
        /// Whose it is.
        person: Option<Person>,
    },
    /// It is another's chain than the stored one, and is kept aside.
    Pending {
        /// Where.
        version: VersionId,
        /// Whose the stored one is, as far as is known.
        stored: Option<Person>,
        /// Whose the new one is.
        new: Option<Person>,
    },
}

/// Why there is no new chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeError {
    /// The state was used before.
    Used,
    /// The budget of requests is spent until then.
    Budget(Timestamp),
    /// Another process holds the lock.
    Busy,
    /// Nothing was sent.
    Store(String),
    /// Turned down.
    CodeRefused,
    /// Any other reply, or none.
    Failed(FailureKind),
    /// A later consent was stored first.
    Overtaken,
    /// Granted; kept in memory, and saved by the next pass.
    NotSaved(String),
}

impl From<Stop> for ExchangeError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Conflict | Stop::LockLost => Self::Busy,
            Stop::Ended(Outcome::StoreFailed(problem)) => Self::Store(problem.to_string()),
            Stop::Ended(Outcome::Unsaved(why)) => Self::NotSaved(why),
            Stop::Ended(_) => Self::Store("the store did not do what was asked".to_owned()),
        }
    }
}

impl From<LookError> for ExchangeError {
    fn from(problem: LookError) -> Self {
        Self::Store(problem.to_string())
    }
}

impl Refresher {
    /// Exchanges a code. Must run to its end: what it is granted is in memory alone until it is stored.
    pub async fn exchange(&self, endpoint: &dyn ConsentEndpoint, code: Code) -> Result<Exchanged, ExchangeError> {
        let pass = Pass { this: self, policy: self.policy.clone(), end: self.clock.monotonic() + EXCHANGE };
        pass.store_without_lock().await;
        let lease = pass.lock_for_a_person().await?;
        let exchanged = pass.exchange(&lease, endpoint, code).await;
        lease.release().await;
        exchanged
    }
}

impl Pass<'_> {
    async fn exchange(&self, lease: &Lease, endpoint: &dyn ConsentEndpoint, code: Code) -> Result<Exchanged, ExchangeError> {
        let this = self.this;
        self.save_first(lease).await?;
        let (mut loaded, epoch) = self.load_for_a_person().await?;
        let now = this.ledger.now();
        if code.state.is_some_and(|used| loaded.ledger.is_used(used.state)) {
            return Err(ExchangeError::Used);
        }
        if let Some(until) = loaded.ledger.code_budget(now) {
            return Err(ExchangeError::Budget(until));
        }
        self.prove_writable_for_a_person(lease, &mut loaded).await?;
        // Committed with the announcement.
        self.identify(endpoint, &mut loaded).await;
        if self.time_left() < REQUEST_NEEDS_HERE {
            return Err(ExchangeError::Store("it took so long to answer that no time was left for the request".to_owned()));
        }

        let attempt = AttemptId(uuid::Uuid::new_v4().to_string());
        let (opened, opened_monotonic) = (this.ledger.now(), this.clock.monotonic());
        let sent_code = loaded.ledger.announce_code(attempt.clone(), Fingerprint::of(&code.code), code.state, opened);
        self.commit(lease, &mut loaded).await?;
        let in_time = lease.renewed().await
            && this.ledger.now().duration_since(opened).abs() < SEND_WITHIN
            && elapsed(opened_monotonic, this.clock.monotonic()) < SEND_WITHIN;
        if !in_time {
            self.give_up(lease, loaded, &attempt, FailureKind::NotSent(NotSent::Overtaken), None).await;
            return Err(ExchangeError::Store("it took so long to announce the request that it was not sent".to_owned()));
        }

        info!("exchanging the code of a consent for a pair of tokens");
        let (reply, took) = self.send_code(endpoint, &code).await;
        let received = this.ledger.now();
        let sent = received - took;
        let (refresh_token, access, odd) = match reply {
            CodeReply::Refused => {
                self.give_up(lease, loaded, &attempt, FailureKind::Unclear(Unclear::NotAGrant), None).await;
                return Err(ExchangeError::CodeRefused);
            }
            CodeReply::Other(Reply::Granted(grant)) => {
                let access = AccessToken { value: grant.access_token, expires_at: sent + grant.expires_in, lifetime: grant.expires_in };
                (grant.refresh_token, Some(access), None)
            }
            CodeReply::Other(Reply::OddGrant { refresh_token, problem }) => {
                warn!("Exact Online sent the first refresh token in an odd reply ({problem}); the next refresh uses it");
                (refresh_token, None, Some(problem))
            }
            CodeReply::Other(other) => {
                let (what, retry_after) = failure(&other);
                self.give_up(lease, loaded, &attempt, what, retry_after).await;
                return Err(ExchangeError::Failed(what));
            }
        };
        let renewable_at = access.as_ref().map_or(received, |access| received + access.lifetime - crate::token::credential::RENEWAL_WINDOW);
        let credential = Credential {
            refresh_token,
            access,
            granted_at: received,
            renewable_at: renewable_at.max(received),
            attempt,
            // With a user to compare with, the ledger decides.
            epoch: if loaded.ledger.head.as_ref().is_some_and(|head| head.user.is_some()) { UNCONFIRMED } else { epoch + 1 },
            lock_id: this.ledger.lock_id(),
            chain: self.policy.chain.clone(),
        };
        self.save_consent(lease, loaded, endpoint, Arc::new(credential), odd, sent_code).await
    }

    /// The pair is kept first, then stored; whose it is is asked meanwhile.
    async fn save_consent(
        &self,
        lease: &Lease,
        loaded: Loaded,
        endpoint: &dyn ConsentEndpoint,
        credential: Arc<Credential>,
        odd: Option<Unclear>,
        sent: SentCode,
    ) -> Result<Exchanged, ExchangeError> {
        let this = self.this;
        let (replaced, stored_user) = (loaded.ledger.head.is_some(), loaded.ledger.head.as_ref().and_then(|head| head.user.clone()));
        let stored = loaded.ledger.consents.person.clone();
        let keep = |person: Option<Person>, served, version| {
            let brought_by = BroughtBy::Consent { person, served, sent };
            let unsaved = Unsaved { credential: Arc::clone(&credential), brought_by, version, odd };
            this.memory.keep(unsaved.clone(), credential.granted_at, this.clock.monotonic());
            unsaved
        };
        drop(keep(None, false, None));
        let me = async {
            match &credential.access {
                Some(access) => {
                    for _ in 1..ME_TRIES {
                        if let Some(person) = endpoint.me(&access.value).await {
                            return Some(person);
                        }
                        this.clock.sleep(ME_AGAIN_AFTER).await;
                    }
                    endpoint.me(&access.value).await
                }
                None => None,
            }
        };
        let (version, person) = tokio::join!(self.store(lease, &credential), me);
        let served = stored_user.is_none_or(|stored| person.as_ref().is_some_and(|person| person.id == stored));
        let unsaved = keep(person.clone(), served, version.as_ref().ok().cloned());
        if let Err(stop) = version {
            return Err(not_saved(stop));
        }
        match self.save(lease, loaded, unsaved).await {
            Ok(Outcome::Unsaved(why)) => return Err(ExchangeError::NotSaved(why)),
            Ok(_) => {}
            Err(stop) => return Err(not_saved(stop)),
        }
        let view = this.view();
        let Some(ledger) = view.ledger else { return Err(ExchangeError::Overtaken) };
        if let Some(Pending { pointer, person }) =
            ledger.consents.pending.clone().filter(|pending| pending.pointer.fingerprint == credential.fingerprint())
        {
            return Ok(Exchanged::Pending { version: pointer.version, stored, new: person });
        }
        let is_head = ledger.head.as_ref().is_some_and(|head| head.fingerprint == credential.fingerprint());
        if is_head { Ok(Exchanged::Connected { epoch: ledger.epoch, replaced, person }) } else { Err(ExchangeError::Overtaken) }
    }

    /// The reply, and how long it took by the clock that does not jump.
    async fn send_code(&self, endpoint: &dyn ConsentEndpoint, code: &Code) -> (CodeReply, SignedDuration) {
        let clock = &self.this.clock;
        let begun = clock.monotonic();
        let reply = Patience::by(clock, REPLY_WITHIN).wait_for(endpoint.exchange(&code.code, &code.redirect_uri)).await;
        (reply.unwrap_or(CodeReply::Other(Reply::Unclear(Unclear::TimedOut))), elapsed(begun, clock.monotonic()))
    }

    /// Closes the attempt: its reply will not come any more. If that cannot be written, its quarantine ends by itself. What Exact says of the app holds
    /// for refreshes as well.
    async fn give_up(&self, lease: &Lease, mut loaded: Loaded, attempt: &AttemptId, what: FailureKind, retry_after: Option<SignedDuration>) {
        match what {
            FailureKind::Misconfigured(_) | FailureKind::Throttled => {
                loaded.ledger.record(attempt, self.recorded(what, retry_after), self.this.ledger.now());
            }
            _ => loaded.ledger.code_failed(attempt, !matches!(what, FailureKind::NotSent(_))),
        }
        if self.commit(lease, &mut loaded).await.is_ok() {
            self.this.learn(loaded.ledger, loaded.head, false);
        } else {
            warn!("what became of the code could not be recorded; refreshes keep away until its quarantine ends");
        }
    }
}

/// Whatever stopped it, the pair is in memory and nowhere else.
fn not_saved(stop: Stop) -> ExchangeError {
    ExchangeError::NotSaved(match ExchangeError::from(stop) {
        ExchangeError::Store(why) | ExchangeError::NotSaved(why) => why,
        _ => "the lock was lost".to_owned(),
    })
}

/// What a reply that is no grant says, and how long Exact wants to be left alone.
fn failure(reply: &Reply) -> (FailureKind, Option<SignedDuration>) {
    let what = match reply {
        Reply::NotSent(cause) => FailureKind::NotSent(*cause),
        Reply::TooEarly => FailureKind::TooEarly,
        Reply::Unclear(problem) | Reply::OddGrant { problem, .. } => FailureKind::Unclear(*problem),
        Reply::Refused(refusal) => FailureKind::Refused(*refusal),
        Reply::Misconfigured(what) => FailureKind::Misconfigured(*what),
        Reply::Throttled { retry_after } => return (FailureKind::Throttled, *retry_after),
        Reply::Granted(_) => FailureKind::Unclear(Unclear::NotAGrant),
    };
    (what, None)
}
