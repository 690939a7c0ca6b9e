//! The life of one handler on one port: started, crashed, started again, given up.
//!
//! Source: azure-functions-host `HttpFunctionInvocationDispatcher` and `WorkerProcess.OnProcessExited`.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{event::EventKind, host::Core, options::ExitZero, process, wire::Pool};

/// Errors that are this far apart do not add up.
const ERROR_WINDOW: Duration = Duration::from_mins(30);

/// At this many counted errors the host stops.
const ERRORS_UNTIL_GIVING_UP: u32 = 3;

/// Where a handler is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Spawned, or about to be, and not yet answering.
    Starting,
    /// It has answered `GET /`.
    Ready {
        /// Its process id.
        pid: u32,
        /// From the spawn to the first answer.
        ready_after: Duration,
    },
    /// It exited with 0 and is not started again; invocations go to a dead port.
    Dead,
    /// It failed too often; the host has stopped.
    GivenUp,
    /// The host has stopped it.
    Stopped,
}

/// What follows a SIGKILL by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterKill {
    /// As after `functionTimeout`: started again, not counted.
    Respawn,
    /// As after a crash: counted.
    Count,
    StayDown,
}

pub(super) enum Order {
    Kill(AfterKill),
    Interrupt,
}

/// A port, and the handlers that live on it one after another.
pub(super) struct Generation {
    pub(super) port: u16,
    pub(super) pool: Pool,
    phase: watch::Sender<Phase>,
    orders: mpsc::UnboundedSender<Order>,
    in_flight: watch::Sender<usize>,
}

/// Counts an invocation as in flight while it lives.
pub(super) struct InFlight(Arc<Generation>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}

impl Generation {
    /// Begins to supervise; the task ends with the host's task set.
    pub(super) fn start(core: &Arc<Core>, port: u16) -> Arc<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let generation =
            Arc::new(Self { port, pool: Pool::new(port), phase: watch::Sender::new(Phase::Starting), orders, in_flight: watch::Sender::new(0) });
        core.spawn(supervise(core.clone(), generation.clone(), inbox));
        generation
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Waits while the handler is starting; `None` if that takes too long.
    pub(super) async fn settled(&self, budget: Duration) -> Option<Phase> {
        let mut phase = self.phase.subscribe();
        let settled = phase.wait_for(|phase| *phase != Phase::Starting);
        let settled = tokio::time::timeout(budget, settled).await.ok()?.ok()?;
        Some(settled.clone())
    }

    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.send_modify(|count| *count += 1);
        InFlight(self.clone())
    }

    /// SIGKILL now. What is in flight loses its connection.
    pub(super) fn kill(&self, after: AfterKill) {
        if matches!(self.phase(), Phase::Ready { .. }) {
            self.phase.send_replace(Phase::Starting);
        }
        // Nobody is left to take an order once the supervision has ended; then there is nothing to kill.
        let _ = self.orders.send(Order::Kill(after));
    }

    pub(super) fn interrupt(&self) {
        let _ = self.orders.send(Order::Interrupt);
    }

    /// Waits for what is in flight, at most so long; then SIGKILL, and waits until the process is reaped.
    pub(super) async fn drain(&self, budget: Duration) {
        let mut in_flight = self.in_flight.subscribe();
        let idle = in_flight.wait_for(|count| *count == 0);
        let _ = tokio::time::timeout(budget, idle).await;
        self.put_down().await;
    }

    /// SIGKILL, and waits until the process is reaped.
    pub(super) async fn put_down(&self) {
        self.kill(AfterKill::StayDown);
        // The sender ends with the supervision, which is an end too.
        self.orders.closed().await;
    }
}

/// Counted errors, as `HttpFunctionInvocationDispatcher` keeps them.
#[derive(Default)]
struct Errors {
    count: u32,
    last: Option<Instant>,
}

impl Errors {
    /// Whether the host gives up now.
    fn add(&mut self, now: Instant) -> bool {
        if self.last.is_some_and(|last| now - last > ERROR_WINDOW) {
            self.count = 0;
        }
        self.last = Some(now);
        self.count += 1;
        self.count >= ERRORS_UNTIL_GIVING_UP
    }
}

#[derive(Debug, PartialEq, Eq)]
enum AfterExit {
    Respawn,
    Count,
    StayDead,
    Stop,
}

/// What the host does after an exit that it did, or did not, bring about.
fn after_exit(killed: Option<AfterKill>, code: i32, exit_zero: ExitZero) -> AfterExit {
    match (killed, code, exit_zero) {
        (Some(AfterKill::StayDown), _, _) => AfterExit::Stop,
        (Some(AfterKill::Respawn), _, _) | (None, 200, _) | (None, 0, ExitZero::Respawns) => AfterExit::Respawn,
        (None, 0, ExitZero::StaysDead) => AfterExit::StayDead,
        (Some(AfterKill::Count) | None, _, _) => AfterExit::Count,
    }
}

