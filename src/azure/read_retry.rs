//! When a read is tried again: at once and seldom. The pass above has its own patience, with its own reasons.

use azure_core::http::StatusCode;
use azure_core::http::policies::{RetryHeaders, RetryPolicy};
use azure_core::time::Duration;

const RETRIES: u32 = 2;
/// Counted from the end of the first try: a try that took all the time it may take is repeated once, and three quick ones fit.
const NO_MORE_AFTER: Duration = Duration::seconds(5);

/// Two more tries after 0.4 and 0.8 s. `Retry-After` is not looked at: the crate's own policies obey it without a limit.
#[derive(Debug)]
pub(super) struct ReadRetry;

impl RetryPolicy for ReadRetry {
    fn is_expired(&self, since_first: Duration, retries: u32) -> bool {
        retries >= RETRIES || since_first >= NO_MORE_AFTER
    }

    fn retry_headers(&self) -> Option<&RetryHeaders> {
        None
    }

    /// None named: those that the crate takes for passing (408, 429, 500, 502, 503, 504).
    fn retry_status_codes(&self) -> &[StatusCode] {
        &[]
    }

    fn sleep_duration(&self, retries: u32) -> Duration {
        Duration::milliseconds(200) * 2_i32.pow(retries.min(RETRIES))
    }
}
