//! The status on a terminal.

use std::fmt;

use jiff::Timestamp;

use super::form::second;
use super::{LockHolder, State, Status};

/// One screen for a person.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| second(at).to_string());
        let state = match self.state {
            State::Connected => "connected",
            State::Degraded => "degraded",
            State::ConsentRequired => "consent required",
            State::NeverConnected => "never connected",
            State::Misconfigured => "misconfigured",
        };
        writeln!(f, "state           {state}: {}", self.summary)?;
        writeln!(f, "site            {}", self.base_url.as_deref().unwrap_or("-"))?;
        if let (Some(user), Some(company)) = (&self.user, &self.company) {
            writeln!(f, "connected as    {user} of {company}")?;
        }
        match self.access_token_expires_at {
            Some(until) => writeln!(f, "access token    {} s left, until {}", self.access_token_seconds_left, second(until))?,
            None => writeln!(f, "access token    none yet")?,
        }
        match (self.refresh_token_days_left, self.refresh_token_expires_at) {
            (_, Some(_)) if self.state == State::ConsentRequired => writeln!(f, "refresh token   refused by Exact Online")?,
            (_, Some(until)) if self.at.is_some_and(|now| until <= now) => writeln!(f, "refresh token   ended {}", second(until))?,
            (Some(days), Some(until)) => writeln!(f, "refresh token   {days} days left, until {}", second(until))?,
            _ if self.base_url.is_some() => writeln!(f, "refresh token   has brought no pair yet, so its age is not known")?,
            _ => writeln!(f, "refresh token   none yet")?,
        }
        writeln!(f, "last grant      {}", when(self.last_grant_at))?;
        writeln!(f, "next            {}", self.next)?;
        let failure = self.last_failure.as_deref().map_or_else(String::new, |what| format!(", the last: {what}"));
        writeln!(f, "failures        {} in a row{failure}", self.failures_in_a_row)?;
        writeln!(f, "requests        {} today, {} without a grant this hour", self.requests_today, self.ungranted_this_hour)?;
        writeln!(f, "unclear         {} open attempts, {} candidates", self.open_attempts, self.candidates)?;
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        writeln!(f, "ledger          epoch {}, generation {}", number(self.epoch), number(self.generation))?;
        if let Some(LockHolder { pid, since }) = self.lock_holder {
            let pid = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
            writeln!(f, "lock            held by process {pid} since {}; a process that hangs has to be ended by you", when(since))?;
        }
        writeln!(f, "store           {}", self.store)?;
        write!(f, "build           {}", self.build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_that_is_of_no_use_has_no_days_left() {
        let now: Timestamp = "2026-11-23T17:20:00Z".parse().unwrap();
        let told = |state, expires_at: &str| {
            let expires_at = expires_at.parse().ok();
            let status =
                Status { state, at: Some(now), refresh_token_expires_at: expires_at, refresh_token_days_left: Some(29), ..Status::unknown() };
            let screen = status.to_string();
            screen.lines().find_map(|line| line.strip_prefix("refresh token   ")).map(str::to_owned).unwrap()
        };
        assert_eq!(told(State::Connected, "2026-12-23T17:00:00Z"), "29 days left, until 2026-12-23T17:00:00Z");
        assert_eq!(told(State::Degraded, "2026-11-23T17:20:00Z"), "ended 2026-11-23T17:20:00Z");
        assert_eq!(told(State::ConsentRequired, "2026-12-23T17:00:00Z"), "refused by Exact Online");
    }
}
