//! A person consents: the exchange of the code under the pass's lock, with everything that can come between.

mod another_user;
mod beginning;
mod callback;
mod chain_before;
mod not_granted;
mod not_stored;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::consent::{Begun, Callback, Connected, Consent, Failed, Finished, Problem};
use exact_token_broker::ports::ConsentEndpoint;
use exact_token_broker::refresh_token::Refresher;
use exact_token_broker::token::{CodeReply, Grant, Person, Reply, Secret};
use jiff::SignedDuration;

use crate::world::World;

const REDIRECT_URI: &str = "https://made-up.example.invalid/api/ConsentCallback";

/// What Exact does with codes: what it is told to, and else it grants a chain that lives in the world's Exact.
struct Exact {
    world: World,
    told: Mutex<VecDeque<CodeReply>>,
    person: Mutex<Option<Person>>,
    exchanged: AtomicUsize,
}

impl Exact {
    fn of(world: &World) -> Arc<Self> {
        let person = Mutex::new(Some(person("one")));
        Arc::new(Self { world: world.clone(), told: Mutex::default(), person, exchanged: AtomicUsize::new(0) })
    }

    fn answers(self: &Arc<Self>, reply: CodeReply) -> Arc<Self> {
        self.told.lock().unwrap().push_back(reply);
        Arc::clone(self)
    }

    fn is(&self, person: Option<Person>) {
        *self.person.lock().unwrap() = person;
    }

    fn exchanged(&self) -> usize {
        self.exchanged.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl ConsentEndpoint for Exact {
    fn authorize_url(&self, redirect_uri: &str, state: &str) -> String {
        format!("https://exact.invalid/auth?redirect_uri={redirect_uri}&state={state}")
    }

    async fn exchange(&self, code: &Secret, redirect_uri: &str) -> CodeReply {
        assert_eq!((code.reveal(), redirect_uri), ("stampNL001.AbCd!IAAAAmade-up-code", REDIRECT_URI));
        let nth = self.exchanged.fetch_add(1, Ordering::SeqCst);
        // As over a network: the process may be killed while it waits.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let told = self.told.lock().unwrap().pop_front();
        told.unwrap_or_else(|| {
            let mut state = self.world.state();
            let now = state.now;
            let refresh_token = Secret::new(state.exact.issue_chain(now));
            CodeReply::Other(Reply::Granted(Grant {
                access_token: Secret::new(format!("made-up-access-of-code-{nth}")),
                refresh_token,
                expires_in: SignedDuration::from_secs(600),
            }))
        })
    }

    async fn me(&self, _: &Secret) -> Option<Person> {
        self.person.lock().unwrap().clone()
    }
}

fn person(id: &str) -> Person {
    Person { id: id.to_owned(), name: "Made Up".to_owned(), login: "made.up".to_owned(), company: "Made-Up Company".to_owned(), division: 123_456 }
}

fn consent(refresher: &Arc<Refresher>, exact: &Arc<Exact>) -> Consent {
    Consent::new(Arc::clone(refresher), Arc::clone(exact) as _, &Secret::new("made-up-client-secret"), Some(REDIRECT_URI.to_owned()))
}

/// The browser comes back from Exact.
fn back(begun: &Begun) -> Callback {
    let state = begun.authorize_url.reveal().split_once("state=").unwrap().1.to_owned();
    Callback {
        state: Some(Secret::new(state)),
        code: Some(Secret::new("stampNL001.AbCd!IAAAAmade-up-code")),
        error: None,
        cookie: Some(begun.cookie.clone()),
    }
}

/// The whole way, by one person who hesitates for so long.
async fn connect_after(refresher: &Arc<Refresher>, exact: &Arc<Exact>, hesitates: u64) -> Result<Finished, Failed> {
    let consent = consent(refresher, exact);
    let begun = consent.begin(None).await.map_err(Failed::from)?;
    tokio::time::sleep(Duration::from_secs(hesitates)).await;
    consent.finish(back(&begun)).await
}

async fn connect(refresher: &Arc<Refresher>, exact: &Arc<Exact>) -> Result<Finished, Failed> {
    connect_after(refresher, exact, 30).await
}

/// Connected by one user, and then another logs in: in which browser, and what it is told.
async fn another_logs_in(refresher: &Arc<Refresher>, exact: &Arc<Exact>) -> (Begun, Finished) {
    connect(refresher, exact).await.unwrap();
    exact.is(Some(person("two")));
    let begun = consent(refresher, exact).begin(None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let finished = consent(refresher, exact).finish(back(&begun)).await.unwrap();
    (begun, finished)
}

fn is_connected(finished: Result<Finished, Failed>) -> Connected {
    match finished {
        Ok(Finished::Connected(connected)) => connected,
        other => panic!("{other:?}"),
    }
}

fn problem(finished: Result<Finished, Failed>) -> Problem {
    finished.unwrap_err().problem
}
