//! One answer to a caller who needs a token.
//!
//! A token is handed out from memory. Only where it would not do is anything waited for: a look at the store, Exact's gate, a refresh.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::refresh_token::ending::Needed;
use crate::refresh_token::memory::View;
use crate::refresh_token::{LookError, Outcome, PASS, Refresher};
use crate::token::Secret;
use crate::token::ledger::FailureKind;
use crate::token::schedule::{Answer, Due, Mode, Policy, Wait, Why, answer, due};

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Life that the token must still have, 0 to 540 s.
    pub min_validity: SignedDuration,
    /// Time that the whole call may take, 0 to 200 s.
    pub max_wait: SignedDuration,
}

impl Ask {
    /// 60 s.
    pub const DEFAULT_MIN_VALIDITY: SignedDuration = SignedDuration::from_secs(60);
    /// 200 s: Data Factory gives up at 230.
    pub const DEFAULT_MAX_WAIT: SignedDuration = SignedDuration::from_secs(200);
}

impl Default for Ask {
    fn default() -> Self {
        Self { min_validity: Self::DEFAULT_MIN_VALIDITY, max_wait: Self::DEFAULT_MAX_WAIT }
    }
}

/// A token, as it is handed out.
#[derive(Clone, Debug)]
pub struct HandedOut {
    /// For the `Authorization: Bearer` header.
    pub access_token: Secret,
    /// Whole seconds of life left, rounded down.
    pub expires_in: i64,
    /// The cautious end of its life.
    pub expires_at: Timestamp,
    /// The Exact site that it is good for.
    pub base_url: String,
    /// What a person should know although this call went well. No secret.
    pub warnings: Vec<String>,
}

/// Why there is no token for this caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// A person must consent.
    ConsentRequired(Needed),
    /// The store's content or a setting is wrong, and no waiting helps. The text names what, and what to do.
    ServerError(String),
    /// Not now; the call may be repeated.
    Unavailable {
        /// What is in the way.
        why: String,
        /// Whole seconds, at least 1.
        retry_after: i64,
    },
}

/// Memory alone answers for this long; then somebody else's consent may have changed whose data this is.
const MEMORY_ANSWERS: Duration = Duration::from_mins(1);
/// Bad news is believed only when it is this fresh: a person who has just consented should not have to wait.
const BAD_NEWS_KEEPS: Duration = Duration::from_secs(1);
/// A caller whose token is at hand waits no longer than this for the look at the store.
const LOOK: Duration = Duration::from_secs(2);
/// A caller waits this long for a grant to be stored, and is then served from memory.
const SAVING: Duration = Duration::from_secs(10);
/// What a caller is told where nothing better is known.
const RETRY_AFTER: i64 = 5;

impl Refresher {
    /// The token in memory, if it is all that [`get_token`](Self::get_token) would hand out: it lives long enough, the store was looked at within the
    /// last minute, and nothing waits to be stored. Nearly every call ends here; it waits for nothing.
    #[must_use]
    pub fn at_hand(&self, ask: Ask) -> Option<HandedOut> {
        let view = self.view();
        if view.unsaved || view.from_vault_alone || view.is_older(MEMORY_ANSWERS) {
            return None;
        }
        match answer(view.servable.as_deref(), view.served_at, ask.min_validity) {
            Answer::Token { remaining } => Some(self.hand_out(&view, remaining, None)),
            Answer::RenewFirst | Answer::WaitUntil(_) | Answer::NeedsConsent => None,
        }
    }

    /// Hands out a token with the life that was asked for, or says why not, within the time that was asked for.
    pub async fn get_token(self: &Arc<Self>, ask: Ask) -> Result<HandedOut, NoToken> {
        if let Some(token) = self.at_hand(ask) {
            return Ok(token);
        }
        let patience = Duration::try_from(ask.max_wait).unwrap_or(Duration::ZERO);
        let call = Call { this: self, ask, until: self.clock.monotonic() + patience };
        call.answer().await.map_err(|no_token| self.with_ending(no_token))
    }

    /// Who gets no token is told what those hear who get one: that soon nobody will, and what to do. Where only a person helps, that is said already.
    fn with_ending(&self, no_token: NoToken) -> NoToken {
        match (no_token, self.ending(&self.view())) {
            (NoToken::Unavailable { why, retry_after }, Some(ending)) => NoToken::Unavailable { why: format!("{why}; {ending}"), retry_after },
            (no_token, _) => no_token,
        }
    }

