//! What a seed means: how Exact behaves, how the app is used, what goes wrong and how often. Drawn before anything happens.

use std::time::Duration;

use exact_token_broker::token::schedule::Mode;
use jiff::Timestamp;
use simulators::exact_online::{Config, ExpiresIn, Gate, Grace, OldToken, TooEarly};

use crate::random::Random;
use crate::world::weather::Weather;

/// How long faults go on, in seconds.
const FAULTS: (u64, u64) = (2 * 3_600, 10 * 3_600);

/// Everything that is decided beforehand.
#[derive(Debug)]
pub struct Scenario {
    /// Where it comes from.
    pub seed: u64,
    /// Exact's switches.
    pub exact: Config,
    /// `REFRESH_POLICY`.
    pub mode: Mode,
    /// When it begins.
    pub start: Timestamp,
    /// When faults stop.
    pub calm_from: Timestamp,
    /// What goes wrong at the ports.
    pub weather: Weather,
    /// What befalls processes.
    pub fates: Fates,
    /// Who asks for tokens.
    pub callers: Callers,
    /// Minutes between two ticks.
    pub tick_minutes: i64,
    /// For whoever draws while it runs.
    pub random: Random,
}

/// What befalls processes: the mean time between two such things, for the whole app. None: never.
#[derive(Clone, Copy, Debug)]
pub struct Fates {
    /// The most processes at a time.
    pub most: u64,
    /// Started, scaled in, restarted.
    pub scaled: Option<Duration>,
    /// Killed.
    pub killed: Option<Duration>,
    /// Frozen.
    pub frozen: Option<Duration>,
    /// Frozen right before a request to Exact leaves.
    pub at_the_socket: Option<Duration>,
    /// Whether clocks are off by up to 30 s, not 2.
    pub wild_clocks: bool,
    /// Whether a process of another installation, with another storage account, comes along.
    pub misplaced: bool,
    /// How often a person consents although nobody asked.
    pub consents: Option<Duration>,
    /// How often a person brings a token from elsewhere although nobody asked. Where this happens they sometimes do so when asked, too.
    pub imports: Option<Duration>,
    /// How often the timer's listener fails over.
    pub failed_over: Option<Duration>,
}

/// Who asks for tokens.
#[derive(Clone, Copy, Debug)]
pub struct Callers {
    /// The mean time between two single calls. None: there are none.
    pub trickle: Option<Duration>,
    /// The mean time between two bursts.
    pub burst: Option<Duration>,
    /// Whether all of them ask as Data Factory does by itself: a minute's life, and 200 s of patience.
    pub plain: bool,
}

impl Scenario {
    /// What this seed means.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let start = Timestamp::from_second(1_800_000_000 + i64::try_from(random.below(86_400)).unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH);
        let faults = random.seconds(FAULTS.0, FAULTS.1);
        let calm_from = start + faults;
        let exact = exact(&mut random);
        let mode = if random.chance(2_000) { Mode::OnDemand } else { Mode::KeepWarm };
        let weather = Weather::draw(&mut random, start, calm_from).and_after_a_grant(Random::new(seed ^ 9));
        let minutes = |random: &mut Random, chance, least, most| random.chance(chance).then(|| Duration::from_secs(60 * random.between(least, most)));
        let fates = Fates {
            most: if random.chance(4_000) { 1 } else { random.between(2, 8) },
            scaled: minutes(&mut random, 7_000, 20, 120),
            killed: minutes(&mut random, 6_000, 10, 90),
            frozen: minutes(&mut random, 4_000, 10, 90),
            // Drawn apart from the rest.
            at_the_socket: minutes(&mut Random::new(seed ^ 0xb), 1_500, 10, 60),
            wild_clocks: random.chance(2_000),
            misplaced: random.chance(500),
            consents: minutes(&mut random, 1_500, 100, 400),
            // Drawn apart from the rest.
            imports: minutes(&mut Random::new(seed ^ 0xa), 1_500, 60, 300),
            failed_over: minutes(&mut random, 3_000, 30, 180),
        };
        let callers = Callers {
            trickle: random.chance(7_000).then(|| random.seconds(30, 900)),
            burst: random.chance(4_000).then(|| random.seconds(1_800, 10_800)),
            plain: false,
        };
        let tick_minutes = 9;
        Self { seed, exact, mode, start, calm_from, weather, fates, callers, tick_minutes, random: random.fork() }
    }
}

impl Scenario {
    /// Eight hours in which nothing goes wrong, but that Exact is away once for so long.
    #[must_use]
    pub fn quiet(seed: u64, tick_minutes: i64, mode: Mode, outage: Duration) -> Self {
        let scenario = Self::of(seed);
        let mut random = scenario.random.clone();
        let from = scenario.start + random.seconds(3_600, 2 * 3_600);
        let calm_from = scenario.start + Duration::from_hours(8);
        let fates = Fates {
            most: 2,
            scaled: None,
            killed: None,
            frozen: None,
            at_the_socket: None,
            wild_clocks: false,
            misplaced: false,
            consents: None,
            imports: None,
            failed_over: None,
        };
        Self {
            exact: Config { both_answered: Duration::ZERO, ..scenario.exact },
            mode,
            calm_from,
            weather: Weather::one_outage(from, from + outage, calm_from),
            fates,
            callers: Callers { trickle: Some(Duration::from_mins(7)), burst: None, plain: true },
            tick_minutes,
            ..scenario
        }
    }
}

fn exact(random: &mut Random) -> Config {
    Config {
        grace: *random.pick(&[Grace::None, Grace::None, Grace::Seconds(600), Grace::UntilNewUsed]),
        gate: *random.pick(&[Gate::BeforeTokenCheck, Gate::AfterTokenCheck]),
        old_token: *random.pick(&[OldToken::OldRefreshTokenUsed, OldToken::ChainId]),
        too_early: *random.pick(&[TooEarly::AccessDenied400, TooEarly::AccessDenied401, TooEarly::InvalidRequest400]),
        expires_in: *random.pick(&[ExpiresIn::Text, ExpiresIn::Number]),
        both_answered: if random.chance(2_500) { Duration::from_secs(2) } else { Duration::ZERO },
        seed: random.below(u64::MAX),
        ..Config::default()
    }
}
