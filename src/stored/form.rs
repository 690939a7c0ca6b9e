//! How single values are written, and lists and optional values of anything that has a form.
//!
//! The core's types know nothing of serde. A type gets its form by [`Form`]; a field of it says `#[serde(with = "one")]`, `"optional"` or `"list"`.

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::token::{AttemptId, Fingerprint, LockId, Secret, VersionId};

/// A stored form of a type of the core.
pub(super) trait Form: Sized {
    /// How many a list may have.
    const AT_MOST: usize = 64;

    /// Writes it, moved into its range where it is out of it.
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;

    /// Reads it; out of range is an error, whose text must be one of [`PROBLEMS`].
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;

    /// What is written of a list that is too long. Lists are kept oldest first, unless said otherwise.
    fn kept(list: &[Self]) -> &[Self] {
        &list[list.len().saturating_sub(Self::AT_MOST)..]
    }
}

/// Lends serde the form of a `T`.
pub(super) struct Of<T>(pub(super) T);

impl<T: Form> Serialize for Of<&T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.write(to)
    }
}

impl<'de, T: Form> Deserialize<'de> for Of<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::read(from).map(Self)
    }
}

const TIME: &str = "a time such as 2026-11-23T17:25:31.5Z, of the years 2000 to 2200, is expected";
const LIFETIME: &str = "whole seconds, 1 to 86400, are expected";
const DAY: &str = "a day of the years 1970 to 2200, counted from 1970-01-01, is expected";
const NUMBER: &str = "a smaller number is expected";
const FINGERPRINT: &str = "32 hexadecimal digits are expected";
const EMPTY: &str = "it is empty";
const TOO_LONG: &str = "the list is too long";
pub(super) const TWICE: &str = "two of them have the same id";

/// Every sentence that a form may fail with.
pub(super) const PROBLEMS: &[&str] = &[TIME, LIFETIME, DAY, NUMBER, FINGERPRINT, EMPTY, TOO_LONG, TWICE];

/// 2000-01-01. With all times in these two centuries no sum that the core makes can overflow.
const FIRST_SECOND: i64 = 946_684_800;
/// The last second of 2200.
const LAST_SECOND: i64 = 7_289_654_399;
const LONGEST_LIFETIME: i64 = 86_400;
/// Far above anything that can be counted here, far below an overflow.
const MOST: u32 = 1_000_000_000;
/// Up to here every JSON reader keeps a whole number exactly.
const MOST_WRITES: u64 = 1 << 53;

impl Form for Timestamp {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let edge = |second| Self::from_second(second).unwrap_or(*self);
        to.collect_str(&(*self).clamp(edge(FIRST_SECOND), edge(LAST_SECOND)))
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let time: Option<Self> = String::deserialize(from)?.parse().ok();
        time.filter(|time| (FIRST_SECOND..=LAST_SECOND).contains(&time.as_second())).ok_or_else(|| D::Error::custom(TIME))
    }
}

/// The only durations that are stored are lifetimes of access tokens.
impl Form for SignedDuration {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.as_secs().clamp(1, LONGEST_LIFETIME).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        within(i64::deserialize(from)?, 1..=LONGEST_LIFETIME, LIFETIME).map(Self::from_secs)
    }
}

/// The only signed number that is stored is a day.
impl Form for i64 {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (*self).clamp(0, LAST_SECOND / 86_400).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        within(Self::deserialize(from)?, 0..=LAST_SECOND / 86_400, DAY)
    }
}

impl Form for u32 {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (*self).min(MOST).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        within(Self::deserialize(from)?, 0..=MOST, NUMBER)
    }
}

impl Form for u64 {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (*self).min(MOST_WRITES).serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        within(Self::deserialize(from)?, 0..=MOST_WRITES, NUMBER)
    }
}

fn within<N: PartialOrd, E: serde::de::Error>(number: N, range: RangeInclusive<N>, problem: &str) -> Result<N, E> {
    if range.contains(&number) { Ok(number) } else { Err(E::custom(problem)) }
}

impl Form for Fingerprint {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        let text = String::deserialize(from)?;
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let bytes: Option<[u8; 16]> = bytes.filter(|_| rest.is_empty()).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| D::Error::custom(FINGERPRINT))
    }
}

impl Form for Secret {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.reveal().serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        not_empty(String::deserialize(from)?).map(Self::new)
    }
}

macro_rules! form_of_a_name {
    ($($name:ident)+) => {$(
        impl Form for $name {
            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(to)
            }

            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                not_empty(String::deserialize(from)?).map(Self)
            }
        }
    )+};
}
form_of_a_name!(VersionId AttemptId LockId);

fn not_empty<E: serde::de::Error>(text: String) -> Result<String, E> {
    if text.is_empty() { Err(E::custom(EMPTY)) } else { Ok(text) }
}

/// A type whose form serde derives, by a private twin of it with `#[serde(remote = "…")]`.
macro_rules! form_by_twin {
    ($type:ty, $twin:ident $(, $more:item)*) => {
        impl $crate::stored::form::Form for $type {
            $($more)*

            fn write<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                $twin::serialize(self, to)
            }

            fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $twin::deserialize(from)
            }
        }
    };
}
pub(super) use form_by_twin;

/// For `#[serde(with = "one")]`.
pub(super) mod one {
    use super::{Deserializer, Form, Serializer};

    pub(in crate::stored) fn serialize<T: Form, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.write(to)
    }

    pub(in crate::stored) fn deserialize<'de, T: Form, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::read(from)
    }
}

/// For `#[serde(with = "optional")]`: `null` for None.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Form, Of, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub(in crate::stored) fn serialize<T: Form, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Of).serialize(to)
    }

    pub(in crate::stored) fn deserialize<'de, T: Form, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        Ok(Option::<Of<T>>::deserialize(from)?.map(|Of(value)| value))
    }
}

/// For `#[serde(with = "list")]`.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Form, Of, Serializer, TOO_LONG};
    use serde::de::Error as _;

    pub(in crate::stored) fn serialize<T: Form, S: Serializer>(list: &[T], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(T::kept(list).iter().map(Of))
    }

    pub(in crate::stored) fn deserialize<'de, T: Form, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
        let list: Vec<T> = Vec::<Of<T>>::deserialize(from)?.into_iter().map(|Of(value)| value).collect();
        if list.len() > T::AT_MOST { Err(D::Error::custom(TOO_LONG)) } else { Ok(list) }
    }
}
