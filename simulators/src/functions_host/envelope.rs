//! The JSON body of a timer invocation, and the literal samples T1 to T9.
//!
//! Source: azure-functions-host `DefaultHttpWorkerService` and azure-webjobs-sdk-extensions `TimerInfo`. Minified, Pascal case.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{schedule::ScheduleStatus, wire::Framing};

/// .NET's `default(DateTime)`, as the host serializes it: never.
const NEVER: &str = "0001-01-01T00:00:00+00:00";

/// `Metadata.RetryContext`.
#[derive(Clone, Debug)]
pub struct RetryContext {
    /// 0 on the first attempt.
    pub retry_count: u32,
    /// -1: for ever.
    pub max_retry_count: i64,
    /// `null` on the first attempt; then a serialized .NET exception.
    pub exception: Value,
}

/// The three dates of `ScheduleStatus`, as text, since hosts differ in how they write them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatusDates {
    /// When the timer fired last.
    pub last: String,
    /// On a normal tick: the tick being served.
    pub next: String,
    /// When the status was stored.
    pub last_updated: String,
}

impl StatusDates {
    pub(super) fn of(status: &ScheduleStatus) -> Self {
        let date = |time: Option<Timestamp>| time.map_or_else(|| NEVER.to_owned(), dotnet_date);
        Self { last: date(status.last), next: dotnet_date(status.next), last_updated: date(status.last_updated) }
    }

    /// Back from text; `None` if a date cannot be read.
    pub(super) fn status(&self) -> Option<ScheduleStatus> {
        let date = |text: &str| match text {
            NEVER => Some(None),
            text => text.parse().ok().map(Some),
        };
        Some(ScheduleStatus { last: date(&self.last)?, next: self.next.parse().ok()?, last_updated: date(&self.last_updated)? })
    }

    fn sample() -> Self {
        Self {
            last: "2026-11-23T16:36:00.0103372+00:00".to_owned(),
            next: "2026-11-23T16:45:00+00:00".to_owned(),
            last_updated: "2026-11-23T16:36:00.0103372+00:00".to_owned(),
        }
    }
}

/// ISO 8601 with at most seven fractional digits, trailing zeros trimmed, and `+00:00`.
pub(super) fn dotnet_date(time: Timestamp) -> String {
    utc_now(time).replace('Z', "+00:00")
}

/// The same with `Z`, as in `Metadata.sys.UtcNow`.
pub(super) fn utc_now(time: Timestamp) -> String {
    let ticks = time.subsec_nanosecond() / 100 * 100;
    let rest = i64::from(time.subsec_nanosecond() - ticks);
    let whole = time.checked_sub(jiff::SignedDuration::from_nanos(rest)).unwrap_or(time);
    whole.to_string()
}

/// One timer invocation as it goes over the wire: its body and its framing.
#[derive(Clone, Debug)]
pub struct TimerSample {
    /// `X-Azure-Functions-InvocationId`; `None` makes a new one.
    pub invocation_id: Option<String>,
    /// W3C trace context; absent where the host runs without Application Insights.
    pub traceparent: Option<String>,
    /// `None`: as the simulated platform frames requests.
    pub framing: Option<Framing>,
    /// `Schedule.AdjustForDST`: false for a `TimeSpan`.
    pub adjust_for_dst: bool,
    /// `None` is `null`.
    pub status: Option<StatusDates>,
    /// True only for the catch-up after a start.
    pub is_past_due: bool,
    /// `Metadata.sys.UtcNow`.
    pub utc_now: String,
    /// `Metadata.sys.RandGuid`.
    pub rand_guid: String,
    /// Present only if function.json has a retry policy.
    pub retry: Option<RetryContext>,
    /// Bytes of members that no host sends today, spread over every object; 0 for none.
    pub unknown_members: usize,
}

