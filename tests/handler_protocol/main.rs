//! The handler, spoken to over real sockets as the Functions host speaks, and as nobody should.

#[cfg(test)]
mod consent;
#[cfg(test)]
mod get_token;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod status;
#[cfg(test)]
mod timer;
#[cfg(test)]
mod wire;
