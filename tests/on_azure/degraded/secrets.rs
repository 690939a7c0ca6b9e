//! Invariant I5, where it is in most danger: errors of libraries that hold bodies, headers and backtraces.

use simulators::emulators::Azurite;
use simulators::exact_online::{Delivery, MARKER, Reply};
use simulators::functions_host::FunctionsHost;
use simulators::key_vault::{Action, Denial, Fault, Way};
use simulators::managed_identity;

use super::ledger::Raw;
use super::{NAME, until_logged, warm};
use crate::azure::{OnAzure, VAULT};
use crate::stage::{Ran, get_token};

/// Every token, every reply of the simulated services and the identity's header have [`MARKER`] in them.
const SECRETS: [&str; 2] = [MARKER, Azurite::KEY];
/// What the `Debug` of an error of the SDK, or of a panic, looks like.
const DEBUG: [&str; 5] = ["stack backtrace", "Backtrace", "HttpResponse {", "raw_response", "{{closure}}"];

#[tokio::test]
async fn i5_nothing_that_fails_lets_a_secret_or_a_backtrace_out() {
    let mut world = OnAzure::connected().await;
    for (name, value) in [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")] {
        world.stage.set(name, value);
    }
    let (host, _) = warm(&world).await;
    let raw = Raw::of(&world);
    let sound = raw.read().await;
    let mut out = Vec::new();
    let faults = [
        Fault::failed(500),
        Fault::throttled(3_600),
        Fault::page(403),
        Fault::EffectThen(Delivery::Cut),
        Fault::Instead(Reply::new(409, &[("Content-Type", "application/json")], format!("{{\"error\":{{\"code\":\"{MARKER}\"}}}}"))),
    ];
    world.set_clocks(575);
    for fault in faults {
        world.vault.rules().always(Some(fault));
        meet(&world, &host, &mut out).await;
    }
    world.vault.rules().always(None);
    for action in [Action::Get, Action::Set, Action::Update, Action::ReadMetadata] {
        world.vault.rules().deny(action, Some(Denial::Rbac));
    }
    meet(&world, &host, &mut out).await;
    for action in [Action::Get, Action::Set, Action::Update, Action::ReadMetadata] {
        world.vault.rules().deny(action, None);
    }
    let lost = world.vault.rules().roll_back(NAME, 1);
    meet_cold(&world, &mut out).await;
    world.vault.rules().catch_up(NAME, lost);
    raw.write(format!("{{\"v\":1,\"{MARKER}\":\"{MARKER}\"}}").as_bytes()).await;
    meet(&world, &host, &mut out).await;
    raw.write(&sound).await;
    world.identity.rules().revoke_all();
    world.identity.rules().always(Some(managed_identity::Fault::Status(400, None)));
    meet(&world, &host, &mut out).await;
    world.identity.rules().always(None);
    world.relay.lead(VAULT, Way::Refused);
    meet(&world, &host, &mut out).await;
    world.azurite.stop();
    meet(&world, &host, &mut out).await;
    world.stage.assert_requests(1);

    assert_clean(&host).await;
    let said = out.join("\n");
    assert!(said.contains("not writable") && said.contains("not reachable") && said.contains("cannot be read"), "{said}");
    for word in SECRETS.iter().chain(&DEBUG) {
        assert!(!said.contains(word), "{word} in {said}");
    }
}

/// By a call of a process that knows the pair, and whatever else somebody does who looks into it.
async fn meet(world: &OnAzure, host: &FunctionsHost, out: &mut Vec<String>) {
    let answer = get_token(host, "?max_wait=4").await;
    out.push(answer.error(answer.status, answer.json()["error"].as_str().unwrap()));
    meet_cold(world, out).await;
}

async fn meet_cold(world: &OnAzure, out: &mut Vec<String>) {
    let cold = world.stage.host().await;
    let answer = get_token(&cold, "?max_wait=4").await;
    out.push(answer.error(answer.status, answer.json()["error"].as_str().unwrap()));
    assert_clean(&cold).await;
    for arguments in [&["status"][..], &["token", "--max-wait", "1"]] {
        let Ran { success, stdout, stderr } = world.stage.run(arguments).await;
        assert!(!success, "{arguments:?}");
        out.push(stdout + &stderr);
    }
}

/// Nothing of it is in what the handler said or answered; and the search finds what is there.
async fn assert_clean(host: &FunctionsHost) {
    const SAID: &str = "no token was handed out";
    until_logged(host, SAID).await;
    let search = |words: &[&str]| host.search(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    assert!(!search(&[SAID]).is_empty(), "the log was searched");
    let found: Vec<_> = search(&[&SECRETS[..], &DEBUG].concat()).into_iter().map(|place| (place.secret, place.channel, place.index)).collect();
    assert!(found.is_empty(), "{found:?}");
}
