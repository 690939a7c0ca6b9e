//! One hour of three processes, in steps of 30 s: one that has the timer's ticks, two that are called.
//!
//! The clocks are moved between the steps, never while a request is under way. A tick may hold for Exact's gate over several steps, as it does in
//! real time; it looks at the clock every 5 s, so the last 5 s before the gate opens are waited for in real time.

mod ledger_blob;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::Value;
use simulators::exact_online::Outcome;
use simulators::functions_host::{FunctionsHost, Invocation, Verdict};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::azure::{OnAzure, SECRET};
use crate::stage::{PATIENCE, get_token, until};

const HOUR: i64 = 3_600;
const STEP: i64 = 30;
/// `0 */9 * * * *`: every nine minutes from each full hour.
const TICK_EVERY: i64 = 540;
/// From a grant to the first moment at which Exact grants the next.
const GATE: SignedDuration = SignedDuration::from_secs(570);
/// How long a tick that holds does not look at the clock.
const SLICE: SignedDuration = SignedDuration::from_secs(5);

struct Hour {
    world: OnAzure,
    begin: Timestamp,
    timer: Arc<FunctionsHost>,
    called: [Arc<FunctionsHost>; 2],
    tick: Option<JoinHandle<Invocation>>,
    ticks: Vec<Invocation>,
    calls: usize,
    refused: Vec<String>,
}

impl Hour {
    /// It begins with an import, at a full hour that does not end the UTC day.
    async fn begin() -> Self {
        let world = OnAzure::start().await;
        let next = world.stage.exact.now().round(Unit::Hour).unwrap() + SignedDuration::from_hours(1);
        let last_of_the_day = next.as_second().rem_euclid(24 * HOUR) == 23 * HOUR;
        let begin = if last_of_the_day { next + SignedDuration::from_hours(1) } else { next };
        let hosts = world.hosts(3).await;
        let [timer, one, two] = hosts.try_into().ok().unwrap();
        let this = Self { world, begin, timer, called: [one, two], tick: None, ticks: Vec::new(), calls: 0, refused: Vec::new() };
        this.advance_to(begin);
        this.world.stage.import().await;
        this
    }

    fn now(&self) -> Timestamp {
        self.world.stage.exact.now()
    }

    /// If that time is not over yet.
    fn advance_to(&self, time: Timestamp) {
        let left = time.duration_since(self.now());
        if left.is_positive() {
            self.world.pass_time(left.as_secs() + 1);
        }
    }

    async fn step(&mut self, second: i64) {
        let time = self.begin + SignedDuration::from_secs(second);
        if let Some(opens) = self.gate_opens().filter(|opens| *opens <= time) {
            if self.tick.is_some() {
                self.advance_to(opens - SLICE);
            }
            self.end_tick().await;
        }
        self.advance_to(time);
        if second % HOUR % TICK_EVERY == 0 {
            self.end_tick().await;
            self.begin_tick().await;
        }
        let granted = self.grants();
        let ask = "?min_validity=30&max_wait=20";
        let (one, two) = tokio::join!(get_token(&self.called[0], ask), get_token(&self.called[1], ask));
        for answer in [one, two] {
            self.calls += 1;
            if answer.status != 200 {
                self.refused.push(format!("at {second} s: {answer:?}"));
                continue;
            }
            assert!(self.world.stage.exact.is_alive(&answer.token()));
            assert!(answer.json()["expires_in"].as_i64().unwrap() >= 30, "{:?}", answer.json()["expires_in"]);
        }
        // A caller was quicker at this gate than the tick that holds for it.
        if self.grants() > granted {
            self.end_tick().await;
        }
    }

    fn grants(&self) -> usize {
        self.world.stage.exact.log().len()
    }

    /// When Exact grants the next pair at the earliest.
    fn gate_opens(&self) -> Option<Timestamp> {
        self.world.stage.exact.log().last().map(|last| last.at + GATE)
    }

    /// Until it is over or holds.
    async fn begin_tick(&mut self) {
        let holds = holds(&self.timer);
        let timer = Arc::clone(&self.timer);
        let tick = tokio::spawn(async move { timer.fire_scheduled().await.unwrap() });
        until("the tick is over or holds", || tick.is_finished() || self::holds(&self.timer) > holds).await;
        self.tick = Some(tick);
    }

    async fn end_tick(&mut self) {
        if let Some(tick) = self.tick.take() {
            self.ticks.push(tokio::time::timeout(PATIENCE, tick).await.unwrap().unwrap());
        }
    }
}

