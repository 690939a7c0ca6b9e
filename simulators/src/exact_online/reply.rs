//! What goes back over the wire, and in what state it arrives.

use std::fmt;
use std::time::Duration;

/// An HTTP reply, and what becomes of it on its way.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body.
    pub body: Vec<u8>,
    /// How much of it arrives, and when.
    pub delivery: Delivery,
}

/// What becomes of a reply on its way. A driver in virtual time acts on it as the sockets of the server do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives, at once.
    Whole,
    /// It arrives whole, after this time.
    After(Duration),
    /// The head and the first half of the body arrive, then the connection is closed.
    Cut,
    /// Nothing arrives, the connection is reset.
    Reset,
    /// Nothing arrives, the connection stays open.
    Never,
}

impl Reply {
    /// A reply that arrives whole and at once.
    #[must_use]
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    /// The same reply with another fate.
    #[must_use]
    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// The value of a header, whatever the letter case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether all of it arrives, sooner or later.
    #[must_use]
    pub fn arrives(&self) -> bool {
        matches!(self.delivery, Delivery::Whole | Delivery::After(_))
    }
}

/// Says nothing of the body and of header values: both can hold tokens.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}