async fn supervise(core: Arc<Core>, generation: Arc<Generation>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut errors = Errors::default();
    loop {
        generation.phase.send_replace(Phase::Starting);
        generation.pool.clear();
        let stdout_closed = core.stdout_closed.subscribe();
        let spawned = process::spawn(&core.app, &core.environment, generation.port, &core.console, &stdout_closed);
        let mut handler = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                let why = format!("{error:#}");
                core.events.emit(EventKind::GivenUp { why });
                generation.phase.send_replace(Phase::GivenUp);
                return;
            }
        };
        let (exit, killed) = live(&core, &generation, &mut handler, &mut orders).await;
        let next = after_exit(killed, exit, core.options.exit_zero);
        let give_up = next == AfterExit::Count && errors.add(Instant::now());
        handler.last_lines().await;
        let pid = handler.pid;
        core.events.emit(EventKind::HandlerExited {
            pid,
            how: format!("exited with code {exit} (0x{exit:X}) {}", core.console.last_errors(pid)),
            respawned: !give_up && matches!(next, AfterExit::Respawn | AfterExit::Count),
        });
        let end = match next {
            AfterExit::Stop => Phase::Stopped,
            AfterExit::StayDead => Phase::Dead,
            AfterExit::Count if give_up => {
                let why = "Exceeded http worker restart retry count. Shutting down Functions Host";
                core.events.emit(EventKind::GivenUp { why: why.to_owned() });
                Phase::GivenUp
            }
            AfterExit::Respawn | AfterExit::Count => continue,
        };
        generation.pool.clear();
        generation.phase.send_replace(end);
        return;
    }
}

/// From the spawn to the end of the process: its code, and whether the host killed it.
async fn live(
    core: &Core,
    generation: &Generation,
    handler: &mut process::Handler,
    orders: &mut mpsc::UnboundedReceiver<Order>,
) -> (i32, Option<AfterKill>) {
    let spawned_at = Instant::now();
    let (child, pid) = (&mut handler.child, handler.pid);
    let readiness = process::ready(&generation.pool, generation.port, core.app.readiness_budget);
    tokio::pin!(readiness);
    let mut asked = true;
    let mut killed = None;
    loop {
        tokio::select! {
            status = child.wait() => return (code(&status), killed),
            ready = &mut readiness, if asked => {
                asked = false;
                if ready && killed.is_none() {
                    let ready_after = spawned_at.elapsed();
                    let port = generation.port;
                    // First the event: whoever waits for the phase finds it told.
                    core.events.emit(EventKind::HandlerStarted { pid, port, ready_after });
                    generation.phase.send_replace(Phase::Ready { pid, ready_after });
                } else if killed.is_none() {
                    // "Initializing HttpWorker timed out.": counted like a crash.
                    killed = Some(AfterKill::Count);
                    let _ = child.start_kill();
                }
            }
            order = orders.recv() => match order {
                Some(Order::Interrupt) => process::interrupt(child),
                Some(Order::Kill(after)) => {
                    killed = Some(after);
                    let _ = child.start_kill();
                }
                None => {
                    killed = Some(AfterKill::StayDown);
                    let _ = child.start_kill();
                }
            },
        }
    }
}

/// The exit code; 128 + the signal, as .NET reports it, where a signal ended the process.
fn code(status: &std::io::Result<ExitStatus>) -> i32 {
    let Ok(status) = status else { return -1 };
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(status) {
        return 128 + signal;
    }
    status.code().unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_error_within_half_an_hour_is_the_last() {
        let mut errors = Errors::default();
        let start = Instant::now();
        let minutes = |count: u64| start + Duration::from_secs(count * 60);
        assert!(!errors.add(minutes(0)));
        assert!(!errors.add(minutes(29)));
        assert!(errors.add(minutes(58)));
        let mut errors = Errors::default();
        assert!(!errors.add(minutes(0)));
        assert!(!errors.add(minutes(1)));
        assert!(!errors.add(minutes(32)));
        assert!(!errors.add(minutes(33)));
        assert!(errors.add(minutes(34)));
    }

    #[test]
    fn exits_are_told_apart() {
        for (killed, code, exit_zero, expected) in [
            (None, 101, ExitZero::Respawns, AfterExit::Count),
            (None, 137, ExitZero::Respawns, AfterExit::Count),
            (None, 200, ExitZero::StaysDead, AfterExit::Respawn),
            (None, 0, ExitZero::StaysDead, AfterExit::StayDead),
            (None, 0, ExitZero::Respawns, AfterExit::Respawn),
            (Some(AfterKill::Respawn), 137, ExitZero::StaysDead, AfterExit::Respawn),
            (Some(AfterKill::Count), 137, ExitZero::StaysDead, AfterExit::Count),
            (Some(AfterKill::StayDown), 137, ExitZero::Respawns, AfterExit::Stop),
        ] {
            assert_eq!(after_exit(killed, code, exit_zero), expected, "{killed:?} {code}");
        }
    }
}
