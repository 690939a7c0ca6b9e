//! `cargo simulate`: histories from seeds, one with its journal, or many with their numbers.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program that prints")]

mod plots;
mod report;

use std::hash::{DefaultHasher, Hasher};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use simulation::availability;
use simulation::history::live;
use simulation::run::{Sum, run};
use simulation::world::facts::Facts;

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
    report: Option<PathBuf>,
    /// How many at a time.
    #[arg(long)]
    threads: Option<usize>,
    /// Keeps what was counted here, every 500 histories. What is there already, of the first of these seeds, is not lived through again.
    #[arg(long, conflicts_with = "until_first")]
    keep: Option<PathBuf>,
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
    println!("{}", numbers(&sum.facts));
    complain(&sum);
    if let Some(page) = &arguments.report
        && let Err(problem) = write_report(page, &arguments, &sum)
    {
        eprintln!("{problem:#}");
        return ExitCode::FAILURE;
    }
    if sum.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All of them; in pieces, where they are kept.
fn counted(arguments: &Arguments, threads: usize) -> anyhow::Result<Sum> {
    const PIECE: u64 = 500;
    let (first, last) = (*arguments.seeds.start(), *arguments.seeds.end());
    let Some(keep) = &arguments.keep else { return Ok(run(arguments.seeds.clone(), threads, arguments.until_first)) };
    let mut sum = Sum::default();
    let header = header(first)?;
    if let Ok(text) = std::fs::read_to_string(keep) {
        let counted = text.strip_prefix(&header);
        let counted = counted.with_context(|| format!("{} was counted from another first seed or by another build: delete it", keep.display()))?;
        sum.facts = Facts::from_text(counted).with_context(|| format!("{} is not what was counted", keep.display()))?;
    }
    let mut from = first + sum.facts.histories;
    while from <= last {
        let until = last.min(from + PIECE - 1);
        let piece = run(from..=until, threads, false);
        complain(&piece);
        sum.facts.add(&piece.facts);
        sum.failures.extend(piece.failures);
        // A promise that was not kept is told every time, so nothing of its piece is kept.
        if sum.failures.is_empty() {
            std::fs::write(keep, format!("{header}{}", sum.facts.to_text())).with_context(|| keep.display().to_string())?;
        }
        from = until + 1;
    }
    Ok(sum)
}

/// What was counted from another seed on, or by another program, is not added to.
fn header(first: u64) -> anyhow::Result<String> {
    let program = std::env::current_exe().and_then(std::fs::read).context("the program cannot read itself")?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&program);
    Ok(format!("from seed {first} by build {:016x}\n", hasher.finish()))
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

/// The numbers, for a person at a terminal; `mutants.sh` reads the first line.
fn numbers(facts: &Facts) -> String {
    let mut text: Vec<String> = report::rows(facts).into_iter().map(|(name, value)| format!("{name:68} {value}")).collect();
    text.extend(facts.events.iter().map(|(name, count)| format!("  {name:66} {count}")));
    text.push("chains lost".to_owned());
    text.extend(facts.lost.iter().map(|(cause, count)| format!("  {cause:66} {count}")));
    text.join("\n")
}

/// The page and its plots; what is quiet is lived through for it.
fn write_report(page: &Path, arguments: &Arguments, sum: &Sum) -> anyhow::Result<()> {
    anyhow::ensure!(sum.failures.is_empty(), "{} is not written: a promise was not kept", page.display());
    let (cells, broken) = availability::table();
    anyhow::ensure!(broken == 0, "in {broken} of the quiet histories a promise was not kept");
    let seeds = &arguments.seeds;
    let command = format!("cargo simulate --seeds {}..{} --report {}", seeds.start(), seeds.end(), page.display());
    report::write(page, &sum.facts, &cells, &command)
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
