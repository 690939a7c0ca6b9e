//! Exact Online is down, and all else works.

use simulators::exact_online::{Fault, Reply};

use super::gate::Gate;
use super::{NAME, assert_says, refreshed, refused, status, tick, warm};
use crate::azure::OnAzure;
use crate::stage::get_token;

#[tokio::test]
async fn without_a_connection_nothing_is_spent_and_it_goes_on_when_there_is_one() {
    let mut world = OnAzure::start().await;
    let mut gate = Gate::to(([127, 0, 0, 1], world.stage.exact.port()).into());
    let url = format!("http://{}", gate.address());
    world.stage.set("EXACT_BASE_URL", &url);
    world.stage.import().await;
    let (host, token) = warm(&world).await;
    gate.shut().await;
    let cold = world.stage.host().await;
    for host in [&host, &cold] {
        let answer = get_token(host, "").await;
        assert_eq!((answer.token(), answer.json().get("warnings")), (token.clone(), None));
        let (failed, line) = tick(host).await;
        assert!(!failed && line.starts_with("no refresh; the access token lives"), "{line}");
    }
    let says = "Exact Online could not be reached (name, connection or TLS)";
    let mut clocks = 0;
    for _ in 0..7 {
        clocks += 610;
        world.set_clocks(clocks);
        for host in [&host, &cold] {
            assert_says(&refused(host).await, &[says]);
        }
    }
    assert_eq!(status(&world).await, ("degraded".to_owned(), false, says.to_owned()));
    clocks += 310;
    world.set_clocks(clocks);
    let (failed, line) = tick(&host).await;
    assert!(failed && line.starts_with(&format!("the refresh failed: {says}; there is no living access token; next not before ")), "{line}");
    let full = world.stage.status().await;
    assert_eq!((&full["open_attempts"], &full["ungranted_this_hour"]), (&0.into(), &0.into()), "what never left costs no budget: {full}");
    assert_eq!(world.vault.rules().versions(NAME).len(), 2);
    world.stage.assert_requests(1);

    gate.open().await;
    world.set_clocks(clocks + 310);
    refreshed(&world, &cold, &token).await;
    world.stage.assert_requests(2);
    assert_eq!(status(&world).await.0, "connected");
}

#[tokio::test]
async fn an_error_page_leaves_open_what_became_of_the_token_and_the_same_one_is_tried_again() {
    let world = OnAzure::connected().await;
    let (host, token) = warm(&world).await;
    world.set_clocks(575);
    world.stage.exact.script(Fault::instead(Reply::new(503, &[("Content-Type", "text/html")], "<html>SIMULATED</html>")));
    let says = "Exact Online answered HTTP 503 with nothing that settles the matter";
    let told = refused(&host).await;
    assert_says(&told, &["the last request had an unclear outcome; the same token is tried again then"]);
    let (state, servable, summary) = status(&world).await;
    assert_eq!((state.as_str(), servable, summary.as_str()), ("degraded", false, says));
    assert_eq!(world.stage.status().await["open_attempts"], 1);
    world.stage.assert_requests(2);
    world.set_clocks(610);
    refreshed(&world, &world.stage.host().await, &token).await;
    world.stage.assert_requests(3);
    assert_eq!(status(&world).await.0, "connected");
}
