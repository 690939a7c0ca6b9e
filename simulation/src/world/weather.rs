//! What goes wrong at the ports, and when: single faults by chance, and spans of time in which nothing else is to be had.

use std::time::Duration;

use jiff::Timestamp;
use simulators::exact_online::{self as exact, Delivery, Fault as ExactFault, Loss, Reply, bodies};
use simulators::key_vault::{Fault as VaultFault, Operation};

use crate::random::Random;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// Exact Online.
    Exact,
    /// Key Vault.
    Vault,
    /// The ledger's blob and its lease.
    Blob,
    /// The identity endpoint.
    Identity,
}

/// How one of them is away for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// No connection.
    Unreachable,
    /// Connections that break before anything is done.
    Reset,
    /// No answer at all.
    Silent,
    /// A page or an error of the server's.
    Failing,
    /// 429 with so many seconds.
    Throttled(u32),
    /// Exact's 400s that mean nothing, or a vault that takes no writes.
    Refusing,
    /// What is asked is done, and the reply is lost.
    Deaf,
}

/// One port is away from one time to another.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Which.
    pub port: Port,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How.
    pub how: Away,
}

/// A thing that happens once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Every identity token that is out is worth nothing.
    Revoked,
    /// The vault is as it was one version ago, and catches up after so long, if at all.
    RolledBack(Option<Duration>),
    /// Somebody breaks the lease.
    LeaseBroken,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Single faults, in ten thousand requests: Exact, vault, blob, identity.
    single: [u64; 4],
    /// Spans, in no order.
    pub spans: Vec<Span>,
    /// Blows, in no order.
    pub blows: Vec<(Timestamp, Blow)>,
    /// After so many grants, at the worst moment of all, the vault is away for so long.
    after_grant: Option<(u64, Away, Duration)>,
    /// No single fault from then on.
    calm_from: Timestamp,
}

/// How a request travels.
#[derive(Clone, Debug)]
pub struct Journey {
    /// There is no connection, which shows after [`there`](Self::there).
    pub unreachable: bool,
    /// Until it arrives.
    pub there: Duration,
    /// Until the reply is back.
    pub back: Duration,
}

impl Weather {
    /// Drawn before anything happens.
    pub fn draw(random: &mut Random, start: Timestamp, calm_from: Timestamp) -> Self {
        let rate = |random: &mut Random| *random.pick(&[0, 0, 30, 100, 300, 1_000]);
        let single = [rate(random), rate(random), rate(random), rate(random) / 4];
        let length = calm_from.duration_since(start).unsigned_abs();
        let within = |random: &mut Random| start + random.millis(0, u64::try_from(length.as_millis()).unwrap_or(0));
        let mut spans = Vec::new();
        for _ in 0..*random.pick(&[0, 0, 1, 2, 4]) {
            let port = *random.pick(&[Port::Exact, Port::Exact, Port::Vault, Port::Vault, Port::Blob, Port::Blob, Port::Identity]);
            let how = match port {
                Port::Exact => *random.pick(&[
                    Away::Unreachable,
                    Away::Reset,
                    Away::Silent,
                    Away::Failing,
                    Away::Failing,
                    Away::Throttled(60),
                    Away::Throttled(900),
                    Away::Refusing,
                    Away::Deaf,
                ]),
                Port::Vault | Port::Blob => *random.pick(&[
                    Away::Unreachable,
                    Away::Reset,
                    Away::Silent,
                    Away::Failing,
                    Away::Throttled(1),
                    Away::Throttled(60),
                    Away::Refusing,
                    Away::Deaf,
                ]),
                Port::Identity => *random.pick(&[Away::Silent, Away::Failing]),
            };
            let from = within(random);
            let lasts = *random.pick(&[30, 120, 600, 1_800, 7_200]);
            let until = (from + random.seconds(1, lasts)).min(calm_from);
            spans.push(Span { port, from, until, how });
        }
        let mut blows = Vec::new();
        if random.chance(1_500) {
            blows.push((within(random), Blow::Revoked));
        }
        if random.chance(1_000) {
            let back = random.chance(6_000).then(|| random.seconds(10, 3_600));
            blows.push((within(random), Blow::RolledBack(back)));
        }
        if random.chance(2_000) {
            blows.push((within(random), Blow::LeaseBroken));
        }
        Self { single, spans, blows, after_grant: None, calm_from }
    }

