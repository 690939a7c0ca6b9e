//! How one input is made of others.

use crate::MARKER;
use crate::random::Random;

/// What texts of all kinds are made of, or break at.
const COMMON: &[&[u8]] = &[
    b"null",
    b"true",
    b"false",
    b"0",
    b"-1",
    b"1e999",
    b"0.5",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"\"\"",
    b"{}",
    b"[]",
    b"\\u0000",
    b"\\ud800",
    b"\\\"",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    "\u{fffd}".as_bytes(),
    "é".as_bytes(),
    "\u{200b}".as_bytes(),
    b"%",
    b"%00",
    b"%zz",
    b"%C3%A9",
    b"+",
    b"\r\n",
    b"\0",
    b"\t",
    b"//",
    b"://",
    b"@",
    b"..",
    b",",
    b";",
    b"=",
    b"&",
    b"#",
    b"?",
    b"%2521",
    b"[",
    b"{\"a\":",
];

const NUMBERS: &[&[u8]] =
    &[b"0", b"1", b"59", b"60", b"540", b"541", b"600", b"86400", b"86401", b"65535", b"65536", b"253402300800", b"9223372036854775807"];

/// [`MARKER`] as JSON has it.
const QUOTED: &[u8] = b"\"MADEUPcanary\"";

/// A changed copy of `of`. `other` is another input, for parts; `words` are the target's own.
pub(crate) fn mutate(of: &[u8], other: &[u8], words: &[&[u8]], longest: usize, random: &mut Random) -> Vec<u8> {
    let mut input = of.to_vec();
    for _ in 0..=random.below(5) {
        once(&mut input, other, words, random);
    }
    input.truncate(longest);
    input
}

fn once(input: &mut Vec<u8>, other: &[u8], words: &[&[u8]], random: &mut Random) {
    let length = input.len();
    let at = random.below(length + 1);
    match random.below(16) {
        0 if length > 0 => input[at.min(length - 1)] ^= 1 << random.below(8),
        1 if length > 0 => input[at.min(length - 1)] = random.byte(),
        2 if length > 0 => drop(input.drain(part(length, random))),
        3 if length > 0 => {
            let copy = input[part(length, random)].to_vec();
            insert(input, at, &copy);
        }
        4 | 5 => insert(input, at, word(words, random)),
        6 | 7 => replace_token(input, word(words, random), random),
        8 => {
            let token = tokens(other).get(random.below(tokens(other).len().max(1))).map_or(&[][..], |token| &other[token.clone()]);
            replace_token(input, token, random);
        }
        9 => {
            input.truncate(at);
            input.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        10 => {
            let many = vec![input.get(at).copied().unwrap_or(b'x'); 1_usize << random.below(12)];
            insert(input, at, &many);
        }
        11 => insert(input, at, MARKER.as_bytes()),
        12 => replace_token(input, if random.below(2) == 0 { MARKER.as_bytes() } else { QUOTED }, random),
        13 => replace_token(input, NUMBERS[random.below(NUMBERS.len())], random),
        14 => input.truncate(at),
        _ => {
            let bytes: Vec<u8> = (0..=random.below(4)).map(|_| random.byte()).collect();
            insert(input, at, &bytes);
        }
    }
}

fn word<'a>(words: &[&'a [u8]], random: &mut Random) -> &'a [u8] {
    let own = !words.is_empty() && random.below(3) > 0;
    if own { words[random.below(words.len())] } else { COMMON[random.below(COMMON.len())] }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

fn part(length: usize, random: &mut Random) -> std::ops::Range<usize> {
    let from = random.below(length);
    let most = 1 << random.below(8);
    from..(from + 1 + random.below(most)).min(length)
}

fn replace_token(input: &mut Vec<u8>, with: &[u8], random: &mut Random) {
    let found = tokens(input);
    if !found.is_empty() {
        let token = found[random.below(found.len())].clone();
        input.splice(token, with.iter().copied());
    }
}

/// The words of an input, as JSON, queries, settings and headers part them. A text in quotes counts with and without them.
fn tokens(input: &[u8]) -> Vec<std::ops::Range<usize>> {
    let is_delimiter = |byte: &u8| byte.is_ascii_whitespace() || b"\"{}[],:;&=?./%<>|'".contains(byte);
    let mut found = Vec::new();
    let mut from = 0;
    for at in 0..=input.len() {
        if at == input.len() || is_delimiter(&input[at]) {
            if at > from {
                found.push(from..at);
            }
            from = at + 1;
        }
    }
    let quotes: Vec<usize> = (0..input.len()).filter(|at| input[*at] == b'"').collect();
    found.extend(quotes.windows(2).map(|pair| pair[0]..pair[1] + 1));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_with_and_without_quotes() {
        let input = br#"{"a":12}"#;
        let found: Vec<&[u8]> = tokens(input).into_iter().map(|token| &input[token]).collect();
        assert_eq!(found, [b"a".as_slice(), b"12", b"\"a\""]);
    }

    #[test]
    fn no_change_panics_and_equal_seeds_change_alike() {
        let run = || {
            let mut random = Random::new(7);
            let mut input = Vec::new();
            for _ in 0..20_000 {
                input = mutate(&input, b"{\"x\":1}", &[b"word"], 500, &mut random);
            }
            input
        };
        assert_eq!(run(), run());
    }
}