    fn hand_out(&self, view: &View, remaining: SignedDuration, look: Option<LookError>) -> HandedOut {
        let credential = view.servable.as_deref();
        // `answer` said Token, so there is a credential with an access token; an empty one would be refused by Exact and is not made up here.
        let access = credential.and_then(|credential| credential.access.as_ref());
        HandedOut {
            access_token: access.map_or_else(|| Secret::new(""), |access| access.value.clone()),
            expires_in: remaining.as_secs(),
            expires_at: access.map_or(view.now, |access| access.expires_at),
            base_url: credential.map(|credential| credential.chain.base_url.clone()).unwrap_or_default(),
            warnings: self.warnings(view, look),
        }
    }

    fn warnings(&self, view: &View, look: Option<LookError>) -> Vec<String> {
        let mut warnings: Vec<String> = self.ending(view).into_iter().collect();
        if let Some(problem) = look {
            let from = if view.from_vault_alone { "is the latest that the vault has" } else { "comes from memory" };
            warnings.push(format!("the token {from}: {problem}"));
        }
        if view.unsaved {
            warnings.push("the latest pair of tokens is not stored yet; it is kept in memory and tried again at the next call".to_owned());
        }
        let Some(ledger) = &view.ledger else { return warnings };
        if let Some(failure) = &ledger.last_failure {
            warnings.push(format!("the last refresh failed ({} in a row): {}", failure.in_a_row, failure.what));
        }
        if let Due::NeedsConsent(why) = due(ledger, view.head.as_deref(), view.now, &self.policy) {
            warnings.push(format!("a person is needed before this token ends: {why}"));
        }
        warnings
    }
}

enum Next {
    Pass,
    Wait { until: Timestamp, why: Wait },
    Refuse(NoToken),
}

struct Call<'a> {
    this: &'a Arc<Refresher>,
    ask: Ask,
    until: Duration,
}

impl Call<'_> {
    async fn answer(&self) -> Result<HandedOut, NoToken> {
        self.save_what_is_not_stored().await;
        let mut looked = self.look_if_older(MEMORY_ANSWERS).await;
        let mut tried = None;
        loop {
            let view = self.this.view();
            if let Answer::Token { remaining } = self.answer_from(&view) {
                return Ok(self.this.hand_out(&view, remaining, looked.err()));
            }
            if view.is_older(BAD_NEWS_KEEPS) {
                looked = self.look_if_older(BAD_NEWS_KEEPS).await;
                // A look that failed may still have brought what the vault has.
                if looked.is_ok() || self.is_satisfied_by(&self.this.view()) {
                    continue;
                }
            }
            match self.next(&view, tried, looked.as_ref().err()) {
                Next::Pass => tried = Some(self.pass().await?),
                Next::Wait { until, why } => {
                    self.wait(&view, until, why).await?;
                    tried = None;
                }
                Next::Refuse(no_token) => return Err(no_token),
            }
        }
    }

    fn answer_from(&self, view: &View) -> Answer {
        answer(view.servable.as_deref(), view.served_at, self.ask.min_validity)
    }

    fn is_satisfied_by(&self, view: &View) -> bool {
        matches!(self.answer_from(view), Answer::Token { .. })
    }

    /// What to do about a token that will not do. `tried` is how this call's pass ended, if there was one since the last wait.
    fn next(&self, view: &View, tried: Option<Outcome>, look: Option<&LookError>) -> Next {
        let Some(ledger) = &view.ledger else { return Next::Refuse(store_problem(look)) };
        let policy = Policy { mode: Mode::KeepWarm, ..self.this.policy.clone() };
        // Only a pass, under the lock, can finish what an earlier process left behind.
        let unfinished = view.unsaved || view.ledger_lost || !ledger.open.is_empty() || ledger.is_ahead_of(view.head.as_deref(), view.now);
        match due(ledger, view.head.as_deref(), view.now, &policy) {
            // A pass that the timer began on demand wants nothing where a caller does.
            Due::Now(_) if matches!(tried, Some(Outcome::NotDue { why: Wait::NobodyAsks, .. })) => Next::Pass,
            Due::Now(_) => tried.map_or(Next::Pass, |outcome| Next::Refuse(failed(outcome, view, look))),
            // Who does not wait is told at once what only a person can change, and need not be sent away to hear it.
            Due::NeedsConsent(why) if self.left().is_zero() => Next::Refuse(needs_person(view.needed(why))),
            Due::NotYet { .. } | Due::NeedsConsent(_) if unfinished && tried.is_none() => Next::Pass,
            // Waiting changes nothing here; a changed setting restarts the process.
            Due::NotYet { why: Wait::Misconfigured(what), .. } => Next::Refuse(NoToken::ServerError(what.to_string())),
            Due::NotYet { until, why } => Next::Wait { until, why },
            Due::NeedsConsent(why) => Next::Refuse(needs_person(view.needed(why))),
        }
    }

    /// A grant that could not be stored is the first thing that any invocation saves: it is lost with this process, and no timer may come by here. The
    /// caller waits for that no longer than for a look.
    async fn save_what_is_not_stored(&self) {
        if !self.this.view().unsaved {
            return;
        }
        let clock = &self.this.clock;
        tokio::select! {
            biased;
            _ = self.this.pass(Mode::KeepWarm, clock.monotonic() + PASS) => {}
            () = clock.sleep(LOOK.min(self.left())) => {}
        }
    }

    /// A pass, for as long as this caller waits. It goes on when the caller has got its 503.
    ///
    /// A grant serves from the moment it is received, but not before its saving has had a while: the host waits for calls that it has no answer to,
    /// and then kills. A caller who had the token at once would take away what keeps this process alive until the grant is stored.
    async fn pass(&self) -> Result<Outcome, NoToken> {
        let clock = &self.this.clock;
        let granted = self.this.memory.granted();
        tokio::pin!(granted);
        granted.as_mut().enable();
        let pass = self.this.pass(Mode::KeepWarm, clock.monotonic() + PASS);
        tokio::pin!(pass);
        tokio::select! {
            biased;
            outcome = &mut pass => return Ok(outcome),
            () = granted => {}
            () = clock.sleep(self.left()) => {
                // What an earlier process had stored may have been found by then, and only the lock not be given back yet.
                if self.is_satisfied_by(&self.this.view()) {
                    return Ok(Outcome::Refreshed);
                }
                return Err(unavailable("the refresh takes longer than max_wait allows; it goes on", RETRY_AFTER));
            }
        }
        tokio::select! {
            biased;
            outcome = pass => Ok(outcome),
            () = clock.sleep(self.left().min(SAVING)) => Ok(Outcome::Refreshed),
        }
    }

    /// Waits until a time, if the caller's patience reaches that far; if not, says so at once.
    async fn wait(&self, view: &View, until: Timestamp, why: Wait) -> Result<(), NoToken> {
        let wait = Duration::try_from(until.duration_since(view.now)).unwrap_or(Duration::ZERO) + Duration::from_millis(50);
        if wait > self.left() {
            return Err(unavailable(&why.to_string(), i64::try_from(wait.as_secs()).unwrap_or(i64::MAX).saturating_add(1)));
        }
        self.this.clock.sleep(wait).await;
        Ok(())
    }

    /// One shared look at the store. A caller who could be served from memory does not wait long for it.
    async fn look_if_older(&self, age: Duration) -> Result<(), LookError> {
        let view = self.this.view();
        if !view.is_older(age) {
            return Ok(());
        }
        let served = self.is_satisfied_by(&view);
        let limit = if served { LOOK } else { self.left().max(LOOK) };
        tokio::select! {
            biased;
            looked = self.this.look() => looked,
            () = self.this.clock.sleep(limit) => Err(LookError::Unavailable("the token store does not answer".to_owned())),
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_sub(self.this.clock.monotonic())
    }
}

