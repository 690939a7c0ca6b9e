//! The whole life of a chain, and what is left of it afterwards, seen with other eyes than our own.

use simulators::exact_online::{Config, Fault, Grace, Loss, Outcome};
use simulators::functions_host::{FunctionsHost, TimerSample, Verdict};

use crate::azure::OnAzure;
use crate::read_back::read_back;
use crate::stage::get_token;

/// A little more than Exact's gate of 570 s.
const WINDOW: i64 = 575;
/// More than the quarantine of an attempt whose process is gone, and less than [`GRACE`].
const AFTER_QUARANTINE: i64 = 150;
/// The first moment for that after an attempt whose process is gone is 599 s after it was opened (`token/retry.rs`).
const FIRST_AIM: i64 = 600;
/// How long Exact takes the previous refresh token here.
const GRACE: u32 = 900;

async fn tick(host: &FunctionsHost) {
    let tick = host.fire_timer(&TimerSample::normal()).await.unwrap();
    assert_eq!((tick.verdict, tick.status), (Verdict::Success, Some(200)), "{:?}", tick.logs);
}

#[tokio::test]
async fn ten_rotations_a_lost_reply_a_restart_and_a_second_import_and_all_of_it_is_there() {
    let world = OnAzure::with(Config { grace: Grace::Seconds(GRACE), ..Config::default() }).await;
    let stage = &world.stage;
    stage.import().await;
    let imported = read_back(&world).await;
    imported.assert_sound(1);
    assert_eq!(imported.ledger.epoch, 1);
    assert_eq!(imported.versions[0].access_token(), None);

    // Five rotations by the timer, in one process.
    let host = stage.host().await;
    let mut now = 0;
    for rotation in 1..=5 {
        world.set_clocks(now);
        tick(&host).await;
        stage.assert_requests(rotation);
        let token = get_token(&host, "").await.token();
        assert!(stage.exact.is_alive(&token));
        now += WINDOW;
    }

    // A reply that never comes, to a process that is killed while it waits: the ledger says that a request may be on its way.
    world.set_clocks(now);
    stage.exact.script(Fault::CommitThen(Loss::Never));
    tokio::select! {
        answer = get_token(&host, "") => panic!("{answer:?}"),
        () = stage.until_requests(6) => host.kill().await.unwrap(),
    }
    let killed = read_back(&world).await;
    killed.assert_sound(6);
    killed.assert_kept(&imported);
    assert_eq!((killed.lease.as_str(), killed.ledger.open.len()), ("leased", 1));
    let lost = &killed.ledger.open[0];
    assert_eq!(lost.fingerprint, killed.ledger.head.fingerprint, "it was sent from the head");
    assert!(killed.versions.iter().all(|version| version.attempt() != lost.id), "it brought nothing");

    // Its successor waits for the quarantine and asks with the same token. Too early, says Exact: so the lost reply was a grant, and the right moment
    // to ask is when that one's gate has opened and its grace is not over.
    world.set_clocks(now + AFTER_QUARANTINE);
    let second = stage.host().await;
    let said_so = get_token(&second, "").await.error(503, "temporarily_unavailable");
    assert!(said_so.contains("the same token is tried again"), "{said_so}");
    // From there on, callers drive the chain.
    now += FIRST_AIM;
    world.set_clocks(now);
    for rotation in 6..=10 {
        let token = get_token(&second, "").await.token();
        assert!(stage.exact.is_alive(&token));
        stage.assert_requests(rotation + 2);
        // Its token has less than half a minute left: too little for the next caller.
        now += WINDOW;
        world.set_clocks(now);
    }
    now += i64::from(GRACE);
    world.set_clocks(now);
    let mut outcomes = vec![Outcome::Granted; 12];
    outcomes[6..8].copy_from_slice(&[Outcome::TooEarly, Outcome::GrantedByGrace]);
    assert_eq!(stage.outcomes(), outcomes);

    let lived = read_back(&world).await;
    lived.assert_sound(11);
    lived.assert_kept(&killed);
    assert_eq!((lived.lease.as_str(), lived.ledger.open.len(), lived.ledger.candidates.len()), ("available", 0, 0));
    assert!(lived.versions.iter().all(|version| version.attempt() != lost.id), "the lost reply is gone, and nothing claims to be it");
    let head = lived.version(&lived.ledger.head);
    assert_eq!(Some(head.refresh_token()), stage.exact.newest_refresh_token().as_deref(), "what is kept is what Exact gave last");
    assert!(stage.exact.is_chain_alive(head.refresh_token()));
    for older in lived.versions.iter().filter(|version| version.id != head.id) {
        assert!(!stage.exact.is_chain_alive(older.refresh_token()), "all others are spent");
    }

    // A person brings another chain. The last token of the first is kept to fall back to.
    stage.import().await;
    let replaced = read_back(&world).await;
    replaced.assert_sound(12);
    replaced.assert_kept(&lived);
    assert_eq!((replaced.ledger.epoch, replaced.ledger.candidates.as_slice()), (2, [lived.ledger.head.clone()].as_slice()));
    assert_eq!(replaced.version(&replaced.ledger.head).access_token(), None);

    // Both processes, the one that knew the first chain too, go on with the second.
    let third = stage.host().await;
    tick(&third).await;
    let token = get_token(&third, "").await.token();
    assert_eq!(get_token(&second, "").await.token(), token, "its own is dead, so it has to look");
    let printed = stage.run(&["token"]).await;
    assert!(printed.success && printed.stdout == format!("{token}\n"), "{}", printed.stderr);
    stage.assert_requests(13);

    let end = read_back(&world).await;
    end.assert_sound(13);
    end.assert_kept(&replaced);
    let head = end.version(&end.ledger.head);
    assert_eq!(head.access_token(), Some(token.as_str()));
    assert_eq!(Some(head.refresh_token()), stage.exact.newest_refresh_token().as_deref());
    assert!(stage.exact.is_chain_alive(head.refresh_token()));
    assert_eq!((end.ledger.candidates.as_slice(), end.ledger.open.len()), ([lived.ledger.head].as_slice(), 0));

    let said: Vec<String> = [&host, &second, &third].into_iter().flat_map(FunctionsHost::console).map(|line| line.text).collect();
    let said = said.join("\n");
    assert!(said.contains("a new pair of tokens is stored"), "{said}");
    for version in &end.versions {
        for token in [Some(version.refresh_token()), version.access_token()].into_iter().flatten() {
            assert!(!said.contains(token), "a token is in the log");
        }
    }
}
