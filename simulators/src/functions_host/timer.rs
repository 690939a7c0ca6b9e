//! The listener of one timer: waits, fires, stores the status, waits again.
//!
//! Source: azure-webjobs-sdk-extensions `TimerListener`.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    ambient,
    binding::{Function, TimerTrigger, Trigger},
    event::EventKind,
    host::Core,
    invoke::{Cause, Invocation},
    options::Timers,
    schedule::{self, First, Next, ScheduleStatus, Ticks},
};

/// The longest sleep at a stretch, so that a clock that is set back or forth is noticed.
const STRETCH: Duration = Duration::from_secs(30);

/// Starts a listener for each timer that is not disabled; listeners that there were end.
pub(super) fn start(core: &Arc<Core>) {
    core.end_listeners();
    if core.options.timers == Timers::Off {
        return;
    }
    for function in core.app.functions.iter().filter(|function| !function.disabled) {
        if let Trigger::Timer(timer) = &function.trigger {
            core.spawn_listener(listen(core.clone(), function.clone(), timer.clone()));
        }
    }
}

impl Core {
    /// The schedule in force: function.json's, or the scaled one.
    fn ticks(&self, timer: &TimerTrigger) -> Ticks {
        match self.options.timers {
            Timers::Every(every) => Ticks::Every(every),
            Timers::Off | Timers::OnSchedule => timer.ticks.clone(),
        }
    }

    /// One scheduled firing, never beside another of the same function; the status is stored once it has ended.
    pub(super) async fn run_scheduled(&self, function: &Function, timer: &TimerTrigger, cause: Cause) -> (Timestamp, Invocation) {
        let lock = self.timer_locks.iter().find(|(name, _)| *name == function.name);
        let _alone = match lock {
            Some((_, lock)) => Some(lock.lock().await),
            None => None,
        };
        let stored = timer.use_monitor.then(|| self.statuses.read(&function.name)).flatten();
        let deaths = self.deaths();
        let started = ambient::now();
        let invocation = self.invoke(function, timer, stored.as_ref(), cause).await;
        // A dead host writes nothing: the tick is past due again at the next start.
        if timer.use_monitor && deaths == self.deaths() {
            let status = ScheduleStatus::after(&self.ticks(timer), started);
            self.statuses.write(&function.name, &status);
        }
        (started, invocation)
    }
}

async fn listen(core: Arc<Core>, function: Function, timer: TimerTrigger) {
    let ticks = core.ticks(&timer);
    let stored = timer.use_monitor.then(|| core.statuses.read(&function.name)).flatten();
    let (first, status) = schedule::first(&ticks, stored, timer.run_on_startup, ambient::now());
    if timer.use_monitor {
        core.statuses.write(&function.name, &status);
    }
    let mut cause = match first {
        First::PastDue => Cause::PastDue,
        First::OnStartup => Cause::Tick,
        First::WaitUntil(at) => {
            wait_until(&core, &function, at).await;
            Cause::Tick
        }
    };
    while !*core.stopping.borrow() {
        let (started, _) = core.run_scheduled(&function, &timer, cause).await;
        cause = Cause::Tick;
        match schedule::next(&ticks, started, ambient::now()) {
            Next::CatchUp => {}
            Next::At(at) => wait_until(&core, &function, at).await,
        }
    }
}

async fn wait_until(core: &Core, function: &Function, at: Timestamp) {
    core.events.emit(EventKind::NextTick { function: function.name.clone(), at });
    let mut stopping = core.stopping.subscribe();
    while !*core.stopping.borrow() {
        // Negative once the time has come.
        let Ok(rest) = Duration::try_from(at.duration_since(ambient::now())) else {
            return;
        };
        if rest.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(rest.min(STRETCH)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}
