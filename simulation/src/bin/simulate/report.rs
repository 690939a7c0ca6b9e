//! The page's numbers and its plots.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use exact_token_broker::token::schedule::Mode;
use simulation::availability::{Cell, OUTAGES, POLICIES, SCHEDULES};
use simulation::world::facts::{Facts, percentile};

use crate::plots::{Axis, Line, bars, float, lines};

/// Puts the numbers into a page, between its marks, and the plots beside it.
pub(super) fn write(page: &Path, facts: &Facts, cells: &[Cell], command: &str) -> anyhow::Result<()> {
    const MARKS: [&str; 2] = ["<!-- numbers -->", "<!-- end of numbers -->"];
    let text = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let (before, rest) = text.split_once(MARKS[0]).context("the page has no mark for the numbers")?;
    let (_, after) = rest.split_once(MARKS[1]).context("the page has no mark for the end of the numbers")?;
    let numbers = markdown(facts, cells, command);
    std::fs::write(page, format!("{before}{}\n\n{numbers}\n{}{after}", MARKS[0], MARKS[1]))?;
    let plots = [("losses", losses(facts)), ("gaps", gaps(facts)), ("availability", availability(cells))];
    for (name, plot) in plots {
        let path = page.with_file_name(format!("reliability-{name}.svg"));
        std::fs::write(&path, plot).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// What a person reads at the end of a run.
pub(super) fn rows(facts: &Facts) -> Vec<(&'static str, String)> {
    let event = |name: &str| facts.events.get(name).copied().unwrap_or(0);
    let lengths = |of: &BTreeMap<u64, u64>| format!("{}, {}, {}", percentile(of, 50), percentile(of, 99), percentile(of, 100));
    let faults: u64 = facts.events.iter().filter(|(name, _)| name.starts_with("fault ")).map(|(_, count)| count).sum();
    let lost: u64 = facts.lost.values().sum();
    vec![
        ("histories", facts.histories.to_string()),
        ("virtual years", tenths(facts.seconds * 10 / 31_557_600)),
        ("rotations", facts.rotations.to_string()),
        ("requests to Exact, of them without a grant", format!("{}, {}", facts.requests, facts.ungranted)),
        ("requests per rotation", hundredths((facts.requests * 100).checked_div(facts.rotations).unwrap_or(0))),
        ("most requests without a grant in any hour (Exact blocks at 10)", facts.most.0.to_string()),
        ("most requests in a UTC day (Exact allows 200)", facts.most.1.to_string()),
        ("processes started, killed, frozen", format!("{}, {}, {}", event("process started"), event("process killed"), event("process frozen"))),
        ("faults at ports", faults.to_string()),
        ("ticks", facts.ticks.to_string()),
        ("calls of `GetToken`, of them served at once or in time", format!("{}, {}", facts.calls, facts.served)),
        ("time with a token of a minute's life at hand", percent(share(facts.warm.0, facts.warm.0 + facts.warm.1))),
        ("time without one, while the chain lived: p50, p99, longest, in s", lengths(&facts.gaps)),
        ("served again after all faults stopped: p50, p99, latest, in s", lengths(&facts.recovered)),
        ("chains lost", lost.to_string()),
        ("chains lost by us", facts.lost.get("OURS").copied().unwrap_or(0).to_string()),
    ]
}

fn markdown(facts: &Facts, cells: &[Cell], command: &str) -> String {
    let mut text = format!("`{command}`:\n\n| | |\n|---|---|\n");
    for (name, value) in rows(facts) {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n![Chains lost, by cause](reliability-losses.svg)\n\n| chains lost by cause | |\n|---|---|\n");
    for (cause, count) in &facts.lost {
        let _ = writeln!(text, "| {cause} | {count} |");
    }
    text.push_str("\n![Lengths of times without a token](reliability-gaps.svg)\n\n");
    text.push_str("Availability, in histories of eight hours in which nothing goes wrong but one outage of Exact:\n\n");
    text.push_str("![Availability against the length of an outage](reliability-availability.svg)\n\n");
    text.push_str("| ticks every | policy | outage | token of a minute's life at hand | calls with the defaults served | requests a day |\n|---|---|---|---|---|---|\n");
    for cell in cells {
        let (minutes, outage, at_hand, served) = (cell.tick_minutes, cell.outage, percent(cell.at_hand), percent(cell.served));
        let _ = writeln!(text, "| {minutes} min | {} | {outage} min | {at_hand} | {served} | {} |", policy(cell.mode), cell.requests_a_day);
    }
    text.push_str("\n| what went wrong | how often |\n|---|---|\n");
    for (name, count) in grouped(&facts.events) {
        let _ = writeln!(text, "| {name} | {count} |");
    }
    text
}

/// Replies that were late by so many seconds are one kind.
fn grouped(events: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut groups = BTreeMap::new();
    for (name, count) in events {
        let late = name.strip_suffix(" s late").and_then(|rest| rest.rsplit_once(' '));
        let group = late.map_or_else(|| name.clone(), |(before, _)| format!("{before} late"));
        *groups.entry(group).or_insert(0) += count;
    }
    groups
}

fn losses(facts: &Facts) -> String {
    let lost: Vec<_> = facts.lost.iter().map(|(cause, count)| (cause.clone(), *count)).collect();
    bars(&format!("Chains lost in {} rotations with faults, by cause", facts.rotations), &lost)
}

fn gaps(facts: &Facts) -> String {
    let of = |of: &BTreeMap<u64, u64>| -> Vec<(f64, f64)> {
        let all = of.values().sum::<u64>().max(1);
        let mut below = 0;
        let mut points = Vec::new();
        for (length, count) in of {
            below += count;
            points.push((float((*length).max(10)).log10(), float(share(below, all)) / 100.0));
        }
        points
    };
    let marks = [(10, "10 s"), (60, "1 min"), (600, "10 min"), (3_600, "1 h"), (36_000, "10 h")];
    let x = Axis {
        name: "length, logarithmic",
        ends: (1.0, 4.6),
        marks: marks.map(|(at, text): (u64, &str)| (float(at).log10(), text.to_owned())).to_vec(),
    };
    let two = [
        Line { class: "a", name: "without a token".to_owned(), points: of(&facts.gaps) },
        Line { class: "b", name: "back after all faults".to_owned(), points: of(&facts.recovered) },
    ];
    lines("How long there was no token with a minute to live", &x, &percents("share that is over by then"), &two)
}

fn availability(cells: &[Cell]) -> String {
    let mut four = Vec::new();
    for tick_minutes in SCHEDULES {
        for mode in POLICIES {
            let mine = cells.iter().filter(|cell| cell.tick_minutes == tick_minutes && cell.mode == mode);
            let class = match (tick_minutes, mode) {
                (9, Mode::KeepWarm) => "a",
                (9, Mode::OnDemand) => "a dash",
                (_, Mode::KeepWarm) => "b",
                (_, Mode::OnDemand) => "b dash",
            };
            let points = mine.map(|cell| (float(cell.outage), float(cell.served) / 100.0)).collect();
            four.push(Line { class, name: format!("{tick_minutes} min, {}", policy(mode)), points });
        }
    }
    let x =
        Axis { name: "minutes without Exact in 8 hours", ends: (0.0, 120.0), marks: OUTAGES.iter().map(|at| (float(*at), at.to_string())).collect() };
    lines("Calls of GetToken that got a token", &x, &percents("share of calls"), &four)
}

fn percents(name: &'static str) -> Axis {
    Axis { name, ends: (0.0, 100.0), marks: [0, 25, 50, 75, 100].map(|at: u64| (float(at), format!("{at} %"))).to_vec() }
}

fn policy(mode: Mode) -> &'static str {
    match mode {
        Mode::KeepWarm => "keep-warm",
        Mode::OnDemand => "on-demand",
    }
}

/// In hundredths of a percent.
fn share(part: u64, of: u64) -> u64 {
    (part * 10_000).checked_div(of).unwrap_or(0)
}

fn percent(share: u64) -> String {
    format!("{}.{:02} %", share / 100, share % 100)
}

fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_what_stands_around_its_numbers() {
        let folder = std::env::temp_dir().join(format!("exact-token-broker-report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let page = folder.join("page.md");
        std::fs::write(&page, "before\n<!-- numbers -->\nold\n<!-- end of numbers -->\nafter\n").unwrap();
        let mut facts = Facts { rotations: 7, requests: 14, ..Facts::default() };
        facts.lost.insert("reply lost".to_owned(), 3);
        for late in ["fault exact: handled, then 3 s late", "fault exact: handled, then 30 s late"] {
            facts.count(late);
        }
        write(&page, &facts, &[], "a command").unwrap();
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.starts_with("before\n") && text.ends_with("\nafter\n") && !text.contains("old"));
        for line in ["| requests per rotation | 2.00 |", "| reply lost | 3 |", "| fault exact: handled, then late | 2 |", "`a command`"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        for plot in ["losses", "gaps", "availability"] {
            assert!(std::fs::read_to_string(folder.join(format!("reliability-{plot}.svg"))).unwrap().starts_with("<svg"));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
