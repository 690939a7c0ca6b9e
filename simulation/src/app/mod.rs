//! The function app: its processes, the host that starts and ends them and fires the timer, and the people and programs that use it.

pub mod callers;
pub mod control;
pub mod fates;
pub mod imports;
pub mod people;
pub mod process;
pub mod timer;

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use self::process::Process;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::world::World;

/// All processes of one app.
pub struct App {
    /// Where it runs.
    pub world: World,
    /// How it is used.
    pub scenario: Scenario,
    processes: Mutex<Vec<Arc<Process>>>,
}

impl App {
    /// No process yet.
    #[must_use]
    pub fn new(world: World, scenario: Scenario) -> Arc<Self> {
        Arc::new(Self { world, scenario, processes: Mutex::default() })
    }

    /// Starts a process.
    pub fn start(&self, random: &mut Random, misplaced: bool) -> Arc<Process> {
        let mut all = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let id = u32::try_from(all.len() + 1).unwrap_or(u32::MAX);
        let process = Process::start(&self.world, &self.scenario, id, random, misplaced);
        all.push(Arc::clone(&process));
        process
    }

    /// Those that live, take calls and are not another installation's.
    #[must_use]
    pub fn serving(&self) -> Vec<Arc<Process>> {
        let all = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|process| process.takes_calls() && !process.misplaced).cloned().collect()
    }

    /// Those that live.
    #[must_use]
    pub fn alive(&self) -> Vec<Arc<Process>> {
        let all = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|process| !process.control.is_dead()).cloned().collect()
    }

    /// Whether faults still happen.
    #[must_use]
    pub fn is_rough(&self) -> bool {
        self.now() < self.scenario.calm_from
    }

    /// True time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.world.time.now()
    }
}
