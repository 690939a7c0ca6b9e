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
    let text = |text: Option<String>| {
        let shown: String = text.unwrap_or_default().chars().filter(|c| !c.is_control() && !is_unseen(*c)).collect();
        shown.trim().chars().take(LONGEST).collect::<String>().trim_end().to_owned()
    };
    (!id.is_empty() && id.len() <= LONGEST).then(|| Person {
        id,
        name: text(me.full_name),
        login: text(me.user_name),
        company: text(me.division_customer_name),
        division: me.current_division.unwrap_or_default(),
    })
}

/// What is not seen and changes what stands around it, in a terminal, a log or a page: it turns the direction of writing, ends a line, or makes two
/// names look alike. The categories Cf, Zl and Zp of Unicode 17.0 (`extracted/DerivedGeneralCategory.txt`), with the whole block of tags; the joiners
/// that some scripts want go as well, and their names stay readable.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen from the outside: whoever may choose his name at Exact chooses how our lines look.
    #[test]
    fn a_name_changes_nothing_around_it() {
        let named = |name: &str| {
            let body =
                serde_json::json!({"d": {"results": [{"UserID": "made-up", "FullName": name, "UserName": name, "DivisionCustomerName": name}]}});
            let person = read(body.to_string().as_bytes()).unwrap();
            assert_eq!((&person.name, &person.name), (&person.login, &person.company));
            person.name
        };
        let hostile = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain('\u{200b}'..='\u{200f}').chain('\u{e0000}'..='\u{e007f}');
        for c in hostile.chain(['\u{2028}', '\u{2029}', '\u{feff}', '\u{ad}', '\u{61c}', '\u{2060}', '\u{85}', '\u{1b}', '\n', '\u{0}']) {
            assert_eq!(named(&format!("{c}Made{c} Up {c}")), "Made Up", "{:x}", u32::from(c));
            assert_eq!(named(&c.to_string()), "");
        }
        for name in ["Zoë Müller-O'Brien B.V.", "株式会社 見本", "شركة مثال", "Åse Øst, ß & Co. (É)", "👩🏽 Ltd"] {
            assert_eq!(named(name), name);
        }
        assert_eq!(named(&"x".repeat(300)).len(), LONGEST);
    }

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
