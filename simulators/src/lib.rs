//! Stand-ins for the outside world.

pub mod exact_online;
