//! Timer invocations: one attempt, and a whole invocation with its retries.
//!
//! Source: azure-webjobs-sdk `TriggeredFunctionExecutor` (one id for all attempts) and `JobHost.CallAsync` (one id for each).

use std::time::Duration;

use uuid::Uuid;

use super::{
    ambient,
    binding::{Function, TimerTrigger},
    envelope::{RetryContext, StatusDates, TimerSample, exception, utc_now},
    event::EventKind,
    host::Core,
    schedule::ScheduleStatus,
    verdict::{Verdict, judge},
    wire::Request,
};

/// A timer invocation that has ended.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The function's name.
    pub function: String,
    /// `X-Azure-Functions-InvocationId`.
    pub id: String,
    /// How the host judges it.
    pub verdict: Verdict,
    /// The reply's status; `None` if there was no whole reply.
    pub status: Option<u16>,
    /// The reply's headers.
    pub headers: Vec<(String, String)>,
    /// The reply's body.
    pub body: Vec<u8>,
    /// `Logs`, which the host correlates with the invocation; empty unless it succeeded.
    pub logs: Vec<String>,
    /// From the sending to the whole reply, of the last attempt.
    pub duration: Duration,
    /// 1, or more with a retry policy.
    pub attempts: u32,
}

/// Why a timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Tick,
    PastDue,
    /// `POST /admin/functions/<name>`: beside the schedule, and a new id for each attempt.
    Manual,
}

impl Core {
    /// One attempt, exactly as the sample says.
    pub(super) async fn attempt(&self, function: &Function, timer: &TimerTrigger, sample: &TimerSample) -> Invocation {
        let new_id = || Uuid::new_v4().to_string();
        let id = sample.invocation_id.clone().unwrap_or_else(new_id);
        self.events.emit(EventKind::TimerFired {
            function: function.name.clone(),
            invocation_id: id.clone(),
            past_due: sample.is_past_due,
            retry: sample.retry.as_ref().map_or(0, |retry| retry.retry_count),
        });
        let body = sample.body(&function.name, &timer.binding).into_bytes();
        let framing = sample.framing.unwrap_or_else(|| self.framing());
        let call = self.call(&function.name, |port| {
            let mut headers = Self::default_headers(port, &id);
            if let Some(parent) = &sample.traceparent {
                headers.push(("traceparent".to_owned(), parent.clone()));
            }
            Request { method: "POST".to_owned(), target: format!("/{}", function.name), headers, body: Some((body, framing)) }
        });
        let call = call.await;
        let mut invocation = Invocation {
            function: function.name.clone(),
            id,
            verdict: Verdict::Success,
            status: None,
            headers: Vec::new(),
            body: Vec::new(),
            logs: Vec::new(),
            duration: call.duration,
            attempts: 1,
        };
        match call.reply {
            Ok(reply) => {
                let (verdict, result) = judge(&reply);
                invocation.verdict = self.acted_out(verdict, call.duration).await;
                invocation.logs = result.map(|result| result.logs).unwrap_or_default();
                invocation.status = Some(reply.status);
                invocation.headers = reply.headers;
                invocation.body = reply.body;
            }
            Err(verdict) => invocation.verdict = verdict,
        }
        self.events.emit(EventKind::TimerCompleted {
            function: invocation.function.clone(),
            invocation_id: invocation.id.clone(),
            verdict: invocation.verdict.clone(),
            duration: invocation.duration,
            logs: invocation.logs.clone(),
        });
        invocation
    }

    /// With `act_out_hangs`, what never completes is held until `functionTimeout`, and ends in a kill.
    pub(super) async fn acted_out(&self, verdict: Verdict, spent: Duration) -> Verdict {
        let hangs = matches!(verdict, Verdict::NeverCompletes(_)) && self.options.act_out_hangs;
        if let (true, Some(timeout)) = (hangs, self.app.function_timeout) {
            tokio::time::sleep(timeout.saturating_sub(spent)).await;
            if let Some(generation) = self.current() {
                generation.kill(super::generation::AfterKill::Respawn);
            }
            return Verdict::TimedOut;
        }
        verdict
    }

    /// A whole invocation: attempts until one succeeds or the retry policy is spent. The last attempt is returned.
    pub(super) async fn invoke(&self, function: &Function, timer: &TimerTrigger, status: Option<&ScheduleStatus>, cause: Cause) -> Invocation {
        let id = Uuid::new_v4().to_string();
        let mut failed = serde_json::Value::Null;
        let mut count = 0;
        let deaths = self.deaths();
        loop {
            let invocation_id = (cause != Cause::Manual).then(|| id.clone());
            let retry = function.retry.as_ref().map(|policy| RetryContext {
                retry_count: count,
                max_retry_count: policy.max_retries.map_or(-1, i64::from),
                exception: failed.clone(),
            });
            let sample = TimerSample {
                invocation_id,
                traceparent: Some(traceparent()),
                framing: None,
                adjust_for_dst: timer.ticks.adjusts_for_dst(),
                status: status.map(StatusDates::of),
                is_past_due: cause == Cause::PastDue,
                utc_now: utc_now(ambient::now()),
                rand_guid: Uuid::new_v4().to_string(),
                retry,
                unknown_members: 0,
            };
            let mut invocation = self.attempt(function, timer, &sample).await;
            invocation.attempts = count + 1;
            let Some(why) = invocation.verdict.failure() else {
                return invocation;
            };
            let Some(policy) = &function.retry else {
                return invocation;
            };
            let spent = policy.max_retries.is_some_and(|most| count >= most);
            // In the real host this reply would never have come back to be retried.
            let stuck = matches!(invocation.verdict, Verdict::NeverCompletes(_));
            let over = *self.stopping.borrow() || deaths != self.deaths();
            if spent || stuck || over {
                return invocation;
            }
            failed = exception(&function.name, why, 2_048);
            count += 1;
            let wait = self.options.retry_delay;
            tokio::time::sleep(wait.unwrap_or_else(|| policy.wait_before(count))).await;
        }
    }
}

/// W3C trace context, unsampled.
fn traceparent() -> String {
    let span = Uuid::new_v4().simple().to_string();
    format!("00-{}-{}-00", Uuid::new_v4().simple(), &span[..16])
}
