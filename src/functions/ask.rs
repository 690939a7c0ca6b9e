//! The query of `GET /api/GetToken`.

use jiff::SignedDuration;

use crate::get_token::Ask;

use super::reply::Refused;

/// Seconds. An access token lives 600, and the last 60 are never insisted on.
const MOST_MIN_VALIDITY: i64 = 540;
/// Seconds. Data Factory gives up at 230.
pub(super) const MOST_MAX_WAIT: i64 = 200;

/// Reads `min_validity` and `max_wait`, whole seconds. What else is there is passed over: the host leaves `code=<function key>` in the query.
///
/// Names are matched as ASP.NET does, without regard to case: a misspelt one would be passed over in silence.
pub(super) fn read(query: Option<&str>) -> Result<Ask, Refused> {
    let query = query.unwrap_or_default();
    if !percent_encoding_is_sound(query) {
        return Err(Refused::Malformed("the query has a % that is not followed by two hexadecimal digits"));
    }
    let (mut min_validity, mut max_wait) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let (seconds, refused, most) = if name.eq_ignore_ascii_case("min_validity") {
            (&mut min_validity, Refused::MinValidity { most: MOST_MIN_VALIDITY }, MOST_MIN_VALIDITY)
        } else if name.eq_ignore_ascii_case("max_wait") {
            (&mut max_wait, Refused::MaxWait { most: MOST_MAX_WAIT }, MOST_MAX_WAIT)
        } else {
            continue;
        };
        // Twice is an error, not a choice; the host makes `1%2C2` of it, which is not a number.
        match (seconds.is_none(), number(&value).filter(|number| *number <= most)) {
            (true, Some(number)) => *seconds = Some(number),
            _ => return Err(refused),
        }
    }
    Ok(Ask {
        min_validity: min_validity.map_or(Ask::DEFAULT_MIN_VALIDITY, SignedDuration::from_secs),
        max_wait: max_wait.map_or(Ask::DEFAULT_MAX_WAIT, SignedDuration::from_secs),
    })
}

/// Digits alone: `str::parse` would take a plus sign as well.
fn number(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Whether each `%` is followed by two hexadecimal digits.
pub(super) fn percent_encoding_is_sound(text: &str) -> bool {
    text.split('%').skip(1).all(|after| after.as_bytes().get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> (i64, i64) {
        let ask = read(Some(query)).unwrap_or_else(|refused| panic!("{query}: {refused:?}"));
        (ask.min_validity.as_secs(), ask.max_wait.as_secs())
    }

    #[test]
    fn defaults() {
        assert_eq!(read(None).ok(), Some(Ask::default()));
        for query in ["", "&&", "=", "code=FAKEKEY", "code=a%2Fb%3D%3D&x=%ff&MinValidity=9", "min_validit=1", "x=min_validity"] {
            assert_eq!(asked(query), (60, 200), "{query}");
        }
    }

    #[test]
    fn numbers_in_range() {
        assert_eq!(asked("min_validity=0&max_wait=0"), (0, 0));
        assert_eq!(asked("code=FAKEKEY&min_validity=540&max_wait=200&x"), (540, 200));
        assert_eq!(asked("min%5Fvalidity=%33%30%30&Max_Wait=007"), (300, 7));
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let long = "9".repeat(40);
        for value in ["", "541", "-1", "+1", "%2B1", "1+", "1.0", "1e2", "0x10", "ten", "1,2", "1%2C2", "%ff", "%d9%a1", &long] {
            assert_eq!(read(Some(&format!("min_validity={value}"))), Err(Refused::MinValidity { most: 540 }), "{value}");
            assert_eq!(read(Some(&format!("a=b&max_wait={value}"))), Err(Refused::MaxWait { most: 200 }), "{value}");
        }
        assert_eq!(read(Some("max_wait=201")), Err(Refused::MaxWait { most: 200 }));
        assert_eq!(read(Some("min_validity")), Err(Refused::MinValidity { most: 540 }));
        assert_eq!(read(Some("max_wait=5&max_wait=5")), Err(Refused::MaxWait { most: 200 }));
    }

    #[test]
    fn malformed_percent_encoding_is_refused_wherever_it_stands() {
        for query in ["min_validity=%", "min_validity=%3", "x=%zz", "%=1", "code=%é", "a=%+1"] {
            assert!(matches!(read(Some(query)), Err(Refused::Malformed(_))), "{query}");
        }
    }
}
