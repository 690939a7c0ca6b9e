//! Stand-ins for the outside world.

pub mod functions_host;
