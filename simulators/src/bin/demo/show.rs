//! What happens, in order.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use simulators::exact_online::{Kind, Logged, Outcome};
use simulators::functions_host::{Event, EventKind};

use super::caller::{self, Answer, Caller};
use super::interrupted::Interrupted;
use super::narrator::{Narrator, Who, print};
use super::world::World;
use super::{Arguments, person, product};

/// `--once` waits no longer for the first token.
const ONCE: Duration = Duration::from_mins(1);
/// In which a pair that was granted is stored; a call meanwhile is served too, with a warning that would puzzle here.
const STORE: Duration = Duration::from_millis(500);
/// Between two tries at the first token, and between two calls after it.
const AGAIN: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(10);

const INTRODUCTION: &str = "
The real exact-token-broker, between a simulated Exact Online and a simulated Functions host.
All stays on this machine, and all tokens are made up.
Exact's access tokens live 600 s; here 60 s, so that you see renewals. The timer ticks every 27 s in place of every 9 minutes.
";

pub(super) async fn show(arguments: &Arguments) -> Result<()> {
    // Before a build that can take minutes.
    check_port(arguments.port).await?;
    let binary = product::build().await?;
    let mut interrupted = Interrupted::listen()?;
    print(INTRODUCTION);
    let (world, narrator) = World::start(&binary, arguments.port).await?;
    let given_up = world.host.subscribe();
    let told = tokio::select! {
        biased;
        () = interrupted.wait() => Ok(()),
        why = given_up_by(given_up) => why,
        told = tell(&world, &narrator, arguments) => told,
    };
    narrator.say(Who::Demo, "stopping …");
    let stopped = world.stop().await;
    narrator.say(Who::Demo, "stopped; nothing is left running, and the temporary folder is gone");
    narrator.finish().await;
    told.and(stopped)
}

async fn check_port(port: u16) -> Result<()> {
    match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(_free) => Ok(()),
        Err(error) => bail!(
            "port {port} of 127.0.0.1 cannot be listened on ({error}): is `func start` or another demo running? \
             Choose another with `cargo demo --port N`, 0 for any free one"
        ),
    }
}

/// The consent, the first token handed out; then, unless that is all, ticks and calls without end.
async fn tell(world: &World, narrator: &Narrator, arguments: &Arguments) -> Result<()> {
    let caller = Caller::new(world, narrator)?;
    let first = async {
        connected(world, narrator, arguments.once || arguments.auto).await?;
        first_hand_out(&caller, narrator).await;
        Ok(())
    };
    if arguments.once {
        let Ok(handed_out) = tokio::time::timeout(ONCE, first).await else {
            bail!("no token was handed out within {} s; the lines above say what was in the way", ONCE.as_secs());
        };
        return handed_out;
    }
    first.await?;
    let calls = async {
        let again = format!("from now on it is called every {} s; call it yourself in another terminal", EVERY.as_secs());
        narrator.say(Who::Demo, &again);
        narrator.say(Who::Demo, "Ctrl+C stops everything");
        loop {
            tokio::time::sleep(EVERY).await;
            caller.ask().await;
        }
    };
    let ticks = async {
        world.host.start_timers();
        std::future::pending().await
    };
    tokio::select! {
        told = calls => told,
        failed = ticks => failed,
    }
}

/// There is no token yet, as on the first day.
async fn connected(world: &World, narrator: &Narrator, by_itself: bool) -> Result<()> {
    let mut asked = world.exact.subscribe();
    let page = world.consent_page();
    if by_itself {
        narrator.say(Who::Demo, &format!("a person opens {page} and presses the button"));
        person::connect(world, narrator).await?;
    } else {
        narrator.say(Who::Demo, "there is no token yet: a person has to connect Exact Online, once");
        narrator.say(Who::Demo, &format!("OPEN THIS IN YOUR BROWSER, and press the button: {page}"));
        narrator.say(Who::Demo, "Exact Online is simulated there: choose any user, and any six digits will do; then press Allow");
        loop {
            match asked.recv().await {
                Ok(Logged { kind: Kind::Code, outcome: Outcome::Granted, .. }) => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
    tokio::time::sleep(STORE).await;
    Ok(())
}

async fn first_hand_out(caller: &Caller<'_>, narrator: &Narrator) {
    narrator.say(Who::Demo, &format!("what Data Factory does: curl {}", caller.url()));
    loop {
        if let Answer::Token(body) = caller.ask().await {
            narrator.say(Who::Caller, &caller::shown(body));
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits until the host gives the handler up.
async fn given_up_by(mut events: Receiver<Event>) -> Result<()> {
    loop {
        match events.recv().await {
            Ok(Event { kind: EventKind::GivenUp { why }, .. }) => bail!("the Functions host has stopped: {why}"),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
