//! What `current/Me` says of whoever consented. Pure.

use serde::Deserialize;

use crate::token::Person;

/// `OData` of Exact: `{"d":{"results":[{…}]}}`.
#[derive(Deserialize)]
struct Envelope {
    d: Results,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Me>,
}

/// Names are those of Exact's REST reference, resource Me. Only the id has to be there.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Me {
    #[serde(rename = "UserID")]
    user_id: String,
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default)]
    full_name: Option<String>,
    #[serde(default)]
    division_customer_name: Option<String>,
    #[serde(default)]
    current_division: Option<i64>,
}

/// No longer name is kept.
const LONGEST: usize = 200;

/// None where it is not that, or not one user's.
pub(super) fn read(body: &[u8]) -> Option<Person> {
    let Envelope { d: Results { results } } = serde_json::from_slice(body).ok()?;
    let [me] = <[Me; 1]>::try_from(results).ok()?;
    let id = me.user_id.trim().to_ascii_lowercase();
    let text = |text: Option<String>| text.unwrap_or_default().trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!id.is_empty() && id.len() <= LONGEST).then(|| Person {
        id,
        name: text(me.full_name),
        login: text(me.user_name),
        company: text(me.division_customer_name),
        division: me.current_division.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_is_read() {
        let body =
            br#"{"d":{"results":[{"__metadata":{},"UserID":"1A2B0000-0000-0000-0000-00000000made","UserName":"made.up","FullName":"Made\u0000 Up ",
            "DivisionCustomerName":"Made-Up Company","CurrentDivision":123456,"Email":null}]}}"#;
        let person = read(body).unwrap();
        assert_eq!((person.id.as_str(), person.name.as_str()), ("1a2b0000-0000-0000-0000-00000000made", "Made Up"));
        assert_eq!((person.login.as_str(), person.company.as_str(), person.division), ("made.up", "Made-Up Company", 123_456));
        assert_eq!(read(br#"{"d":{"results":[{"UserID":"made-up"}]}}"#).unwrap().company, "");
    }

    #[test]
    fn anything_else_is_nobody() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"d":{"results":[]}}"#,
            r#"{"d":{"results":[{"UserID":""}]}}"#,
            r#"{"d":{"results":[{"UserName":"x"}]}}"#,
            r#"{"d":{"results":[{"UserID":"a"},{"UserID":"b"}]}}"#,
            "<html>",
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }
}
