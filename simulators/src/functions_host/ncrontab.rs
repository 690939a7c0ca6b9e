//! NCRONTAB expressions: `{second} {minute} {hour} {day} {month} {day-of-week}`.
//!
//! Source: Microsoft Learn, "Timer trigger for Azure Functions", section NCRONTAB expressions. Written here because the
//! common cron crates count weekdays from 1 (Quartz), NCRONTAB counts them from 0 = Sunday, and joins day and weekday by *and*.
//! Evaluated in UTC, the host's default zone.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

/// A parsed schedule. Each field is a set of bits, bit *n* for the value *n*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ncrontab {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Days searched for the next occurrence: 29 February can be eight years away, over 1900 or 2100.
const HORIZON_DAYS: u32 = 8 * 366 + 1;

impl Ncrontab {
    /// Reads six fields, or five (then the seconds are 0).
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [seconds, minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("`{text}` has {} fields; an NCRONTAB expression has 6, or 5 without seconds", fields.len()));
        };
        let field = |field: &str, low, high, names: &[&str]| set_of(field, low, high, names).map_err(|why| format!("`{text}`: {why}"));
        Ok(Self {
            seconds: field(seconds, 0, 59, &[])?,
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: field(weekdays, 0, 6, &WEEKDAYS)?,
        })
    }

    /// The first occurrence strictly after `after`; `None` if there is none within eight years.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let start = Timestamp::from_second(after.as_second().checked_add(1)?).ok()?.to_zoned_datetime(TimeZone::UTC).datetime();
        let mut date = start.date();
        for day in 0..HORIZON_DAYS {
            if self.falls_on(date) {
                let from = if day == 0 { (start.hour(), start.minute(), start.second()) } else { (0, 0, 0) };
                if let Some((hour, minute, second)) = self.first_time(from) {
                    let at = date.at(hour, minute, second, 0);
                    return Some(at.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp());
                }
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    /// Whether it can fire more than once within a minute; the host then keeps no schedule status.
    pub(super) fn within_a_minute(&self) -> bool {
        self.seconds.count_ones() > 1
    }

    fn falls_on(&self, date: Date) -> bool {
        has(self.days, date.day()) && has(self.months, date.month()) && has(self.weekdays, date.weekday().to_sunday_zero_offset())
    }

    fn first_time(&self, from: (i8, i8, i8)) -> Option<(i8, i8, i8)> {
        for hour in (from.0..24).filter(|hour| has(self.hours, *hour)) {
            let first_minute = if hour == from.0 { from.1 } else { 0 };
            for minute in (first_minute..60).filter(|minute| has(self.minutes, *minute)) {
                let same = hour == from.0 && minute == from.1;
                let first_second = if same { from.2 } else { 0 };
                let second = (first_second..60).find(|second| has(self.seconds, *second));
                if let Some(second) = second {
                    return Some((hour, minute, second));
                }
            }
        }
        None
    }
}

fn has(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|bit| set >> bit & 1 == 1)
}

/// `*`, `a`, `a-b`, each with `/step`, joined by commas. Names begin at the field's lowest value.
fn set_of(field: &str, low: u64, high: u64, names: &[&str]) -> Result<u64, String> {
    let number_in = |text: &str| -> Result<u64, String> {
        let lower = text.to_ascii_lowercase();
        let listed = names.iter().position(|name| lower.len() >= 3 && lower.starts_with(name));
        let number = match listed {
            Some(index) => low + index as u64,
            None => text.parse().map_err(|_| format!("`{text}` is not a number"))?,
        };
        if (low..=high).contains(&number) { Ok(number) } else { Err(format!("{number} is not within {low} to {high}")) }
    };
    let mut set = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step: u64 = step.parse().map_err(|_| format!("`{step}` is not a step"))?;
                (range, Some(step))
            }
            None => (part, None),
        };
        if step == Some(0) {
            return Err("a step of 0 never moves".to_owned());
        }
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number_in(first)?, number_in(last)?),
            None if range == "*" => (low, high),
            // `5/10` counts on from 5 to the end of the field.
            None if step.is_some() => (number_in(range)?, high),
            None => (number_in(range)?, number_in(range)?),
        };
        if first > last {
            return Err(format!("the range {first}-{last} runs backwards"));
        }
        let mut number = first;
        while number <= last {
            set |= 1 << number;
            number += step.unwrap_or(1);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> String {
        let after: Timestamp = after.parse().unwrap();
        let schedule = Ncrontab::parse(schedule).unwrap();
        schedule.next_after(after).unwrap().to_string()
    }

    #[test]
    fn nine_minute_schedule_has_a_six_minute_gap_at_the_hour() {
        let schedule = "0 */9 * * * *";
        assert_eq!(next(schedule, "2026-11-23T16:36:00.01Z"), "2026-11-23T16:45:00Z");
        assert_eq!(next(schedule, "2026-11-23T16:45:00Z"), "2026-11-23T16:54:00Z");
        assert_eq!(next(schedule, "2026-11-23T16:54:00Z"), "2026-11-23T17:00:00Z");
    }

    #[test]
    fn lists_ranges_steps_and_names_are_read() {
        let after = "2026-11-23T16:36:00Z"; // a Monday
        assert_eq!(next("30 0,20-40/10 * * * *", after), "2026-11-23T16:40:30Z");
        assert_eq!(next("0 0 3 * * 0", after), "2026-11-29T03:00:00Z");
        assert_eq!(next("0 0 3 * * Mon-Fri", after), "2026-11-24T03:00:00Z");
        assert_eq!(next("0 0 0 1 January *", after), "2027-01-01T00:00:00Z");
        assert_eq!(next("0 5/25 * * * *", after), "2026-11-23T16:55:00Z");
        assert_eq!(next("*/5 * * * *", after), "2026-11-23T16:40:00Z");
        assert_eq!(next("0 0 0 29 2 *", after), "2028-02-29T00:00:00Z");
        // Day and weekday both have to hold: Friday the 13th.
        assert_eq!(next("0 0 0 13 * 5", after), "2027-08-13T00:00:00Z");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "* * *", "60 * * * * *", "0 */0 * * * *", "0 9-3 * * * *", "0 0 0 * * 7", "x * * * * *"] {
            assert!(Ncrontab::parse(text).is_err(), "{text}");
        }
        let never = Ncrontab::parse("0 0 0 30 2 *").unwrap();
        assert_eq!(never.next_after(Timestamp::UNIX_EPOCH), None);
    }
}
