//! The live checks against every Exact Online that somebody has described: each has to be told apart from the others, within the limits and without a
//! secret in anything that is printed.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::exact_online::ExactOnline;
use exact_token_broker::exact_online::wire::{Broken, Chunks, Incoming, NotAnswered, Wire};
use exact_token_broker::live::finding::{Findings, Gate, Grace, Previous};
use exact_token_broker::live::plan::{Ended, UNGRANTED_AN_HOUR};
use exact_token_broker::live::{Event, Experiment, MINUTES, REQUESTS, Report, Start};
use exact_token_broker::ports::Clock;
use exact_token_broker::token::{Fingerprint, Secret};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use simulators::exact_online::{self as simulated, Config, Delivery, MARKER, Rules, TokenRequest};

use super::world::{BASE_URL, START};

use Previous::{Dead, Good, Hidden, Untold};

pub(crate) const REDIRECT_URI: &str = "https://localhost/";

/// Exact Online and the time.
pub(crate) struct Stage {
    pub(crate) rules: Mutex<Rules>,
    began: tokio::time::Instant,
    pub(crate) reachable: Mutex<Vec<bool>>,
}

impl Stage {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        Arc::new(Self { rules: Mutex::new(Rules::new(config)), began: tokio::time::Instant::now(), reachable: Mutex::default() })
    }

    /// All that a person would see, and the report itself.
    pub(crate) async fn run(self: &Arc<Self>, start: Start, stop: impl Future<Output = ()>) -> (Report, String, Option<Fingerprint>) {
        let config = self.rules.lock().unwrap().config().clone();
        let exact = ExactOnline::over(Arc::clone(self) as _, BASE_URL.to_owned(), config.client_id, Secret::new(config.client_secret));
        let experiment = Experiment { probe: Arc::new(exact), clock: Arc::clone(self) as _ };
        let (mut said, mut newest) = (String::new(), None);
        let report = experiment
            .run(start, stop, &mut |event| match event {
                Event::Answered(record) => drop(writeln!(said, "{record}")),
                Event::Waiting { step, until, left } => drop(writeln!(said, "{} {until:?} {left}", step.words())),
                Event::NewToken(token) => newest = Some(Fingerprint::of(token)),
                Event::Finishing => said.push_str("finishing\n"),
            })
            .await;
        write!(said, "{report}\n{report:?}").unwrap();
        assert!(!said.contains(MARKER) && !said.to_lowercase().contains(&MARKER.to_lowercase()), "{said}");
        let rules = self.rules.lock().unwrap();
        assert!(rules.violations().is_empty(), "{:?}", rules.violations());
        assert!(rules.max_ungranted_in_an_hour() <= UNGRANTED_AN_HOUR, "{said}");
        drop(rules);
        (report, said, newest)
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stage")
    }
}

#[async_trait]
impl Wire for Stage {
    async fn send(&self, request: reqwest::Request) -> Result<Incoming, NotAnswered> {
        if self.reachable.lock().unwrap().pop() == Some(false) {
            return Err(NotAnswered::NeverLeft);
        }
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let request = TokenRequest {
            method: request.method().to_string(),
            query: request.url().query().map(str::to_owned),
            headers: request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec(),
        };
        let reply = self.rules.lock().unwrap().token(self.now(), &request);
        let cut = match reply.delivery {
            Delivery::Whole => false,
            Delivery::Cut => true,
            Delivery::After(delay) => {
                self.sleep(delay).await;
                false
            }
            Delivery::Never => std::future::pending().await,
            Delivery::Reset => return Err(NotAnswered::Lost),
        };
        let headers = reply.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let bytes = if cut { reply.body[..reply.body.len() / 2].to_vec() } else { reply.body };
        Ok(Incoming { status: StatusCode::from_u16(reply.status).unwrap(), headers, body: Box::new(Pieces { left: Some(bytes), cut }) })
    }
}

/// A body in one piece, and perhaps its breaking off.
struct Pieces {
    left: Option<Vec<u8>>,
    cut: bool,
}

#[async_trait]
impl Chunks for Pieces {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        match self.left.take() {
            None if self.cut => Err(Broken),
            piece => Ok(piece),
        }
    }
}

