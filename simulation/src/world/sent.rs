//! What is asked of a request at the moment at which it leaves its process, and of what follows from it.

use exact_token_broker::token::ledger::{QUARANTINE, SEND_WITHIN};
use exact_token_broker::token::{Fingerprint, Ledger, Secret};
use jiff::{SignedDuration, Timestamp};
use simulators::exact_online::{Kind, Logged, MARKER};

use super::oracle::Made;
use super::weather::{Away, Port, Span};
use super::{AtTheSocket, ProcessId, STORAGE_HOST, State};

/// Storage time is known to the second, and local clocks are off.
const CLOCKS: SignedDuration = SignedDuration::from_millis(2_500);
/// A refresh is granted from 570 s after the last.
const GATE: SignedDuration = SignedDuration::from_secs(570);

/// Two requests with one token are answered both within this, where Exact does so.
const BOTH_ANSWERED: SignedDuration = SignedDuration::from_secs(2);
/// A second refusal counts this long after the first.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What is known of a PUT that a process sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is on its way, and somebody waits.
    Awaited,
    /// It may have taken effect, and nobody has looked.
    Open,
    /// The vault said what became of it, or was asked.
    Clear,
}

impl State {
    /// A request to Exact is about to leave. Whether its process is frozen there.
    pub fn sends(&mut self, process: ProcessId, secret: &str) -> bool {
        let freezes = self.processes.get(&process).is_some_and(|seen| seen.control.sends());
        if freezes {
            self.at_the_socket = Some(AtTheSocket { process, secret: secret.to_owned(), met: false });
        }
        freezes
    }

    /// I2 and I4, before a refresh or an exchange of a code leaves: `secret` is the token or the code.
    pub fn about_to_ask(&mut self, now: Timestamp, process: ProcessId, kind: Kind, secret: &str) {
        let Some(seen) = self.processes.get(&process) else { return };
        // A process that was frozen between its last check and here cannot know; the overlap is counted where it does harm.
        if seen.control.was_frozen_since(now - SignedDuration::from_secs(1)) {
            return;
        }
        if seen.misplaced {
            return self.broke(now, process, "I2 a process with another lock asked Exact");
        }
        let Some(ledger) = self.ledger() else { return self.broke(now, process, "I2 asked Exact without a ledger") };
        if let Some(what) = wrong_with(&ledger, now, kind, Fingerprint::of(&Secret::new(secret))) {
            return self.broke(now, process, what);
        }
        let held = self.blob.blobs().iter().any(|(path, blob)| path.starts_with(STORAGE_HOST) && blob.holder(now).is_some());
        // Somebody broke it after the last renewal had taken effect, whose reply was still on its way.
        let broken_since = self.lease_broken.is_some_and(|broken| seen.leased.is_none_or(|leased| leased <= broken));
        if !held && !broken_since {
            return self.broke(now, process, "I2 asked Exact while nobody held the lock");
        }
        if !broken_since && self.held.last().is_none_or(|held| held.process != process) {
            return self.broke(now, process, "I2 asked Exact while another held the lock");
        }
        if kind == Kind::Refresh && self.vault_takes_nothing(now) {
            return self.broke(now, process, "I1 a token was spent that could not be replaced: the vault has taken no write for half a minute");
        }
        let received = self.oracle.pair(secret).filter(|pair| !pair.odd).and_then(|pair| pair.received);
        if kind == Kind::Refresh && received.is_some_and(|at| now.duration_since(at) < GATE - CLOCKS) {
            self.broke(now, process, "I4 asked Exact less than 570 s after the grant");
        }
    }

    fn vault_takes_nothing(&self, now: Timestamp) -> bool {
        let deaf = |span: &&Span| span.port == Port::Vault && span.how != Away::Deaf;
        let since = now - SignedDuration::from_secs(30);
        self.weather.spans.iter().filter(deaf).any(|span| span.from <= since && now < span.until)
    }

