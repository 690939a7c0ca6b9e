//! `application/x-www-form-urlencoded`, read strictly.

use std::fmt::Write;

/// The pairs in order, or nothing if an escape is broken or the text is not UTF-8.
pub(super) fn parse(form: &[u8]) -> Option<Vec<(String, String)>> {
    form.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn pair(pair: &[u8]) -> Option<(String, String)> {
    let cut = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
    Some((decode(&pair[..cut])?, decode(pair.get(cut + 1..).unwrap_or_default())?))
}

fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok())
}

/// Everything but letters, digits and `-._~` is escaped, `!` as `%21`.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