    /// In one history of eight the vault goes away just as Exact has granted something. Drawn apart from the rest.
    #[must_use]
    pub fn and_after_a_grant(mut self, mut random: Random) -> Self {
        if random.chance(1_250) {
            let how = *random.pick(&[Away::Unreachable, Away::Reset, Away::Silent, Away::Failing, Away::Throttled(60), Away::Refusing]);
            let lasts = *random.pick(&[60, 600, 1_800, 7_200]);
            self.after_grant = Some((random.between(1, 12), how, random.seconds(30, lasts)));
        }
        self
    }

    /// Exact has granted something.
    pub fn granted(&mut self, now: Timestamp) {
        let Some((left, how, lasts)) = &mut self.after_grant else { return };
        *left = left.saturating_sub(1);
        if *left == 0 && now < self.calm_from {
            self.spans.push(Span { port: Port::Vault, from: now, until: (now + *lasts).min(self.calm_from), how: *how });
            self.after_grant = None;
        }
    }

    /// Nothing goes wrong, but that Exact fails from one time to another.
    #[must_use]
    pub fn one_outage(from: Timestamp, until: Timestamp, calm_from: Timestamp) -> Self {
        let span = Span { port: Port::Exact, from, until, how: Away::Failing };
        Self { single: [0; 4], spans: vec![span], blows: Vec::new(), after_grant: None, calm_from }
    }

    /// How a port is away now, if it is.
    #[must_use]
    pub fn away(&self, port: Port, now: Timestamp) -> Option<Away> {
        self.spans.iter().find(|span| span.port == port && (span.from..span.until).contains(&now)).map(|span| span.how)
    }

    fn strikes(&self, port: Port, now: Timestamp, random: &mut Random) -> bool {
        now < self.calm_from && random.chance(self.single[port as usize])
    }

    /// What befalls a request to Exact.
    pub fn exact(&self, now: Timestamp, random: &mut Random) -> (Journey, Option<ExactFault>) {
        let mut journey = Journey { unreachable: false, there: random.millis(15, 250), back: random.millis(15, 250) };
        let fault = match self.away(Port::Exact, now) {
            Some(Away::Unreachable) => {
                journey = Journey { unreachable: true, there: random.millis(1, 9_900), ..journey };
                None
            }
            Some(Away::Reset) => Some(ExactFault::NoCommit(Loss::Reset)),
            Some(Away::Silent) => Some(ExactFault::NoCommit(Loss::Never)),
            Some(Away::Failing) => Some(ExactFault::instead(*random.pick(&[bodies::HTML_503, bodies::EMPTY_500, bodies::RETRY_AFTER_503]))),
            Some(Away::Throttled(seconds)) => Some(ExactFault::throttled(seconds)),
            Some(Away::Refusing) => {
                Some(ExactFault::instead(*random.pick(&[bodies::INVALID_GRANT, bodies::INVALID_REQUEST, bodies::OLD_REFRESH_TOKEN])))
            }
            Some(Away::Deaf) => Some(ExactFault::CommitThen(random.pick(&[Loss::Reset, Loss::Never, Loss::Cut]).clone())),
            None if self.strikes(Port::Exact, now, random) => {
                let all = ExactFault::all();
                match random.below(all.len() as u64 + 4) {
                    0 => {
                        journey = Journey { unreachable: true, ..journey };
                        None
                    }
                    1 => {
                        journey.there = random.seconds(1, 9);
                        None
                    }
                    2 => Some(ExactFault::CommitThen(Loss::Late(random.seconds(1, 95)))),
                    3 => Some(ExactFault::CommitThen(Loss::Late(random.seconds(96, 130)))),
                    _ => Some(random.pick(&all).1.clone()),
                }
            }
            None => None,
        };
        (journey, fault)
    }