    /// Exact has dealt with a request.
    pub fn asked(&mut self, now: Timestamp, process: ProcessId, sent: &str, arrives: Option<Timestamp>) {
        let Some(logged) = self.exact.log().last().cloned() else { return };
        if let Some(waits) = self.at_the_socket.as_mut().filter(|waits| waits.process != process && waits.secret == sent) {
            waits.met = true;
        }
        let told = self.oracle.name(sent);
        let outcome = format!("{:?} {told}: {:?}, {}", logged.kind, logged.outcome, logged.fault.as_deref().unwrap_or("as it should be"));
        self.note(now, process, &format!("exact {outcome}, status {}, {:?}", logged.status, logged.delivery));
        self.facts.requests += 1;
        self.facts.ungranted += u64::from(!logged.granted);
        self.facts.rotations += u64::from(logged.committed && logged.kind == Kind::Refresh);
        if logged.committed {
            self.made(now, process, sent, arrives, &logged);
        }
        self.check_budget(now, process);
        self.judge(now);
    }

    fn made(&mut self, now: Timestamp, process: ProcessId, sent: &str, arrives: Option<Timestamp>, logged: &Logged) {
        let Some(token) = self.exact.newest_refresh_token().map(str::to_owned) else { return };
        if self.oracle.pair(&token).is_some() {
            return;
        }
        let frozen = self.processes.get(&process).is_some_and(|seen| seen.control.was_frozen_since(now - SignedDuration::from_secs(12)));
        let ordinal = self.oracle.made.len() + 1;
        self.note(now, process, &format!("exact made r{ordinal}"));
        if logged.kind == Kind::Code {
            // A person ended what was before.
            self.oracle.lost = None;
        }
        let at_once = |other: &&Made| other.sent == sent && now.duration_since(other.at) <= BOTH_ANSWERED;
        if self.oracle.made.iter().rev().any(|other| at_once(&other)) {
            self.facts.count("one token was answered twice at once");
        }
        self.oracle.made(Made {
            token,
            ordinal,
            at: now,
            by: Some(process),
            sent: sent.to_owned(),
            odd: !logged.granted,
            arrives,
            received: None,
            stored: false,
            ignored: false,
            overlapping: frozen,
        });
        self.weather.granted(now);
        if let Some(seen) = self.processes.get(&process) {
            seen.control.granted();
        }
    }

    /// Exact says that this token is dead.
    pub fn refused(&mut self, now: Timestamp, sent: &str) {
        self.oracle.refused.entry(Fingerprint::of(&Secret::new(sent)).to_string()).or_default().push(now);
    }

    /// A refusal that is believed has been said twice, a minute apart.
    fn check_refusals(&mut self, now: Timestamp, process: ProcessId, ledger: &Ledger) {
        for refused in &ledger.refusals {
            let said = self.oracle.refused.get(&refused.fingerprint.to_string()).map_or(&[][..], Vec::as_slice);
            let apart = said.first().zip(said.last()).map_or(SignedDuration::ZERO, |(first, last)| last.duration_since(*first));
            if said.is_empty() || refused.count >= 2 && apart < AGAIN - CLOCKS {
                return self.broke(now, process, "a token counts as refused, and Exact has not said so often enough");
            }
        }
    }

    fn check_budget(&mut self, now: Timestamp, process: ProcessId) {
        let log = self.exact.log();
        let hour = log.iter().rev().take_while(|it| it.at > now - SignedDuration::from_hours(1)).filter(|it| !it.granted).count();
        let day = now.as_second().div_euclid(86_400);
        let today = log.iter().rev().take_while(|it| it.at.as_second().div_euclid(86_400) == day).count();
        self.facts.most = (self.facts.most.0.max(hour as u64), self.facts.most.1.max(today as u64));
        if hour > 9 {
            self.broke(now, process, "I4 more than nine requests without a grant in an hour");
        }
        if today > 200 {
            self.broke(now, process, "I4 more than 200 requests in a day");
        }
    }

    /// A reply that holds a refresh token has reached its process.
    pub fn received(&mut self, now: Timestamp, process: ProcessId, token: &str) {
        if let Some(pair) = self.oracle.pair(token) {
            pair.received = pair.received.or(Some(now));
            let line = format!("received r{}", pair.ordinal);
            self.note(now, process, &line);
        }
    }