#[async_trait]
impl Clock for Stage {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(START).unwrap() + SignedDuration::try_from(self.began.elapsed()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// On a chain whose last grant is long ago.
pub(crate) async fn rested(config: Config) -> (Arc<Stage>, Start) {
    let stage = Stage::new(config);
    let token = stage.rules.lock().unwrap().issue_chain(stage.now());
    tokio::time::sleep(Duration::from_hours(3)).await;
    (stage, Start::Token(Secret::new(token)))
}

pub(crate) async fn found(config: Config) -> Report {
    let (stage, start) = rested(config).await;
    let before = stage.now();
    let (report, said, newest) = stage.run(start, std::future::pending()).await;
    assert_eq!((report.ended, report.left.len()), (Ended::Complete, 0), "{said}");
    let minutes = stage.now().duration_since(before).as_mins();
    assert!((MINUTES[0]..=MINUTES[1]).contains(&minutes), "{minutes} minutes");
    assert!((REQUESTS[0]..=REQUESTS[1]).contains(&report.records.len()), "{} requests: {report}", report.records.len());
    assert!(!report.to_string().contains("unexpected"), "{report}");
    let alive = stage.rules.lock().unwrap().newest_refresh_token().map(|token| Fingerprint::of(&Secret::new(token)));
    assert_eq!(newest, alive, "the newest token can be kept");
    report
}

/// What is found out where Exact Online is like that.
async fn tells(grace: simulated::Grace, gate: simulated::Gate, expected: Findings) -> Report {
    let report = found(Config { grace, gate, ..Config::default() }).await;
    assert_eq!(report.findings, expected, "{report}");
    report
}

/// The previous token unused, unused once more, and used; a gate that is asked first hides it for the first two questions of three.
fn findings(gate: Gate, [unused, unused_again, used]: [Previous; 3], grace: Grace) -> Findings {
    let seen = |previous| if gate == Gate::First { [Hidden, Hidden, previous] } else { [previous; 3] };
    Findings { gate, twice: false, unused: seen(unused), unused_again, used: seen(used), grace, chain_lives: Some(true) }
}

#[tokio::test(start_paused = true)]
async fn no_grace_and_the_gate_first() {
    let report = tells(simulated::Grace::None, simulated::Gate::BeforeTokenCheck, findings(Gate::First, [Dead, Untold, Dead], Grace::None)).await;
    assert!(report.to_string().contains("set REFRESH_POLICY=on-demand"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn no_grace_and_the_token_first() {
    tells(simulated::Grace::None, simulated::Gate::AfterTokenCheck, findings(Gate::AfterTokenCheck, [Dead, Untold, Dead], Grace::None)).await;
}

#[tokio::test(start_paused = true)]
async fn no_grace_and_no_gate() {
    tells(simulated::Grace::None, simulated::Gate::Off, findings(Gate::None, [Dead, Untold, Dead], Grace::None)).await;
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_and_the_gate_first() {
    let report =
        tells(simulated::Grace::Seconds(600), simulated::Gate::BeforeTokenCheck, findings(Gate::First, [Good, Dead, Dead], Grace::EndsByTime)).await;
    assert!(report.to_string().contains("may stay keep-warm"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_and_the_token_first() {
    tells(simulated::Grace::Seconds(600), simulated::Gate::AfterTokenCheck, findings(Gate::AfterTokenCheck, [Good, Dead, Dead], Grace::EndsByTime))
        .await;
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_and_no_gate() {
    tells(simulated::Grace::Seconds(600), simulated::Gate::Off, findings(Gate::None, [Good, Dead, Dead], Grace::EndsByTime)).await;
}

#[tokio::test(start_paused = true)]
async fn until_the_new_one_is_used_and_the_gate_first() {
    tells(
        simulated::Grace::UntilNewUsed,
        simulated::Gate::BeforeTokenCheck,
        findings(Gate::First, [Good, Good, Dead], Grace::EndsWithTheUseOfTheNew),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn until_the_new_one_is_used_and_the_token_first() {
    tells(
        simulated::Grace::UntilNewUsed,
        simulated::Gate::AfterTokenCheck,
        findings(Gate::AfterTokenCheck, [Good, Good, Dead], Grace::EndsWithTheUseOfTheNew),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn until_the_new_one_is_used_and_no_gate() {
    tells(simulated::Grace::UntilNewUsed, simulated::Gate::Off, findings(Gate::None, [Good, Good, Dead], Grace::EndsWithTheUseOfTheNew)).await;
}

/// One Exact Online that answers both of two requests within a few seconds, whatever its gate and its grace: gate and grace are found all the same.
#[tokio::test(start_paused = true)]
async fn two_uses_at_once_that_are_both_answered_are_told_apart_from_gate_and_grace() {
    use simulated::Gate::{AfterTokenCheck, BeforeTokenCheck, Off};
    for (grace, [unused, again, used], grace_found) in [
        (simulated::Grace::None, [Dead, Untold, Dead], Grace::None),
        (simulated::Grace::Seconds(600), [Good, Dead, Dead], Grace::EndsByTime),
        (simulated::Grace::UntilNewUsed, [Good, Good, Dead], Grace::EndsWithTheUseOfTheNew),
    ] {
        for (gate, gate_found) in [(BeforeTokenCheck, Gate::First), (AfterTokenCheck, Gate::AfterTokenCheck), (Off, Gate::None)] {
            let report = found(Config { grace, gate, both_answered: Duration::from_secs(3), ..Config::default() }).await;
            // Without a gate a grace answers the second use anyway: nothing is to be told apart there.
            let twice = gate != Off || grace == simulated::Grace::None;
            let mut expected = findings(gate_found, [unused, again, used], grace_found);
            (expected.twice, expected.unused[0]) = (twice, Good);
            assert_eq!(report.findings, expected, "{grace:?}, {gate:?}: {report}");
            let said = report.to_string();
            assert_eq!(said.contains("two at once: a second use 1 s after the first was answered, too: two pairs"), twice, "{said}");
            assert!(!said.contains("contradict") && !said.contains("run it once more"), "{said}");
        }
    }
}
