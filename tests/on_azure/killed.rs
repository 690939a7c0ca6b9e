//! Two processes with the same pair in memory at its end. One is killed in the middle of its refresh; the other goes on.

use simulators::exact_online::Config;
use simulators::functions_host::FunctionsHost;

use crate::azure::OnAzure;
use crate::stage::{get_token, until};

/// How long the lock of a dead process stays, in seconds.
const LEASE: i64 = 60;
/// How long everybody keeps away from a request whose process may have died.
const QUARANTINE: i64 = 140;

pub(crate) struct Pair {
    pub(crate) world: OnAzure,
    victim: FunctionsHost,
    other: FunctionsHost,
}

impl Pair {
    /// 575 s after the first grant.
    pub(crate) async fn at_expiry(exact: Config) -> Self {
        let world = OnAzure::connected_to(exact).await;
        let (victim, other) = (world.stage.host().await, world.stage.host().await);
        assert!(get_token(&victim, "").await.token() == get_token(&other, "").await.token());
        world.stage.assert_requests(1);
        world.set_clocks(575);
        Self { world, victim, other }
    }

    /// Asks the victim for a token, and kills it once it has come so far.
    pub(crate) async fn kill_when(&self, so_far: impl Fn() -> bool) {
        tokio::select! {
            answer = get_token(&self.victim, "") => panic!("{answer:?}"),
            () = until("the victim's refresh", so_far) => self.victim.kill().await.unwrap(),
        }
    }

    /// The dead one's lock keeps the other out, which sends nothing and tries on; then it ends.
    pub(crate) async fn until_the_lease_ends(&self) {
        let (asked, refused) = (self.world.stage.exact.log().len(), self.lock_refusals().await);
        let said = get_token(&self.other, "?max_wait=2").await.error(503, "temporarily_unavailable");
        assert!(said.contains("the refresh takes longer than max_wait allows; it goes on"), "{said}");
        assert!(self.lock_refusals().await > refused);
        self.world.stage.assert_requests(asked);
        self.world.pass_time(LEASE);
    }

    async fn lock_refusals(&self) -> usize {
        self.world.storage_requests().await.iter().filter(|it| *it == "PUT lease 409").count()
    }

    /// The other has the lock, and sends nothing while the dead one's request may be on its way.
    pub(crate) async fn until_the_quarantine_ends(&self) {
        self.quarantined().await;
        self.world.pass_time(QUARANTINE - LEASE);
    }

    pub(crate) async fn quarantined(&self) {
        let asked = self.world.stage.exact.log().len();
        let said = get_token(&self.other, "?max_wait=30").await.error(503, "temporarily_unavailable");
        assert!(said.contains("another request may still be waiting for its reply"), "{said}");
        self.world.stage.assert_requests(asked);
    }

    /// The other's answer is that Exact has to be asked once more, later; then that is.
    pub(crate) async fn until_the_next_aim(&self) {
        let answer = get_token(&self.other, "?max_wait=30").await;
        answer.error(503, "temporarily_unavailable");
        self.world.pass_time(answer.json()["retry_after"].as_i64().unwrap());
    }

    /// The other hands out a living token.
    pub(crate) async fn granted_again(&self) -> String {
        let token = get_token(&self.other, "?max_wait=30").await.token();
        assert!(self.world.stage.exact.is_alive(&token));
        token
    }

    /// The other hands out a living token, all is settled, and the chain goes on from what is stored: a third process refreshes it.
    pub(crate) async fn lives_on(self) -> (OnAzure, String) {
        let token = self.granted_again().await;
        let world = self.world;
        drop((self.victim, self.other));
        let status = world.stage.status().await;
        assert_eq!((&status["state"], &status["open_attempts"]), (&"connected".into(), &0.into()), "{status}");
        let asked = world.stage.exact.log().len();
        assert!(world.stage.granted().await == token);
        world.stage.assert_requests(asked);
        world.pass_time(575);
        let next = world.stage.granted().await;
        assert!(next != token && world.stage.exact.is_alive(&next));
        world.stage.assert_requests(asked + 1);
        (world, token)
    }
}
