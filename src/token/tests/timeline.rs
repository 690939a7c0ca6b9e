//! A ledger with its head, and a clock in seconds since the head was granted: set the clock, send, let Exact answer, ask when the next try is due.

use jiff::{SignedDuration, Timestamp};

use super::arbitrary::{at, token};
use crate::token::failure::Outcome;
use crate::token::ledger::FailureKind;
use crate::token::reply::Grant;
use crate::token::rotation::{Landed, SentFrom};
use crate::token::schedule::{Due, Mode, Policy, Reason, Wait, due};
use crate::token::{AttemptId, ChainIdentity, Credential, Fingerprint, Ledger, LockId, Pointer, Secret, VersionId};

pub(super) struct Timeline {
    pub(super) ledger: Ledger,
    pub(super) versions: Vec<Credential>,
    pub(super) policy: Policy,
    second: i64,
    sent: usize,
}

impl Timeline {
    /// A pair was granted at second 0 and is stored.
    pub(super) fn granted_at_0() -> Self {
        let lock_id = LockId("lock".to_owned());
        let chain = ChainIdentity { base_url: "https://start.exactonline.nl".to_owned(), client_id: "app".to_owned(), user: None };
        let imported = Credential {
            refresh_token: token(0),
            access: None,
            granted_at: at(-1),
            renewable_at: at(-1),
            attempt: AttemptId("import".to_owned()),
            epoch: 1,
            lock_id: lock_id.clone(),
            chain: chain.clone(),
        };
        let mut ledger = Ledger::begin(lock_id.clone(), "writer");
        ledger.new_epoch(Pointer::to(VersionId("0".to_owned()), &imported));
        let policy = Policy { mode: Mode::KeepWarm, chain, settings: Fingerprint([1; 16]), lock_id };
        let mut timeline = Self { ledger, versions: vec![imported], policy, second: 0, sent: 0 };
        let attempt = timeline.sends();
        timeline.is_granted(&attempt);
        timeline
    }

    pub(super) fn now(&self) -> Timestamp {
        at(self.second)
    }

    /// Sets the clock.
    pub(super) fn at(&mut self, second: i64) -> &mut Self {
        self.second = second;
        self
    }

    pub(super) fn head(&self) -> &Credential {
        let head = self.ledger.head.as_ref().expect("there is a head");
        &self.versions[head.version.0.parse::<usize>().expect("versions are numbered")]
    }

    pub(super) fn due(&self) -> Due {
        due(&self.ledger, Some(self.head()), self.now(), &self.policy)
    }

    /// Why a request is due now.
    pub(super) fn reason(&self) -> Reason {
        let Due::Now(reason) = self.due() else { panic!("at {} s: {:?}", self.second, self.due()) };
        reason
    }

    /// When the next request is due, and what keeps it back until then.
    pub(super) fn waits(&self) -> (i64, Wait) {
        let Due::NotYet { until, why } = self.due() else { panic!("at {} s: {:?}", self.second, self.due()) };
        (until.duration_since(at(0)).as_secs(), why)
    }

    /// A request leaves; it must be due.
    pub(super) fn sends(&mut self) -> AttemptId {
        self.reason();
        self.sent += 1;
        let attempt = AttemptId(format!("attempt-{}", self.sent));
        let (fingerprint, now) = (self.head().fingerprint(), self.now());
        self.ledger.announce(attempt.clone(), fingerprint, now);
        attempt
    }

    /// A request leaves and comes to this at once.
    pub(super) fn sends_and(&mut self, what: FailureKind) {
        let attempt = self.sends();
        self.comes_to(&attempt, what);
    }

    /// What a request that is on its way comes to.
    pub(super) fn comes_to(&mut self, attempt: &AttemptId, what: FailureKind) {
        self.comes_to_with(attempt, what, None);
    }

    pub(super) fn comes_to_with(&mut self, attempt: &AttemptId, what: FailureKind, retry_after: Option<i64>) {
        let retry_after = retry_after.map(SignedDuration::from_secs);
        let (now, settings) = (self.now(), self.policy.settings);
        self.ledger.record(attempt, Outcome { what, retry_after, settings }, now);
    }

    /// A request is granted and its pair is stored.
    pub(super) fn is_granted(&mut self, attempt: &AttemptId) {
        let sent_from = self.sent_from();
        let granted = self.pair(attempt);
        let pointer = self.stored(granted);
        self.ledger.grant_saved(attempt, pointer, &sent_from);
    }

    /// A request brings a refresh token in an odd way, which is stored.
    pub(super) fn is_granted_oddly(&mut self, attempt: &AttemptId, what: FailureKind) -> Landed {
        let odd = self.head().odd_grant(self.fresh_token(), attempt.clone(), self.now());
        let pointer = self.stored(odd);
        self.comes_to(attempt, what);
        self.ledger.odd_grant_saved(pointer)
    }

    /// The pair that a grant for `attempt` brings.
    pub(super) fn pair(&self, attempt: &AttemptId) -> Credential {
        let grant =
            Grant { access_token: Secret::new("made-up-access-token"), refresh_token: self.fresh_token(), expires_in: SignedDuration::from_mins(10) };
        self.head().granted(&grant, attempt.clone(), self.now(), self.now())
    }

    pub(super) fn stored(&mut self, credential: Credential) -> Pointer {
        let pointer = Pointer::to(VersionId(self.versions.len().to_string()), &credential);
        self.versions.push(credential);
        pointer
    }

    pub(super) fn sent_from(&self) -> SentFrom {
        let head = self.ledger.head.as_ref().expect("there is a head");
        SentFrom { epoch: self.ledger.epoch, head: head.version.clone() }
    }

    fn fresh_token(&self) -> Secret {
        token(u8::try_from(self.versions.len()).expect("a timeline is short"))
    }
}
