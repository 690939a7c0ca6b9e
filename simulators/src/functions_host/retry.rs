//! The retry policy of function.json.
//!
//! Source: Microsoft Learn, "Azure Functions error handling and retries", section Retry policies.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::time_span;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RetryPolicy {
    /// `None` means for ever (`-1`).
    pub(super) max_retries: Option<u32>,
    pub(super) delay: RetryDelay,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RetryDelay {
    Fixed(Duration),
    Exponential { least: Duration, most: Duration },
}

impl RetryPolicy {
    /// The wait before retry `count`, counted from 1. Exponential: without the real host's jitter.
    pub(super) fn wait_before(&self, count: u32) -> Duration {
        match self.delay {
            RetryDelay::Fixed(wait) => wait,
            RetryDelay::Exponential { least, most } => {
                let steps = 2_u32.saturating_pow(count).saturating_sub(1);
                (least + Duration::from_secs(steps.into())).min(most)
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetryDocument {
    strategy: String,
    max_retry_count: i64,
    delay_interval: Option<String>,
    minimum_interval: Option<String>,
    maximum_interval: Option<String>,
}

impl RetryDocument {
    pub(super) fn policy(&self) -> Result<RetryPolicy> {
        let span = |name: &str, text: &Option<String>| match text {
            None => bail!("retry.{name} is missing"),
            Some(text) => time_span::parse(text).map_err(|why| anyhow::anyhow!("retry.{name}: {why}")),
        };
        let delay = match self.strategy.to_ascii_lowercase().as_str() {
            "fixeddelay" => RetryDelay::Fixed(span("delayInterval", &self.delay_interval)?),
            "exponentialbackoff" => RetryDelay::Exponential {
                least: span("minimumInterval", &self.minimum_interval)?,
                most: span("maximumInterval", &self.maximum_interval)?,
            },
            other => bail!("retry.strategy `{other}` is not fixedDelay or exponentialBackoff"),
        };
        let max_retries = match self.max_retry_count {
            -1 => None,
            count => Some(u32::try_from(count).context("retry.maxRetryCount")?),
        };
        Ok(RetryPolicy { max_retries, delay })
    }
}
