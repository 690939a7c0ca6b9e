//! What the host posts for a timer.

use serde::Deserialize;

use super::reply::Refused;

/// The timer binding's name in `RefreshToken/function.json`.
#[cfg(test)]
pub(super) const BINDING: &str = "timer";

/// What of an envelope is used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// A tick that was missed while no host ran, caught up with at its start.
    pub(super) past_due: bool,
}

/// Reads an envelope (azure-functions-host, `HttpScriptInvocationContext`). `IsPastDue` and `Metadata.sys` tell it from other JSON; the rest is passed
/// over. Dates above all: the host writes them with and without an offset, and "never" as the year 1 (azure-functions-host #7391).
pub(super) fn read(body: &[u8]) -> Result<Tick, Refused> {
    // serde reads a struct from an array, too.
    let object = body.trim_ascii_start().first() == Some(&b'{');
    // The parser's error is dropped: it can quote the body, where the host puts whatever its caller sent.
    let envelope = serde_json::from_slice::<Envelope>(body).ok().filter(|_| object).ok_or(Refused::NotATimer)?;
    let Metadata { sys: Sys {} } = envelope.metadata;
    Ok(Tick { past_due: envelope.data.timer.is_past_due })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    data: Data,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Data {
    timer: Timer,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Timer {
    is_past_due: bool,
}

#[derive(Deserialize)]
struct Metadata {
    sys: Sys,
}

#[derive(Deserialize)]
struct Sys {}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(timer: &str) -> String {
        format!(r#"{{"Data":{{"timer":{timer}}},"Metadata":{{"sys":{{"MethodName":"RefreshToken"}}}}}}"#)
    }

    #[test]
    fn dates_and_unknown_members_are_passed_over() {
        for status in ["null", r#"{"Last":"0001-01-01T00:00:00","Next":"yesterday"}"#, "7", r#"["\ud800"]"#] {
            let body = timer(&format!(r#"{{"Schedule":{{"AdjustForDST":1e999}},"ScheduleStatus":{status},"IsPastDue":true,"New":[{{}}]}}"#));
            assert_eq!(read(body.as_bytes()), Ok(Tick { past_due: true }), "{status}");
        }
        let nested = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let body = timer(&format!(r#"{{"IsPastDue":false,"Exception":{nested}}}"#));
        assert_eq!(read(body.as_bytes()), Ok(Tick { past_due: false }));
    }

    #[test]
    fn anything_else_is_refused() {
        let sound = timer(r#"{"IsPastDue":false}"#);
        assert!(read(sound.as_bytes()).is_ok());
        let mut others = vec![
            timer("null"),
            timer("{}"),
            timer(r#"{"IsPastDue":"false"}"#),
            timer(r#"{"IsPastDue":null}"#),
            format!("{sound}x"),
            format!("[{sound}]"),
            sound[..sound.len() - 1].to_owned(),
            r#"[{"timer":{"IsPastDue":false}},{"sys":{}}]"#.to_owned(),
            r#"{"Data":{"timer":{"IsPastDue":false}}}"#.to_owned(),
            r#"{"Data":{"timer":{"IsPastDue":false}},"Metadata":{}}"#.to_owned(),
            r#"{"Data":{"req":{"IsPastDue":false}},"Metadata":{"sys":{}}}"#.to_owned(),
        ];
        others.extend(["", " ", "null", "true", "{}", "[]", "\"text\"", "IsPastDue=false", "{\"Data\""].map(str::to_owned));
        for body in others {
            assert_eq!(read(body.as_bytes()), Err(Refused::NotATimer), "{body}");
        }
        assert_eq!(read(b"\xff\xfe\x00{"), Err(Refused::NotATimer));
    }
}
