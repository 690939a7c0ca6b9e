//! What a person copies out of the browser's address bar. Pure.

use crate::token::Secret;

use super::{Begun, Callback};

/// More than any address that Exact sends a browser to.
const LONGEST: usize = 16 * 1024;
/// A code has some 670 to 710 characters, and a `!` after the first few. Should that change one day, what is long or has the `!` is sent all the same.
const SHORTEST_CODE: usize = 20;
const LONG: usize = 100;

/// Why a text is not what a log-in ended with. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No text at all.
    #[error("nothing was pasted")]
    Nothing,
    /// Something else that was in the clipboard.
    #[error("that is neither the address with the code in it nor the code")]
    NoCode,
    /// Exact would refuse it, and such requests are counted.
    #[error("that is not a whole code of Exact Online, which has some 700 characters, with an exclamation mark (or %21) after the first few")]
    TooLittle,
}

impl Callback {
    /// Reads the whole address, its query, or the bare code; percent-encoded or not (`%21` is `!`). A bare code belongs to the log-in that was begun
    /// here.
    pub fn pasted(text: &str, begun: &Begun) -> Result<Self, Unusable> {
        let text = text.trim().trim_matches(['"', '\'', '<', '>']).trim();
        if text.is_empty() {
            return Err(Unusable::Nothing);
        }
        if text.len() > LONGEST {
            return Err(Unusable::NoCode);
        }
        let cookie = Some(begun.cookie.clone());
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        let query = query.split_once('#').map_or(query, |(query, _)| query);
        let pairs = || form_urlencoded::parse(query.as_bytes());
        let value = |name: &str| pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let (code, error) = (value("code"), value("error"));
        if error.is_none() && code.as_ref().is_some_and(|code| !may_be_a_code(code)) {
            return Err(Unusable::TooLittle);
        }
        if code.is_some() || error.is_some() {
            // Who copies only a part of the address leaves the state out; it was begun here all the same.
            let state = value("state").map(Secret::new).or_else(|| begun.state());
            return Ok(Self { state, code: code.map(Secret::new), error: error.map(Secret::new), cookie });
        }
        let bare = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'=' | b'&' | b'/'));
        if !bare {
            return Err(Unusable::NoCode);
        }
        // As a value of a form, but a plus would be one.
        let code = form_urlencoded::parse(format!("code={}", text.replace('+', "%2B")).as_bytes()).next().map(|(_, code)| code.into_owned());
        let code = code.filter(|code| may_be_a_code(code)).ok_or(Unusable::TooLittle)?;
        Ok(Self { state: begun.state(), code: Some(Secret::new(code)), error: None, cookie })
    }
}

fn may_be_a_code(text: &str) -> bool {
    text.len() >= LONG || (text.len() >= SHORTEST_CODE && text.contains('!'))
}

