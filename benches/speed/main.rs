//! How fast the program is, as ratios to a bare axum handler that returns the same bytes on the same machine at the same time. Run by `cargo bench`;
//! ends with an error that names what missed its target, unless `--report` is given (`cargo bench -- --report`). With `--check` it measures nothing: it
//! makes sure that a measurement could begin.
//!
//! The shipped binary is measured, wired as in Azure and called as the Functions host calls it. Its runs and the bare handler's take turns, so that
//! whatever else the machine does meets both; a row is the median of the ratios of the pairs.

mod handler;
mod load;
mod product;
mod table;

use std::io::Write;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use handler::Handler;
use load::{Ran, Reply};
use product::Product;
use table::{Measured, Row, Target};

/// Pairs of runs. Within a pair program and bare handler take turns after a tenth of a second or so, for what the machine does besides changes by the
/// second.
const RUNS: usize = 5;
const TURNS: usize = 20;
const CALLS_A_TURN: usize = 5_000;
/// Calls before the first run: what is allocated once, is.
const WARM_UP: usize = 5_000;
/// Pairs of starts. They last a few milliseconds each and scatter more.
const STARTS: usize = 25;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let (report_only, check) = (asked("--report"), asked("--check"));
    let profile = if check { "dev" } else { "release" };
    let product = Product::connected(handler::build(profile, &["--bin", "exact-token-broker"])?).await?;
    let bare = handler::build(profile, &["--example", "bare_handler"])?;
    let bare = |port: u16, replies: &Replies| replies.bare(Command::new(&bare), port);
    let mut out = std::io::stdout().lock();
    if check {
        side_by_side(&product, &bare).await?;
        writeln!(out, "program and bare handler answer the same")?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = measure(&product, bare).await?;
    let cores = std::thread::available_parallelism()?;
    writeln!(out, "\nMedians over {RUNS} pairs of runs of {} calls, {STARTS} pairs of starts; {cores} cores.\n", TURNS * CALLS_A_TURN)?;
    writeln!(out, "| what | target | measured |\n|---|---|---|")?;
    for row in &rows {
        writeln!(out, "{row}")?;
    }
    let missed: Vec<&Row> = rows.iter().filter(|row| !row.is_met()).collect();
    for row in &missed {
        writeln!(out, "\nmissed: {}", row.what)?;
    }
    Ok(if missed.is_empty() || report_only { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the program answers, and the bare handler is to answer.
struct Replies {
    alive: Reply,
    token: Reply,
}

impl Replies {
    async fn of(handler: &Handler) -> anyhow::Result<Self> {
        Ok(Self { alive: load::once(handler.port, "/").await?, token: load::once(handler.port, "/api/GetToken").await? })
    }

    fn bare(&self, mut command: Command, port: u16) -> Command {
        command.arg(port.to_string()).args([&self.alive.body, &self.token.body]).args(self.token.headers());
        command
    }
}

/// Both, answering the same, and warm.
async fn side_by_side(product: &Product, bare: impl Fn(u16, &Replies) -> Command) -> anyhow::Result<([Handler; 2], Replies)> {
    let ours = Handler::start(|port| product.serving(port))?;
    let replies = Replies::of(&ours).await?;
    ensure!(replies.alive.is_ok() && replies.token.is_ok() && !replies.token.body.contains("warnings"), "{}", replies.token.body);
    let theirs = Handler::start(|port| bare(port, &replies))?;
    let same = Replies::of(&theirs).await?;
    ensure!((&same.alive.body, &same.token.body) == (&replies.alive.body, &replies.token.body), "the bare handler answers otherwise");
    ensure!(same.token.headers() == replies.token.headers() && same.alive.headers() == replies.alive.headers(), "and with other headers");

    for handler in [&ours, &theirs] {
        load::run(handler.port, WARM_UP, &replies.token).await?;
    }
    Ok(([ours, theirs], replies))
}

async fn measure(product: &Product, bare: impl Fn(u16, &Replies) -> Command) -> anyhow::Result<Vec<Row>> {
    let ([ours, theirs], replies) = side_by_side(product, &bare).await?;
    let (mut throughput, mut p99, mut processor) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..RUNS {
        let before = [ours.ticks()?, theirs.ticks()?];
        let mut ran = [Ran::default(), Ran::default()];
        for turn in 0..TURNS {
            let of = async |handler: &Handler| load::run(handler.port, CALLS_A_TURN, &replies.token).await;
            let more = in_turn(turn, [&ours, &theirs], of).await?;
            ran.iter_mut().zip(more).for_each(|(ran, more)| ran.add(more));
        }
        // Absolute times are this machine's and this minute's; they are shown, and not part of the table.
        let shown = ran.each_ref().map(|ran| format!("{:.0} calls/s, p99 {:?}", ran.per_second(), ran.p99()));
        writeln!(std::io::stderr(), "run {}: {}; bare: {}", pair + 1, shown[0], shown[1])?;
        throughput.push(ran[0].per_second() / ran[1].per_second());
        p99.push(ran[0].p99().as_secs_f64() / ran[1].p99().as_secs_f64());
        processor.push(f64::from(ours.ticks()? - before[0]) / f64::from(theirs.ticks()? - before[1]));
    }
    let resident = Measured::Bytes(ours.resident()?, Some(theirs.resident()?));
    ensure!(product.requests() == 1, "{} token requests were made", product.requests());
    drop((ours, theirs));

    let mut starts = Vec::new();
    for pair in 0..STARTS {
        let [ours, theirs] = in_turn(pair, [true, false], async |ours| {
            let handler = if ours { Handler::start(|port| product.serving(port)) } else { Handler::start(|port| bare(port, &replies)) };
            Ok(handler?.started_in)
        })
        .await?;
        starts.push(ours.as_secs_f64() / theirs.as_secs_f64());
    }
    let binary = std::fs::metadata(&product.binary).context("the binary has no size")?.len();
    Ok(vec![
        Row { what: "calls of a warm `GetToken` per second", target: Target::AtLeast(0.9), measured: Measured::Ratios(throughput) },
        Row { what: "their latency, 99th percentile", target: Target::AtMost(1.3), measured: Measured::Ratios(p99) },
        Row { what: "processor time per call", target: Target::None, measured: Measured::Ratios(processor) },
        Row { what: "start of the process to its first answered `GET /`", target: Target::AtMost(2.0), measured: Measured::Ratios(starts) },
        Row { what: "memory (RSS) after 500,000 calls", target: Target::AtMost(16.0), measured: resident },
        Row { what: "release binary", target: Target::AtMost(12.0), measured: Measured::Bytes(binary, None) },
    ])
}

/// The same for the program and for the bare handler, which of them first changing from pair to pair.
async fn in_turn<S, T>(pair: usize, [ours, theirs]: [S; 2], act: impl AsyncFn(S) -> anyhow::Result<T>) -> anyhow::Result<[T; 2]> {
    if pair.is_multiple_of(2) {
        let ours = act(ours).await?;
        Ok([ours, act(theirs).await?])
    } else {
        let theirs = act(theirs).await?;
        Ok([act(ours).await?, theirs])
    }
}

const _: () = assert!(RUNS * TURNS * CALLS_A_TURN == 500_000, "as the table says");
