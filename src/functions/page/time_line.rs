//! The last grants, now, and the 30 days ahead, drawn.
//!
//! Two scales meet at now: grants can be 10 minutes apart, and what is ahead is counted in days. What is drawn is said in words below it, too.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::status::Status;

use super::life::Life;
use super::span;

/// An unused refresh token dies after this.
const AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The past is drawn at least this long: one grant of a minute ago should not look like an age.
const LEAST_PAST: SignedDuration = SignedDuration::from_mins(10);
/// Units of the drawing: its edges, and where now is.
const LEFT: i64 = 10;
const NOW: i64 = 120;
const RIGHT: i64 = 350;
/// A label that begins left of here would run into that of now.
const BESIDE_NOW: i64 = 144;
/// A label that begins right of here would run out of the drawing.
const LATE: i64 = 250;

/// None where there is nothing to draw.
pub(super) fn figure(status: &Status) -> Option<Markup> {
    let now = super::now(status);
    let mut grants: Vec<Timestamp> = status.recent_grants.iter().map(|at| (*at).min(now)).collect();
    grants.sort();
    if grants.is_empty() && status.refresh_token_expires_at.is_none() {
        return None;
    }
    let past = grants.first().map_or(LEAST_PAST, |oldest| now.duration_since(*oldest)).max(LEAST_PAST);
    // What is ahead of a token that Exact has refused is not drawn.
    let end = match Life::of(status) {
        Life::Over(_) => Some(("has ended".to_owned(), NOW)),
        Life::Until { left, .. } => Some((format!("{} left", span(left)), NOW + share(left, AHEAD, RIGHT - NOW))),
        Life::Unknown | Life::Refused => None,
    };
    Some(html! {
        figure {
            svg viewBox="0 0 360 92" role="img" aria-labelledby="time-line" aria-describedby="time-line-in-words" {
                title id="time-line" { "The last refreshes, now, and the 30 days ahead" }
                line class="axis" x1=(LEFT) y1="50" x2=(RIGHT) y2="50" {}
                @for at in &grants {
                    @let x = NOW - share(now.duration_since(*at), past, NOW - LEFT);
                    line class="grant" x1=(x) y1="38" x2=(x) y2="62" {}
                }
                @if let Some((said, x)) = end {
                    line class="life" x1=(NOW) y1="50" x2=(x) y2="50" {}
                    line class="now" x1=(x) y1="38" x2=(x) y2="62" {}
                    text x=(if x < LATE { x.max(BESIDE_NOW) } else { x }) y="22" text-anchor=(if x < LATE { "start" } else { "end" }) {
                        (said)
                    }
                }
                line class="now" x1=(NOW) y1="30" x2=(NOW) y2="70" {}
                text x=(NOW) y="22" text-anchor="middle" { "now" }
                text x=(LEFT) y="86" { (span(past)) " ago" }
                text x=(RIGHT) y="86" text-anchor="end" { "in 30 days" }
            }
            figcaption id="time-line-in-words" { (refreshes(&grants, now)) " " (life(status)) }
        }
    })
}

/// How much of a length a part of a whole has.
fn share(part: SignedDuration, whole: SignedDuration, length: i64) -> i64 {
    (part.as_secs().clamp(0, whole.as_secs()) * length) / whole.as_secs()
}

fn refreshes(grants: &[Timestamp], now: Timestamp) -> String {
    let ago = |at: &Timestamp| format!("{} ago", span(now.duration_since(*at)));
    match grants {
        [] => "No refresh is remembered.".to_owned(),
        [one] => format!("One refresh is remembered, {}.", ago(one)),
        [oldest, .., latest] => format!("The last {} refreshes: the first of them {}, the latest {}.", grants.len(), ago(oldest), ago(latest)),
    }
}

fn life(status: &Status) -> String {
    match Life::of(status) {
        Life::Until { left, .. } => {
            format!("The refresh token is good for {} more if it is not used; each use brings a new one, good for 30 days.", span(left))
        }
        Life::Over(_) => "The refresh token has ended.".to_owned(),
        Life::Refused => "Exact Online has refused the refresh token.".to_owned(),
        Life::Unknown => "How long the refresh token is good for is not known.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(now: Timestamp, ago: &[i64], days: Option<i64>) -> String {
        let status = Status {
            recent_grants: ago.iter().map(|minutes| now - SignedDuration::from_mins(*minutes)).collect(),
            refresh_token_expires_at: days.map(|days| now + SignedDuration::from_hours(24 * days)),
            at: Some(now),
            ..Status::unknown()
        };
        figure(&status).map_or_else(String::new, Markup::into_string)
    }

    #[test]
    fn nothing_to_draw_is_not_drawn() {
        assert_eq!(drawn(Timestamp::UNIX_EPOCH, &[], None), "");
    }

    #[test]
    fn marks_stand_where_they_should() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let drawing = drawn(now, &[110, 55, 0], Some(15));
        for x in [10, 65, 120] {
            assert!(drawing.contains(&format!(r#"<line class="grant" x1="{x}" y1="38" x2="{x}" y2="62">"#)), "{x} {drawing}");
        }
        assert!(drawing.contains(r#"<line class="life" x1="120" y1="50" x2="235" y2="50">"#), "{drawing}");
        assert!(drawing.contains(r#"<text x="235" y="22" text-anchor="start">15 days left</text>"#), "{drawing}");
        assert!(drawing.contains(">110 minutes ago</text>"), "{drawing}");
    }

    /// A grant dated by a clock that runs ahead, a token that is dead for long, one that lives longer than it can.
    #[test]
    fn nothing_is_drawn_outside() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        for (ago, days, end, said) in [(-60, -100, 120, "has ended"), (100_000, 400, 350, "400 days left"), (0, 0, 120, "has ended")] {
            let drawing = drawn(now, &[ago], Some(days));
            assert!(drawing.contains(&format!(r#"<line class="life" x1="120" y1="50" x2="{end}" y2="50">"#)), "{drawing}");
            assert!(drawing.contains(said), "{drawing}");
        }
    }
}