impl TimerSample {
    /// T1: a normal tick as Azure sends it.
    #[must_use]
    pub fn normal() -> Self {
        Self {
            invocation_id: Some("83a33220-a921-460a-bec0-b3f043dcf1ff".to_owned()),
            traceparent: Some("00-bb2bd5eef54cb15a1506d0326d2489e7-d3f54c84c7034d76-00".to_owned()),
            framing: None,
            adjust_for_dst: true,
            status: Some(StatusDates::sample()),
            is_past_due: false,
            utc_now: "2026-11-23T16:45:00.0312345Z".to_owned(),
            rand_guid: "35e6e68c-5583-436c-a277-5aec2b416ba8".to_owned(),
            retry: None,
            unknown_members: 0,
        }
    }

    /// T2: a manual run, or no monitor: `ScheduleStatus` is null.
    #[must_use]
    pub fn no_status() -> Self {
        Self { status: None, utc_now: "2023-09-07T11:40:45.004275Z".to_owned(), ..Self::normal() }
    }

    /// T3: the first tick ever; `offset` is what follows the dates (`+00:00`, `Z`, or nothing as some versions write).
    #[must_use]
    pub fn first_tick(offset: &str) -> Self {
        let never = format!("0001-01-01T00:00:00{offset}");
        let status = StatusDates { last: never.clone(), next: format!("2026-11-23T16:45:00{offset}"), last_updated: never };
        Self { status: Some(status), ..Self::normal() }
    }

    /// T4: past due, with the next tick in the past.
    #[must_use]
    pub fn past_due() -> Self {
        Self { is_past_due: true, utc_now: "2026-11-23T18:00:30.5Z".to_owned(), ..Self::normal() }
    }

    /// T5: a retry, with a serialized exception of at least `exception_bytes`.
    #[must_use]
    pub fn retry(count: u32, max: i64, exception_bytes: usize) -> Self {
        let why = "Response status code does not indicate success: 500 (Internal Server Error).";
        Self {
            retry: Some(RetryContext { retry_count: count, max_retry_count: max, exception: exception("RefreshToken", why, exception_bytes) }),
            ..Self::normal()
        }
    }

    /// T6: as T1, with `Content-Length`, as Core Tools send it.
    #[must_use]
    pub fn content_length() -> Self {
        Self { framing: Some(Framing::ContentLength), ..Self::normal() }
    }

    /// T7: as T1, in several chunks and small TCP segments, both given in bytes.
    #[must_use]
    pub fn split(chunk: usize, segment: usize) -> Self {
        Self { framing: Some(Framing::Split { chunk, segment }), ..Self::normal() }
    }

    /// T8: without a `traceparent`.
    #[must_use]
    pub fn no_traceparent() -> Self {
        Self { traceparent: None, ..Self::normal() }
    }

    /// T9: a `TimeSpan` schedule.
    #[must_use]
    pub fn time_span() -> Self {
        Self { adjust_for_dst: false, ..Self::normal() }
    }

    /// Every sample with its name: T1 to T9, their variants, and unknown members.
    #[must_use]
    pub fn all() -> Vec<(&'static str, Self)> {
        vec![
            ("T1 normal", Self::normal()),
            ("T2 no status", Self::no_status()),
            ("T3 first tick", Self::first_tick("+00:00")),
            ("T3 first tick, Z", Self::first_tick("Z")),
            ("T3 first tick, no offset", Self::first_tick("")),
            ("T3 first tick, another offset", Self::first_tick("+01:00")),
            ("T4 past due", Self::past_due()),
            ("T5 first attempt", Self::retry(0, 3, 0)),
            ("T5 retry", Self::retry(1, 3, 0)),
            ("T5 retry for ever, 100 KB", Self::retry(17, -1, 100 * 1024)),
            ("T6 content length", Self::content_length()),
            ("T7 split", Self::split(50, 7)),
            ("T7 byte by byte", Self::split(1, 1)),
            ("T8 no traceparent", Self::no_traceparent()),
            ("T9 time span", Self::time_span()),
            ("unknown members", Self { unknown_members: 6 * 1024, ..Self::normal() }),
        ]
    }

