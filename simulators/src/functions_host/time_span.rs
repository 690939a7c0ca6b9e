//! .NET `TimeSpan` text, as host.json and function.json use it.

use std::time::Duration;

/// Reads `[d.]hh:mm[:ss[.fffffff]]`, or a bare number of days.
///
/// Source: Microsoft Learn, "`TimeSpan.Parse`". As there, a first part above 23 is not refused but taken for days:
/// `24:00:00` is 24 days. Negative spans are refused, since no setting that is read here takes one.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time span of the form hh:mm:ss");
    let number = |part: &str| -> Result<u64, String> {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        part.parse().map_err(|_| wrong())
    };
    let parts: Vec<&str> = text.trim().split(':').collect();
    let (days, hours, minutes, seconds) = match parts.as_slice() {
        [days] => (number(days)?, 0, 0, "0"),
        [first, minutes] => {
            let (days, hours) = days_and_hours(first, &number)?;
            (days, hours, number(minutes)?, "0")
        }
        [first, second, third] => {
            let (days, hours) = days_and_hours(first, &number)?;
            if days == 0 && hours > 23 { (hours, number(second)?, number(third)?, "0") } else { (days, hours, number(second)?, *third) }
        }
        [days, hours, minutes, seconds] => (number(days)?, number(hours)?, number(minutes)?, *seconds),
        _ => return Err(wrong()),
    };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole = number(whole)?;
    if hours > 23 || minutes > 59 || whole > 59 || fraction.len() > 7 {
        return Err(wrong());
    }
    let nanos = number(&format!("{fraction:0<9}"))?;
    let total = days.checked_mul(86_400).and_then(|sum| sum.checked_add(hours * 3_600 + minutes * 60 + whole)).ok_or_else(wrong)?;
    Ok(Duration::from_secs(total) + Duration::from_nanos(nanos))
}

fn days_and_hours(text: &str, number: &impl Fn(&str) -> Result<u64, String>) -> Result<(u64, u64), String> {
    match text.split_once('.') {
        Some((days, hours)) => Ok((number(days)?, number(hours)?)),
        None => Ok((0, number(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_dotnet_reads_them() {
        for (text, seconds) in [
            ("00:05:00", 300.0),
            ("00:09", 540.0),
            ("1.00:00:00", 86_400.0),
            ("24:00:00", 24.0 * 86_400.0),
            ("7", 7.0 * 86_400.0),
            ("00:00:00.5", 0.5),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_span_is_refused() {
        for text in ["", "5 min", "00:60:00", "00:00:60", "-00:01:00", "1:2:3:4:5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
