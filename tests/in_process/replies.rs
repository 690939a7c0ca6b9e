//! Every odd reply once, and good ones after it: is the chain alive, and when is a token at hand again?

use std::fmt::Write as _;

use exact_token_broker::get_token::NoToken;
use simulators::exact_online::{Config, Fault, Grace};

use super::day::{HOUR, calls, connected, requests_since, ticks, undisturbed};

const GRACES: [(&str, Grace); 3] = [("no grace", Grace::None), ("grace 600 s", Grace::Seconds(600)), ("until new used", Grace::UntilNewUsed)];

/// What became of the service after one odd reply, for the table.
fn after(fault: Fault, grace: Grace, name: &str) -> String {
    let world = connected(Config { grace, ..Config::default() });
    world.state().exact.script(fault);
    let since = world.state().now;
    let seen = undisturbed(&world, |refresher, doubles| async move {
        let (_, seen) = tokio::join!(ticks(&refresher, &doubles, 3 * HOUR), calls(&refresher, &doubles, 10, 3 * HOUR));
        seen
    });
    let state = world.state();
    assert_eq!(state.exact.faults_left(), 0, "{name}");
    assert!(state.exact.violations().is_empty(), "{name}: {:?}", state.exact.violations());
    assert_eq!(seen.dead, 0, "{name}: a dead token was handed out");
    assert!(state.exact.max_ungranted_in_an_hour() <= 9, "{name}");
    let alive = state.stored_chain_lives(state.now);
    let newest = state.exact.newest_refresh_token();
    let newest_is_stored = state.versions.values().any(|(_, credential)| Some(credential.refresh_token.reveal()) == newest);
    drop(state);
    let requests = requests_since(&world, since);
    let ungranted = requests.iter().filter(|logged| !logged.granted).count();
    match seen.told {
        None => {
            assert!(alive, "{name}: served from a dead chain");
            let (ledger, _) = world.state().ledger.clone().unwrap();
            assert!(ledger.open.is_empty(), "{name}: nothing stays open: {:?}", ledger.open);
            assert!(ledger.dead.is_none() && ledger.last_failure.is_none(), "{name}");
            format!("served again after {:3} s, {ungranted} requests for nothing", seen.longest_gap)
        }
        Some(NoToken::ConsentRequired(_)) => {
            assert!(!alive && !newest_is_stored, "{name}: a person is called for without need");
            format!("consent_required, {ungranted} requests for nothing")
        }
        Some(other) => panic!("{name}: {other:?}"),
    }
}

#[test]
fn after_every_odd_reply_the_chain_goes_on_unless_exact_has_ended_it() {
    let mut table = String::from(
        "# One odd reply, then good ones; a timer and a caller every 10 s. The longest time without a token that has a minute to live.\n",
    );
    for (name, fault) in Fault::all() {
        let _ = writeln!(table, "\n{name}");
        for (grace_name, grace) in GRACES {
            let _ = writeln!(table, "  {grace_name:14} | {}", after(fault.clone(), grace, name));
        }
    }
    expect_test::expect_file!["replies.txt"].assert_eq(&table);
}