    /// The body, for a function and the name of its timer binding.
    #[must_use]
    pub fn body(&self, function: &str, binding: &str) -> String {
        let quote = |text: &str| Value::from(text).to_string();
        let unknown = || match self.unknown_members {
            0 => String::new(),
            bytes => format!(r#","FutureMember":{{"List":[1,null,"{}"]}}"#, "x".repeat(bytes / 4)),
        };
        let status = match &self.status {
            None => "null".to_owned(),
            Some(dates) => format!(
                r#"{{"Last":{},"Next":{},"LastUpdated":{}{}}}"#,
                quote(&dates.last),
                quote(&dates.next),
                quote(&dates.last_updated),
                unknown()
            ),
        };
        let mut body = format!(
            r#"{{"Data":{{{}:{{"Schedule":{{"AdjustForDST":{}}},"ScheduleStatus":{status},"IsPastDue":{}{}}}}},"Metadata":{{"sys":{{"MethodName":{},"UtcNow":{},"RandGuid":{}{}}}"#,
            quote(binding),
            self.adjust_for_dst,
            self.is_past_due,
            unknown(),
            quote(function),
            quote(&self.utc_now),
            quote(&self.rand_guid),
            unknown(),
        );
        if let Some(retry) = &self.retry {
            let exception = if retry.retry_count == 0 { &Value::Null } else { &retry.exception };
            // Writing into a String cannot fail.
            let _ = write!(
                body,
                r#","RetryContext":{{"RetryCount":{},"MaxRetryCount":{},"Exception":{exception},"Instance":null,"State":{{}}}}"#,
                retry.retry_count, retry.max_retry_count,
            );
        }
        body + &unknown() + "}}"
    }
}

/// A .NET exception as Newtonsoft writes one; the shape is approximate, the size is what matters.
pub(super) fn exception(function: &str, why: &str, bytes: usize) -> Value {
    let frame = "   at Microsoft.Azure.WebJobs.Script.Description.WorkerFunctionInvoker.InvokeCore(Object[] parameters)\r\n";
    let stack = frame.repeat(bytes.div_ceil(frame.len()).max(1));
    json!({
        "ClassName": "Microsoft.Azure.WebJobs.Host.FunctionInvocationException",
        "Message": format!("Exception while executing function: Functions.{function}"),
        "Data": null,
        "InnerException": {
            "ClassName": "System.Net.Http.HttpRequestException",
            "Message": why,
            "InnerException": null,
            "StackTraceString": frame,
        },
        "HelpURL": null,
        "StackTraceString": stack,
        "RemoteStackTraceString": null,
        "RemoteStackIndex": 0,
        "ExceptionMethod": null,
        "HResult": -2_146_233_088_i64,
        "Source": "Microsoft.Azure.WebJobs.Script",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t1_is_the_literal_sample() {
        let body = TimerSample::normal().body("RefreshToken", "timer");
        assert_eq!(body.len(), 0x165);
        assert_eq!(
            body,
            concat!(
                r#"{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":"#,
                r#"{"Last":"2026-11-23T16:36:00.0103372+00:00","Next":"2026-11-23T16:45:00+00:00","#,
                r#""LastUpdated":"2026-11-23T16:36:00.0103372+00:00"},"IsPastDue":false}},"#,
                r#""Metadata":{"sys":{"MethodName":"RefreshToken","UtcNow":"2026-11-23T16:45:00.0312345Z","#,
                r#""RandGuid":"35e6e68c-5583-436c-a277-5aec2b416ba8"}}}"#,
            )
        );
    }

    #[test]
    fn every_sample_is_json_and_the_big_one_is_big() {
        for (name, sample) in TimerSample::all() {
            let body = sample.body("RefreshToken", "timer");
            let json: Value = serde_json::from_str(&body).expect(name);
            assert!(json["Data"]["timer"]["IsPastDue"].is_boolean(), "{name}");
        }
        let big = TimerSample::retry(1, 3, 100 * 1024).body("RefreshToken", "timer");
        assert!(big.len() > 100 * 1024);
    }

    #[test]
    fn dates_have_at_most_seven_digits() {
        let time: Timestamp = "2026-11-23T16:36:00.123456789Z".parse().unwrap();
        assert_eq!(dotnet_date(time), "2026-11-23T16:36:00.1234567+00:00");
        let time: Timestamp = "2026-11-23T16:36:00.5Z".parse().unwrap();
        assert_eq!(utc_now(time), "2026-11-23T16:36:00.5Z");
    }
}
