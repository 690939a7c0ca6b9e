//! What goes through the browser and comes back: signed, bound to a cookie of that browser, with an end. Pure.
//!
//! `<mac>.<purpose>.<end>.<nonce>.<cookie>.<rest>`: an HMAC-SHA256 of all that follows it, under a key derived from the app's client secret, so that
//! all instances have the same one and nothing has to be kept; the end in Unix seconds; the fingerprint of the cookie's value.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Problem;
use crate::token::consent::UsedState;
use crate::token::{Fingerprint, Secret};

/// Of the key, so that nothing else that the client secret may sign is one of these.
const CONTEXT: &[u8] = b"exact-token-broker consent 1";
/// No text of ours is longer.
const LONGEST: usize = 1024;

/// What a signed text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Goes to Exact and comes back with a code.
    State,
    /// Allows this browser another try.
    Again,
    /// Names the version that a person is to confirm.
    Confirm,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Again => "again",
            Self::Confirm => "confirm",
        }
    }
}

/// Signs and checks.
#[derive(Clone)]
pub(super) struct Signer {
    mac: Hmac<Sha256>,
}

/// A signed text that was checked, but for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    /// Not good from then on.
    pub(super) expires_at: Timestamp,
    /// Names it, to be used once.
    pub(super) nonce: Fingerprint,
    /// What it names.
    pub(super) rest: String,
}

impl Signer {
    pub(super) fn new(client_secret: &Secret) -> Self {
        let mut derive = keyed(client_secret.reveal().as_bytes());
        derive.update(CONTEXT);
        Self { mac: keyed(&derive.finalize().into_bytes()) }
    }

    pub(super) fn sign(&self, purpose: Purpose, lifetime: SignedDuration, cookie: &Secret, rest: &str, now: Timestamp) -> Secret {
        let end = (now + lifetime).as_second();
        let (word, nonce, cookie) = (purpose.word(), uuid::Uuid::new_v4().simple(), Fingerprint::of(cookie));
        let payload = format!("{word}.{end}.{nonce}.{cookie}.{rest}");
        Secret::new(format!("{}.{payload}", HEXLOWER.encode(&self.over(&payload).finalize().into_bytes())))
    }

    /// First whether it is ours, then whether this browser was given it. Its end is the caller's to look at.
    pub(super) fn check(&self, purpose: Purpose, text: &Secret, cookie: Option<&Secret>) -> Result<Checked, Problem> {
        let text = text.reveal();
        let (mac, payload) = text.split_once('.').filter(|_| text.len() <= LONGEST).ok_or(Problem::Forged)?;
        let mac = HEXLOWER.decode(mac.as_bytes()).map_err(|_| Problem::Forged)?;
        self.over(payload).verify_slice(&mac).map_err(|_| Problem::Forged)?;
        let mut parts = payload.splitn(5, '.');
        let mut part = || parts.next().ok_or(Problem::Forged);
        let (word, end, nonce, bound, rest) = (part()?, part()?, part()?, part()?, part()?);
        let expires_at = end.parse().ok().and_then(|end| Timestamp::from_second(end).ok()).ok_or(Problem::Forged)?;
        if word != purpose.word() {
            return Err(Problem::Forged);
        }
        let given = cookie.map(|cookie| Fingerprint::of(cookie).to_string()).unwrap_or_default();
        if !bool::from(given.as_bytes().ct_eq(bound.as_bytes())) {
            return Err(Problem::OtherBrowser);
        }
        Ok(Checked { expires_at, nonce: Fingerprint::of_parts(&[nonce]), rest: rest.to_owned() })
    }

    fn over(&self, payload: &str) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(payload.as_bytes());
        mac
    }
}

impl Checked {
    pub(super) fn in_time(self, now: Timestamp) -> Result<Self, Problem> {
        if now < self.expires_at { Ok(self) } else { Err(Problem::Expired) }
    }

    /// To be remembered until its end.
    pub(super) fn used(&self) -> UsedState {
        UsedState { state: self.nonce, expires_at: self.expires_at }
    }
}

/// What a state says of its log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BegunIn {
    /// None where it was not known: then nobody can tell either whether somebody else connected meanwhile.
    pub(super) epoch: Option<u64>,
    /// Until when this browser may begin another. To the second.
    pub(super) again_until: Timestamp,
}

impl fmt::Display for BegunIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.again_until.as_second())?;
        self.epoch.map_or(Ok(()), |epoch| write!(f, "{epoch}"))
    }
}