    /// A reply came and nobody in its process waited for it any more.
    pub fn ignored(&mut self, now: Timestamp, process: ProcessId, token: &str) {
        if let Some(pair) = self.oracle.pair(token) {
            pair.ignored = true;
            let line = format!("nobody waits for r{}", pair.ordinal);
            self.note(now, process, &line);
        }
        self.judge(now);
    }

    /// A version landed in the vault.
    pub fn landed(&mut self, now: Timestamp, process: ProcessId, value: &str) {
        match exact_token_broker::stored::credential_from_json(value) {
            Ok(credential) => {
                let token = credential.refresh_token.reveal();
                self.oracle.stored(token);
                let line = format!("vault has {}", self.oracle.name(token));
                self.note(now, process, &line);
            }
            Err(_) => self.note(now, process, "vault has something else"),
        }
    }

    /// The ledger was written: what it points to, and that it holds no secret.
    pub fn written(&mut self, now: Timestamp, process: ProcessId, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        if text.contains(MARKER) {
            self.broke(now, process, "I5 a secret in the ledger");
        }
        let Ok(ledger) = exact_token_broker::stored::ledger_from_json(&text) else {
            return self.broke(now, process, "the ledger is not one");
        };
        self.check_refusals(now, process, &ledger);
        let head = ledger.head.as_ref().map_or_else(|| "none".to_owned(), |head| self.name_of(head.fingerprint));
        let line = format!(
            "ledger {}.{}: head {head}, {} candidates, {} open, {} refused, {} ungranted{}",
            ledger.epoch,
            ledger.generation,
            ledger.candidates.len(),
            ledger.open.len(),
            ledger.refusals.len(),
            ledger.ungranted.len(),
            if ledger.dead.is_some() { ", dead" } else { "" }
        );
        self.note(now, process, &line);
    }

    fn name_of(&self, fingerprint: Fingerprint) -> String {
        let found = self.oracle.made.iter().rev().find(|pair| Fingerprint::of(&Secret::new(&*pair.token)) == fingerprint);
        found.map_or_else(|| "r?".to_owned(), |pair| format!("r{}", pair.ordinal))
    }

    /// A process has died: what it alone knew must at least be announced.
    pub fn died(&mut self, now: Timestamp, process: ProcessId) {
        let open: Vec<Fingerprint> = self.ledger().map(|ledger| ledger.open.iter().map(|attempt| attempt.fingerprint).collect()).unwrap_or_default();
        // The attempt of one that was frozen before its socket ended with the grant of the one that asked meanwhile.
        let alone = |pair: &&Made| pair.by == Some(process) && pair.received.is_some() && !pair.stored && !self.ended_anothers(pair);
        let forgotten =
            self.oracle.made.iter().rev().take(1).find(alone).is_some_and(|pair| !open.contains(&Fingerprint::of(&Secret::new(&*pair.sent))));
        if forgotten {
            self.broke(now, process, "I1 a grant was in no store, and no attempt was open");
        }
        self.judge(now);
    }
}

/// What is wrong with sending this now, as far as the ledger tells.
fn wrong_with(ledger: &Ledger, now: Timestamp, kind: Kind, secret: Fingerprint) -> Option<&'static str> {
    let Some(mine) = ledger.open.iter().rev().find(|attempt| attempt.fingerprint == secret && attempt.unclear_since.is_none()) else {
        return Some("I2 asked Exact without an open attempt in the ledger");
    };
    if now.duration_since(mine.opened) > SEND_WITHIN + CLOCKS {
        return Some("I2 asked Exact long after the attempt was opened");
    }
    if !ledger.ungranted.contains(&mine.opened) {
        return Some("I4 asked Exact without a reserved budget");
    }
    if kind == Kind::Code {
        return None;
    }
    if ledger.head.as_ref().is_none_or(|head| head.fingerprint != secret) {
        return Some("I2 sent a token that is not the head");
    }
    let others = ledger.open.iter().filter(|attempt| attempt.id != mine.id && attempt.unclear_since.is_none());
    let quarantined = others.into_iter().any(|other| (other.opened + QUARANTINE).min(other.quarantine_until) > now + CLOCKS);
    quarantined.then_some("I2 asked Exact while another attempt was in quarantine")
}