/// How often a tick has begun to hold.
fn holds(timer: &FunctionsHost) -> usize {
    timer.console().iter().filter(|line| line.text.contains("holding until Exact Online may be asked")).count()
}

#[tokio::test]
async fn one_grant_per_window_and_ledger_and_versions_agree() {
    let mut hour = Hour::begin().await;
    let since = Instant::now();
    for second in (0..=HOUR).step_by(usize::try_from(STEP).unwrap()) {
        hour.step(second).await;
    }
    hour.end_tick().await;
    let took = since.elapsed().as_secs();
    let world = &hour.world;

    // Exact: a pair per window, no request that it does not grant.
    let log = world.stage.exact.log();
    assert!(log.iter().all(|it| it.outcome == Outcome::Granted && it.granted), "{log:?}");
    world.stage.assert_requests(log.len());
    for pair in log.windows(2) {
        assert!(pair[1].at.duration_since(pair[0].at) >= GATE, "{log:?}");
    }
    let grants = log.len();
    // The seventh window opens at 3,420 s; it is the last of the hour.
    assert!((6..=7).contains(&grants), "{log:?}");

    // Callers: who asks for no more life than the last 30 s can be served at any time, since Exact may be asked once less is left.
    assert!(hour.refused.is_empty(), "{:#?}", hour.refused);
    assert_eq!(hour.calls, 2 * 121);
    // The timer: the ticks of an hour and the first of the next.
    assert_eq!(hour.ticks.len(), 8);
    for tick in &hour.ticks {
        assert_eq!((&tick.verdict, tick.status), (&Verdict::Success, Some(200)), "{:?}", tick.logs);
    }
    let refreshed = hour.ticks.iter().filter(|tick| tick.logs.iter().any(|line| line.starts_with("refreshed"))).count();

    // Vault: the import and the grants, each with the name of the attempt that brought it.
    let versions = world.vault.rules().versions(SECRET).to_vec();
    assert_eq!(versions.len(), grants + 1);
    let attempts: BTreeSet<&String> = versions.iter().map(|version| &version.tags["attempt"]).collect();
    assert_eq!(attempts.len(), versions.len());
    let values: Vec<Value> = versions.iter().map(|version| serde_json::from_str(&version.value).unwrap()).collect();
    for (version, value) in versions.iter().zip(&values) {
        assert_eq!(version.tags["attempt"], value["attempt"].as_str().unwrap());
    }

    // Ledger: as it stands in the blob and as the program reads it.
    let ledger = ledger_blob::read(world).await;
    let granted_at = |value: &Value| value["granted_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let latest = (0..values.len()).max_by_key(|at| granted_at(&values[*at])).unwrap();
    assert_eq!(ledger["head"]["version"], *versions[latest].id, "{ledger}");
    assert_eq!(ledger["head"]["granted_at"], values[latest]["granted_at"]);
    assert_eq!(ledger["open"].as_array().map_or(0, Vec::len), 0, "{ledger}");
    assert_eq!(ledger["today"]["requests"], grants);
    let status = world.stage.status().await;
    assert_eq!((&status["state"], &status["generation"]), (&"connected".into(), &ledger["generation"]), "{status}");
    assert_eq!((&status["requests_today"], &status["ungranted_this_hour"]), (&grants.into(), &0.into()), "{status}");
    assert!(values[latest]["refresh_token"].as_str() == world.stage.exact.newest_refresh_token().as_deref(), "Exact takes another token next");

    let at: Vec<i64> = log.iter().map(|it| it.at.duration_since(hour.begin).as_secs()).collect();
    println!("measured: a simulated hour of three processes, in {took} s");
    println!("measured:   grants at Exact        {grants}, at {at:?} s");
    println!("measured:   refused by Exact       0");
    println!("measured:   ticks of the timer     {}, {refreshed} of them refreshed", hour.ticks.len());
    println!("measured:   calls of GetToken      {}, all of them served", hour.calls);
    println!("measured:   versions in the vault  {}: the import and the grants", versions.len());
    println!("measured:   writes of the ledger   {}", ledger["generation"]);
    let (to_vault, to_storage) = (world.vault_requests(0).len(), world.storage_requests().await.len());
    println!("measured:   requests to the vault  {to_vault}, to the blob service {to_storage}");

    // And it goes on.
    world.pass_time(575);
    let next = world.stage.granted().await;
    assert!(world.stage.exact.is_alive(&next));
    assert_eq!(world.stage.outcomes(), vec![Outcome::Granted; grants + 1]);
}
