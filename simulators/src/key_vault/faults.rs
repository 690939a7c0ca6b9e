//! Failures on command.

use crate::exact_online::{Delivery, Reply};

/// What becomes of one request. All of them come after authentication: a challenge is never a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This one is served as usual.
    Pass,
    /// A fixed reply; nothing takes effect.
    Instead(Reply),
    /// Nothing takes effect, and this becomes of a 503.
    NoEffect(Delivery),
    /// It takes effect, and this becomes of the reply.
    EffectThen(Delivery),
    /// It takes effect, and a fixed reply comes in place of the right one.
    EffectThenReply(Reply),
    /// The client hears nothing; it takes effect when the test says [`Rules::land`](super::Rules::land).
    LandsLater,
}

impl Fault {
    /// 429 with so many seconds in `Retry-After`, as Microsoft Learn, "Azure Key Vault throttling guidance", has it.
    #[must_use]
    pub fn throttled(retry_after: u32) -> Self {
        let body = super::rules::error_body("Throttled", "Request was not processed because too many requests were received.", None);
        Self::Instead(Reply::new(429, &[("Content-Type", "application/json"), ("Retry-After", &retry_after.to_string())], body))
    }

    /// A server's failure, with a body that quotes what nobody should pass on.
    #[must_use]
    pub fn failed(status: u16) -> Self {
        let body = super::rules::error_body("InternalServerError", "SIMULATED server text", None);
        Self::Instead(Reply::new(status, &[("Content-Type", "application/json")], body))
    }

    /// A page in place of JSON.
    #[must_use]
    pub fn page(status: u16) -> Self {
        Self::Instead(Reply::new(status, &[("Content-Type", "text/html")], "<html>SIMULATED gateway page</html>"))
    }
}

/// Why an action is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The role assignment is missing.
    Rbac,
    /// The access policy does not name it.
    AccessPolicy,
    /// The vault's network rules.
    Firewall,
}

impl Denial {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Rbac => "ForbiddenByRbac",
            Self::AccessPolicy => "AccessDenied",
            Self::Firewall => "ForbiddenByFirewall",
        }
    }
}