    /// What befalls a request to the vault that would be served.
    pub fn vault(&self, now: Timestamp, operation: Operation, random: &mut Random) -> (Journey, Option<VaultFault>) {
        let reads = matches!(operation, Operation::Get | Operation::ListVersions);
        let mut journey = Journey { unreachable: false, there: random.millis(3, 30), back: random.millis(3, 30) };
        let fault = match self.away(Port::Vault, now) {
            Some(Away::Unreachable) => {
                journey = Journey { unreachable: true, there: random.millis(1, 4_900), ..journey };
                None
            }
            Some(Away::Reset) => Some(VaultFault::NoEffect(Delivery::Reset)),
            Some(Away::Silent) => Some(VaultFault::NoEffect(Delivery::Never)),
            Some(Away::Failing) => Some(VaultFault::failed(503)),
            Some(Away::Throttled(seconds)) => Some(VaultFault::throttled(seconds)),
            Some(Away::Refusing) => (!reads).then(|| VaultFault::Instead(forbidden())),
            Some(Away::Deaf) => Some(VaultFault::EffectThen(Delivery::Reset)),
            None if self.strikes(Port::Vault, now, random) => match random.below(11) {
                0 => {
                    journey.unreachable = true;
                    None
                }
                1 => {
                    journey.there = random.seconds(1, 9);
                    None
                }
                // Lands when nobody waits for it any more, on top of what came after it.
                2 | 3 => {
                    journey.there = random.seconds(11, 420);
                    None
                }
                4 => {
                    journey.back = random.seconds(5, 35);
                    None
                }
                5 => Some(VaultFault::NoEffect(Delivery::Reset)),
                6 => Some(VaultFault::NoEffect(Delivery::Never)),
                7 => Some(VaultFault::EffectThen(Delivery::Reset)),
                8 => Some(VaultFault::EffectThen(Delivery::Never)),
                9 => Some(VaultFault::throttled(*random.pick(&[1, 10, 600]))),
                _ => Some(
                    random.pick(&[VaultFault::failed(500), VaultFault::failed(503), VaultFault::page(502), VaultFault::Instead(forbidden())]).clone(),
                ),
            },
            None => None,
        };
        (journey, fault)
    }

    /// What befalls a request to the blob: its journey, a reply in place of any effect, or what becomes of the right one.
    pub fn blob(&self, now: Timestamp, random: &mut Random) -> (Journey, Option<Reply>, Option<Delivery>) {
        let mut journey = Journey { unreachable: false, there: random.millis(2, 15), back: random.millis(2, 15) };
        let error = |status, code: &str| Reply::new(status, &[("x-ms-error-code", code)], "");
        let busy = || error(503, "ServerBusy");
        let (instead, delivery) = match self.away(Port::Blob, now) {
            Some(Away::Unreachable) => {
                journey = Journey { unreachable: true, there: random.millis(1, 4_900), ..journey };
                (None, None)
            }
            Some(Away::Reset) => (Some(busy().delivered(Delivery::Reset)), None),
            Some(Away::Silent) => (Some(busy().delivered(Delivery::Never)), None),
            Some(Away::Failing) => (Some(error(500, "InternalError")), None),
            Some(Away::Throttled(_)) => (Some(busy()), None),
            Some(Away::Refusing) => (Some(error(403, "AuthorizationPermissionMismatch")), None),
            Some(Away::Deaf) => (None, Some(Delivery::Reset)),
            None if self.strikes(Port::Blob, now, random) => match random.below(9) {
                0 => {
                    journey.unreachable = true;
                    (None, None)
                }
                1 => {
                    journey.there = random.seconds(1, 40);
                    (None, None)
                }
                2 => {
                    journey.back = random.seconds(1, 15);
                    (None, None)
                }
                3 => (Some(busy().delivered(Delivery::Reset)), None),
                4 => (Some(busy().delivered(Delivery::Never)), None),
                5 => (None, Some(Delivery::Reset)),
                6 => (None, Some(Delivery::Never)),
                7 => (Some(error(412, "ConditionNotMet")), None),
                _ => (Some(random.pick(&[busy(), error(500, "InternalError"), error(500, "OperationTimedOut")]).clone()), None),
            },
            None => (None, None),
        };
        (journey, instead, delivery)
    }

    /// Whether the identity endpoint answers, and how long it takes. None: never.
    pub fn identity(&self, now: Timestamp, random: &mut Random) -> (Option<Duration>, bool) {
        match self.away(Port::Identity, now) {
            Some(Away::Silent) => (None, false),
            Some(_) => (Some(random.millis(2, 50)), false),
            None if self.strikes(Port::Identity, now, random) => (Some(random.millis(50, 4_000)), random.chance(5_000)),
            None => (Some(random.millis(2, 50)), true),
        }
    }

    /// Whether anything is wrong at this port between two times, as far as spans go.
    #[must_use]
    pub fn is_away_between(&self, port: Port, from: Timestamp, until: Timestamp) -> bool {
        self.spans.iter().any(|span| span.port == port && span.from <= until && from <= span.until)
    }
}

fn forbidden() -> Reply {
    let body = r#"{"error":{"code":"Forbidden","message":"SIMULATED","innererror":{"code":"ForbiddenByRbac"}}}"#;
    exact::Reply::new(403, &[("Content-Type", "application/json")], body)
}