/// The pass brought nothing, and nothing says when to try again.
fn failed(outcome: Outcome, view: &View, look: Option<&LookError>) -> NoToken {
    match outcome {
        Outcome::StoreFailed(problem) => store_problem(Some(&problem)),
        Outcome::Failed(FailureKind::Misconfigured(what)) => NoToken::ServerError(what.to_string()),
        Outcome::Failed(what) => unavailable(&what.to_string(), RETRY_AFTER),
        Outcome::Unsaved(why) => unavailable(&why, RETRY_AFTER),
        Outcome::NeedsConsent(why) => needs_person(view.needed(why)),
        Outcome::NotDue { why, .. } => unavailable(&why.to_string(), RETRY_AFTER),
        Outcome::Crashed => unavailable("the refresh ended abnormally", RETRY_AFTER),
        Outcome::Busy | Outcome::Refreshed if look.is_some() => store_problem(look),
        Outcome::Busy | Outcome::Refreshed => unavailable("another process is at work on the tokens", RETRY_AFTER),
    }
}

fn needs_person(needed: Needed) -> NoToken {
    match needed.why {
        Why::NeverConnected | Why::Refused(_) | Why::OtherApp => NoToken::ConsentRequired(needed),
        Why::OtherLock => NoToken::ServerError(needed.to_string()),
    }
}

fn store_problem(problem: Option<&LookError>) -> NoToken {
    match problem {
        Some(LookError::Damaged(what)) => NoToken::ServerError(what.clone()),
        Some(LookError::Unavailable(what)) => unavailable(what, RETRY_AFTER),
        None => unavailable("the token store has not been read yet", RETRY_AFTER),
    }
}

fn unavailable(why: &str, retry_after: i64) -> NoToken {
    NoToken::Unavailable { why: why.to_owned(), retry_after: retry_after.max(1) }
}
