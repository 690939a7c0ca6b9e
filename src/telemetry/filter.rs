//! `RUST_LOG`, as far as this program follows it.

use tracing_subscriber::filter::{LevelFilter, Targets};

const OWN: &str = "exact_token_broker";

/// Reads `level` and `exact_token_broker::module=level`, comma-separated. Entries that name other crates are passed over: a value that was meant for
/// another program is no mistake. Without a level of its own, everything is at info, so that no filter silences errors by accident.
pub(super) fn parse(text: Option<&str>) -> (Targets, Option<String>) {
    match read(text.unwrap_or_default()) {
        Ok(targets) => (targets, None),
        Err(problem) => (Targets::new().with_target(OWN, LevelFilter::INFO), Some(problem)),
    }
}

fn read(text: &str) -> Result<Targets, String> {
    let mut overall = LevelFilter::INFO;
    let mut targets = Targets::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (target, level) = match entry.split_once('=') {
            Some((target, level)) => (Some(target.trim()), level.trim()),
            None if entry.starts_with(OWN) => (Some(entry), "trace"),
            None => (None, entry),
        };
        if level.is_empty() {
            return Err(mistake());
        }
        let level: LevelFilter = level.parse().map_err(|_| mistake())?;
        match target {
            None => overall = level,
            Some(target) if target == OWN || target.starts_with("exact_token_broker::") => targets = targets.with_target(target, level),
            Some(_) => {}
        }
    }
    let whole = targets.iter().any(|(target, _)| target == OWN);
    Ok(if whole { targets } else { targets.with_target(OWN, overall) })
}

fn mistake() -> String {
    "RUST_LOG: is not a log filter and info is used instead; set it to off, error, warn, info, debug or trace, \
     or to entries such as exact_token_broker::refresh_token=debug with commas between them"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn most(text: &str, target: &str) -> Option<Level> {
        let (targets, problem) = parse(Some(text));
        assert_eq!(problem, None, "{text}");
        [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR].into_iter().find(|level| targets.would_enable(target, level))
    }

    #[test]
    fn filters_that_are_followed() {
        for (text, expected) in [("", Level::INFO), ("warn", Level::WARN), (" DEBUG , hyper=trace", Level::DEBUG), ("hyper=trace", Level::INFO)] {
            assert_eq!(most(text, "exact_token_broker::functions"), Some(expected), "{text}");
            assert_eq!(most(text, "hyper"), None, "{text}");
        }
        assert_eq!(most("off", "exact_token_broker::functions"), None);
        assert_eq!(most("exact_token_broker=debug", "exact_token_broker"), Some(Level::DEBUG));
        assert_eq!(most("exact_token_broker::token=trace", "exact_token_broker::token::ledger"), Some(Level::TRACE));
        assert_eq!(most("exact_token_broker::token=trace", "exact_token_broker::functions"), Some(Level::INFO));
        assert_eq!(most("exact_token_broker::token,error", "exact_token_broker::token"), Some(Level::TRACE));
    }

    #[test]
    fn a_mistake_is_named_and_leaves_info() {
        for text in ["inof", "info,,x=y=z", "exact_token_broker=loud", "hyper=", "[span{a=1}]"] {
            let (targets, problem) = parse(Some(text));
            assert!(problem.is_some_and(|problem| problem.starts_with("RUST_LOG: ")), "{text}");
            assert!(targets.would_enable("exact_token_broker::functions", &Level::INFO));
            assert!(!targets.would_enable("exact_token_broker::functions", &Level::DEBUG));
        }
    }

    mod fuzz {
        use fuzzing::Target;

        #[test]
        fn log_filter() {
            let words = ["exact_token_broker", "exact_token_broker::token", "info", "DEBUG", "off", "hyper", "=", ",", "4"];
            Target::new("log-filter").words(&words).run(|input| {
                let (_, problem) = super::super::parse(Some(&String::from_utf8_lossy(input)));
                problem.unwrap_or_default()
            });
        }
    }
}
