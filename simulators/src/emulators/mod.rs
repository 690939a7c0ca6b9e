//! Independent emulators, started as processes of their own. `tests/all.sh` of the product installs them.

mod azurite;

pub use azurite::Azurite;
