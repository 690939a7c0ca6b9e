//! `cargo simulate`: histories from seeds, one with its journal, or many with their numbers.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program that prints")]

use std::ops::RangeInclusive;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use simulation::history::live;
use simulation::run::{Sum, run};
use simulation::world::facts::{Facts, percentile};

/// Lives through histories of whole function apps, and says what was lost and why.
#[derive(Parser)]
struct Arguments {
    /// The first seed and the last: `1..2000`.
    #[arg(long, default_value = "1..200", value_parser = seeds)]
    seeds: RangeInclusive<u64>,
    /// One history alone.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// With its journal.
    #[arg(long, requires = "seed")]
    log: bool,
    /// Ends at the first history in which a promise is not kept.
    #[arg(long)]
    until_first: bool,
    /// Writes the numbers into this page.
    #[arg(long)]
    report: Option<std::path::PathBuf>,
    /// How many at a time.
    #[arg(long)]
    threads: Option<usize>,
    /// Keeps what was counted here, every 500 histories.
    #[arg(long)]
    keep: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        return one(seed, arguments.log);
    }
    let threads = arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let sum = match counted(&arguments, threads) {
        Ok(sum) => sum,
        Err(problem) => {
            eprintln!("{problem:#}");
            return ExitCode::FAILURE;
        }
    };
    let numbers = numbers(&sum);
    println!("{numbers}");
    complain(&sum);
    if let Some(page) = &arguments.report
        && let Err(problem) = write_into(page, &numbers, &arguments.seeds)
    {
        eprintln!("{problem:#}");
        return ExitCode::FAILURE;
    }
    if sum.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All of them, in pieces that are kept.
fn counted(arguments: &Arguments, threads: usize) -> anyhow::Result<Sum> {
    const PIECE: u64 = 500;
    let (first, last) = (*arguments.seeds.start(), *arguments.seeds.end());
    let Some(keep) = &arguments.keep else { return Ok(run(arguments.seeds.clone(), threads, arguments.until_first)) };
    let mut sum = Sum::default();
    let mut from = first;
    while from <= last && !(arguments.until_first && !sum.failures.is_empty()) {
        let until = last.min(from + PIECE - 1);
        let piece = run(from..=until, threads, arguments.until_first);
        sum.facts.add(&piece.facts);
        sum.failures.extend(piece.failures);
        complain(&Sum { facts: Facts::default(), failures: sum.failures.clone() });
        std::fs::write(keep, sum.facts.to_text()).with_context(|| keep.display().to_string())?;
        from = until + 1;
    }
    Ok(sum)
}

fn one(seed: u64, log: bool) -> ExitCode {
    let history = live(seed);
    if log {
        print!("{}", history.journal);
    }
    let facts = &history.facts;
    println!(
        "seed {seed}: {} virtual hours, {} rotations, {} requests, lost: {:?}",
        facts.seconds / 3_600,
        facts.rotations,
        facts.requests,
        facts.lost
    );
    for what in &history.broken {
        println!("NOT KEPT: {what}");
    }
    if history.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The numbers, as the report has them.
fn numbers(sum: &Sum) -> String {
    let facts = &sum.facts;
    let mut text = Vec::new();
    text.push(format!("histories                                {}", facts.histories));
    text.push(format!("virtual days                             {}", facts.seconds / 86_400));
    text.push(format!("rotations                                {}", facts.rotations));
    text.push(format!("requests, of them without a grant        {}, {}", facts.requests, facts.ungranted));
    text.push(format!("most without a grant in an hour          {}", facts.most.0));
    text.push(format!("most requests in a UTC day               {}", facts.most.1));
    text.push(format!("ticks; calls of GetToken, of them served {}; {}, {}", facts.ticks, facts.calls, facts.served));
    text.push(format!("time with a token of a minute's life     {} of {} samples", facts.warm.0, facts.warm.0 + facts.warm.1));
    let [half, most] = [50, 99].map(|percent| percentile(&facts.gaps, percent));
    text.push(format!("time without it, p50, p99, longest, in s {half}, {most}, {}", percentile(&facts.gaps, 100)));
    let [half, most] = [50, 99].map(|percent| percentile(&facts.recovered, percent));
    text.push(format!("served again after faults, likewise      {half}, {most}, {}", percentile(&facts.recovered, 100)));
    for (name, count) in &facts.events {
        text.push(format!("  {name:50} {count}"));
    }
    text.push("chains lost".to_owned());
    for (cause, count) in &facts.lost {
        text.push(format!("  {cause:50} {count}"));
    }
    text.join("\n")
}

/// Puts the numbers into a page, between its marks.
fn write_into(page: &std::path::Path, numbers: &str, seeds: &RangeInclusive<u64>) -> anyhow::Result<()> {
    const MARKS: [&str; 2] = ["<!-- numbers -->", "<!-- end of numbers -->"];
    let text = std::fs::read_to_string(page)?;
    let (before, rest) = text.split_once(MARKS[0]).context("the page has no mark for the numbers")?;
    let (_, after) = rest.split_once(MARKS[1]).context("the page has no mark for the end of the numbers")?;
    let command = format!("cargo simulate --seeds {}..{} --report {}", seeds.start(), seeds.end(), page.display());
    std::fs::write(page, format!("{before}{}\n\n`{command}`:\n\n```text\n{numbers}\n```\n\n{}{after}", MARKS[0], MARKS[1]))?;
    Ok(())
}

fn complain(sum: &Sum) {
    for failure in sum.failures.iter().take(20) {
        eprintln!("NOT KEPT in seed {}: {} (again: cargo simulate --seed {} --log)", failure.seed, failure.what, failure.seed);
    }
    if sum.failures.len() > 20 {
        eprintln!("and {} more", sum.failures.len() - 20);
    }
}

/// `1..2000`, both ends included.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let wrong = || format!("{text:?} is not of the form 1..2000");
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    let (first, last) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if first > last { Err(wrong()) } else { Ok(first..=last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_includes_both_ends() {
        assert_eq!(seeds("1..3"), Ok(1..=3));
        for odd in ["", "1", "3..1", "a..b", "1..=2"] {
            assert!(seeds(odd).is_err(), "{odd}");
        }
    }
}