impl FromStr for BegunIn {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (until, epoch) = text.split_once('.').ok_or(Problem::Forged)?;
        let again_until = until.parse().ok().and_then(|until| Timestamp::from_second(until).ok()).ok_or(Problem::Forged)?;
        Ok(Self { epoch: epoch.parse().ok(), again_until })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// A cookie's value: 43 characters of base64url, 244 of their bits random.
pub(super) fn new_cookie() -> Secret {
    let bytes = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    Secret::new(BASE64URL_NOPAD.encode(&bytes))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    fn signer() -> Signer {
        Signer::new(&Secret::new("made-up-client-secret"))
    }

    #[test]
    fn what_was_signed_comes_back() {
        let (cookie, now) = (new_cookie(), Timestamp::UNIX_EPOCH);
        let text = signer().sign(Purpose::Confirm, MINUTE, &cookie, "17-made.up", now);
        let checked = signer().check(Purpose::Confirm, &text, Some(&cookie)).unwrap();
        assert_eq!((checked.rest.as_str(), checked.expires_at), ("17-made.up", now + MINUTE));
        assert!(checked.clone().in_time(now + SignedDuration::from_secs(59)).is_ok());
        assert_eq!(checked.in_time(now + MINUTE), Err(Problem::Expired));
        assert_eq!(cookie.reveal().len(), 43);
        let again = signer().sign(Purpose::Confirm, MINUTE, &cookie, "17-made.up", now);
        assert_ne!(text.reveal(), again.reveal(), "each has a nonce");
        assert!(text.reveal().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-'), "nothing that a URL would escape");
    }

    #[test]
    fn no_character_can_be_changed() {
        let cookie = new_cookie();
        let text = signer().sign(Purpose::State, MINUTE, &cookie, "", Timestamp::UNIX_EPOCH);
        let checked = |text: &str| signer().check(Purpose::State, &Secret::new(text), Some(&cookie));
        let text = text.reveal();
        for at in 0..text.len() {
            for with in ['0', '1', '.', 'x'] {
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, with.encode_utf8(&mut [0; 4]));
                if changed != text {
                    assert_eq!(checked(&changed), Err(Problem::Forged), "{at} {with}");
                }
            }
            assert_eq!(checked(&text[..at]), Err(Problem::Forged));
        }
        for odd in ["", ".", "....", &"0".repeat(5000), "\u{e9}.state"] {
            assert_eq!(checked(odd), Err(Problem::Forged));
        }
    }

    #[test]
    fn what_a_state_says_of_its_log_in_comes_back() {
        for epoch in [None, Some(0), Some(u64::MAX)] {
            let begun = BegunIn { epoch, again_until: "2026-11-23T12:00:00Z".parse().unwrap() };
            assert_eq!(begun.to_string().parse(), Ok(begun));
        }
        for odd in ["", "1", "x.1", ".", "99999999999999999999.1"] {
            assert_eq!(odd.parse::<BegunIn>(), Err(Problem::Forged), "{odd}");
        }
    }

    #[test]
    fn it_is_good_for_one_browser_one_purpose_and_one_app() {
        let cookie = new_cookie();
        let text = signer().sign(Purpose::State, MINUTE, &cookie, "", Timestamp::UNIX_EPOCH);
        assert_eq!(signer().check(Purpose::State, &text, Some(&new_cookie())), Err(Problem::OtherBrowser));
        assert_eq!(signer().check(Purpose::State, &text, None), Err(Problem::OtherBrowser));
        assert_eq!(signer().check(Purpose::Confirm, &text, Some(&cookie)), Err(Problem::Forged));
        let other = Signer::new(&Secret::new("another-made-up-secret"));
        assert_eq!(other.check(Purpose::State, &text, Some(&cookie)), Err(Problem::Forged));
    }

    mod fuzz {
        use fuzzing::Target;

        use super::*;

        /// Nothing that comes from elsewhere is taken, and whatever is signed comes back.
        #[test]
        fn signed_text() {
            let (cookie, now) = (Secret::new("made-up-cookie"), Timestamp::UNIX_EPOCH);
            let genuine = signer().sign(Purpose::Confirm, MINUTE, &cookie, "made.up", now);
            Target::new("signed-text").words(&["state", "again", "confirm", ".", "600", "00", "-1"]).run(move |input| {
                let text = String::from_utf8_lossy(input);
                let mut said = String::new();
                for purpose in [Purpose::State, Purpose::Again, Purpose::Confirm] {
                    for text in [text.to_string(), format!("{}{text}x", genuine.reveal()), genuine.reveal().replacen('.', &format!(".{text}x"), 1)] {
                        let problem = signer().check(purpose, &Secret::new(text), Some(&cookie)).unwrap_err();
                        said.extend([problem.to_string(), format!("{problem:?}")]);
                    }
                }
                let signed = signer().sign(Purpose::Again, MINUTE, &cookie, &text, now);
                let too_long = signed.reveal().len() > LONGEST;
                match signer().check(Purpose::Again, &signed, Some(&cookie)) {
                    Ok(checked) => assert_eq!((checked.rest.as_str(), checked.expires_at), (&*text, now + MINUTE)),
                    Err(problem) => assert!(problem == Problem::Forged && too_long, "{problem:?}"),
                }
                said
            });
        }
    }
}