impl Begun {
    /// Our own, out of the address.
    fn state(&self) -> Option<Secret> {
        let (_, query) = self.authorize_url.reveal().split_once('?')?;
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "state").map(|(_, state)| Secret::new(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Begun {
        Begun { authorize_url: Secret::new("https://exact.invalid/api/oauth2/auth?client_id=x&state=ours"), cookie: Secret::new("made-up") }
    }

    fn read(text: &str) -> (Option<String>, Option<String>, Option<String>) {
        let callback = Callback::pasted(text, &begun()).unwrap();
        assert_eq!(callback.cookie.unwrap().reveal(), "made-up");
        let revealed = |secret: Option<Secret>| secret.map(|secret| secret.reveal().to_owned());
        (revealed(callback.state), revealed(callback.code), revealed(callback.error))
    }

    #[test]
    fn every_way_to_copy_it_gives_the_code() {
        let code = Some("stampNL001.AbCd!IAAAA-made_up".to_owned());
        for text in [
            "stampNL001.AbCd!IAAAA-made_up",
            "stampNL001.AbCd%21IAAAA-made_up",
            " \"stampNL001.AbCd%21IAAAA-made_up\"\r\n",
            "code=stampNL001.AbCd%21IAAAA-made_up",
        ] {
            assert_eq!(read(text), (Some("ours".to_owned()), code.clone(), None), "{text}");
        }
        for text in [
            "https://made-up.example.invalid/api/ConsentCallback?code=stampNL001.AbCd%21IAAAA-made_up&state=theirs",
            "<https://localhost/?state=theirs&code=stampNL001.AbCd!IAAAA-made_up#>",
            "?state=theirs&code=stampNL001.AbCd%21IAAAA-made_up",
        ] {
            assert_eq!(read(text), (Some("theirs".to_owned()), code.clone(), None), "{text}");
        }
        let denied = read("https://localhost/?error=access_denied&state=theirs");
        assert_eq!(denied, (Some("theirs".to_owned()), None, Some("access_denied".to_owned())));
    }

    #[test]
    fn anything_else_is_told_apart() {
        for text in ["", " ", "\n", "\"\""] {
            assert_eq!(Callback::pasted(text, &begun()).unwrap_err(), Unusable::Nothing, "{text}");
        }
        for text in
            ["https://made-up.example.invalid/api/ConsentCallback", "two words", "caf\u{e9}", "https://exact.invalid/?x=1", &"x".repeat(20_000)]
        {
            assert_eq!(Callback::pasted(text, &begun()).unwrap_err(), Unusable::NoCode, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_code_is_not_sent() {
        for text in [
            "abc",
            "yes!",
            "made-up.example.invalid",
            "stampNL001.AbCd",
            "code=abc",
            "https://localhost/?code=&state=theirs",
            "https://localhost/?state=theirs&code=abc",
            &"x".repeat(LONG - 1),
        ] {
            assert_eq!(Callback::pasted(text, &begun()).unwrap_err(), Unusable::TooLittle, "{text}");
        }
        // The older form, and one that nobody has seen.
        for code in ["AbCd!IAAAA-made_up_made_up".to_owned(), "x".repeat(LONG)] {
            for text in [code.clone(), format!("code={code}")] {
                assert_eq!(read(&text), (Some("ours".to_owned()), Some(code.clone()), None), "{text}");
            }
        }
    }

    /// Found by `fuzz/`: the state is good for a while.
    #[test]
    fn debug_shows_nothing_of_what_was_pasted() {
        for pasted in ["code=MADEUPcanary!MADEUPcanary&state=MADEUPcanary", "error=MADEUPcanary&state=MADEUPcanary"] {
            let callback = Callback::pasted(&format!("https://localhost/?{pasted}"), &begun()).unwrap();
            let said = format!("{callback:?} {callback:#?} {:?}", begun());
            assert!(said.contains("[secret]") && !said.contains("canary") && !said.contains("ours"), "{said}");
        }
    }

    mod fuzz {
        use fuzzing::Target;

        use super::*;

        /// What was read of an address is read again out of the address that is made of it.
        #[test]
        fn pasted_text() {
            let words = ["https://localhost/?code=", "code=", "&state=", "error=access_denied", "%21", "stampNL001.AbCd!IAAAA", "#", "<", "'", "+"];
            Target::new("pasted-text").words(&words).run(|input| match Callback::pasted(&String::from_utf8_lossy(input), &begun()) {
                Ok(callback) => {
                    assert_eq!(callback.cookie.as_ref().map(Secret::reveal), Some("made-up"));
                    assert!(callback.code.is_some() || callback.error.is_some());
                    let (code, state) = (callback.code.as_ref().map(Secret::reveal), callback.state.as_ref().map(Secret::reveal));
                    if let (Some(code), Some(state), None) = (code, state, &callback.error) {
                        let query = form_urlencoded::Serializer::new(String::new()).append_pair("code", code).append_pair("state", state).finish();
                        if query.len() < LONGEST / 2 {
                            let again = Callback::pasted(&format!("https://localhost/?{query}"), &begun()).unwrap();
                            assert_eq!(
                                (again.code.as_ref().map(Secret::reveal), again.state.as_ref().map(Secret::reveal)),
                                (Some(code), Some(state))
                            );
                        }
                    }
                    format!("{callback:?} {callback:#?}")
                }
                Err(why) => format!("{why} {why:?}"),
            });
        }
    }
}
