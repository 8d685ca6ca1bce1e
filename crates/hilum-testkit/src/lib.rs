//! Fake peers and builders for tests, the demo and the crash rounds.
//!
//! - [`mllp`]: a sender that loads and measures, a receiver that misbehaves on request;
//! - [`http`]: a receiver and a client of HTTP, as ill-behaved;
//! - [`messages`]: synthetic HL7 v2 messages, the same for the same seed;
//! - [`certificates`]: an authority with certificates for TLS on loopback;
//! - [`hospitals`]: a generated site of any number of channels;
//! - `database`: servers of PostgreSQL and MariaDB, each test's own; `cluster`: a PostgreSQL that
//!   test processes share;
//! - [`receiver`]: what a plain receiver of HL7 v2 makes of what it is sent;
//! - [`ports`]: ports for programs that must be told one;
//! - [`site`]: a site folder in a temporary place;
//! - [`wait`]: waiting for a condition instead of for a time.
//!
//! Everything binds loopback and lets the system choose ports. All content is synthetic. It knows
//! nothing of the engine: it sees a program from the outside, as a hospital's systems do.

#[cfg(feature = "certificates")]
pub mod certificates;
#[cfg(all(unix, feature = "site"))]
pub mod cluster;
#[cfg(all(unix, feature = "site"))]
pub mod database;
pub mod hospitals;
pub mod http;
pub mod messages;
pub mod mllp;
pub mod ports;
pub mod receiver;
#[cfg(feature = "site")]
pub mod site;
pub mod wait;
