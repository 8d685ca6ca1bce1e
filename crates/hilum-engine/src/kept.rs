//! Plans of earlier days.
//!
//! The engine runs plans and knows no files, so it asks whoever made them: for the plan that a
//! stored message was processed with, and to forget those that nothing refers to any more.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hilum_component::ChannelPlan;
use hilum_message::PlanDigest;

/// Which plan of a channel is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PlanChoice {
    /// Today's.
    #[default]
    Current,
    /// The one that the message was processed with.
    Then,
    /// The one with this digest, or the only one whose digest begins so.
    Digest(String),
}

/// Where plans are kept. The calls block.
pub trait KeptPlans: fmt::Debug + Send + Sync {
    /// The plan of a channel whose digest, or that of its site, begins with these hexadecimal
    /// digits; `None` if it is not kept.
    ///
    /// A plan is made again from its files by the running program: where the program is another
    /// than then, its digest differs from the one asked for.
    ///
    /// # Errors
    /// A sentence that says why it cannot be read, or that the digits fit several.
    fn channel(&self, channel: &str, digest: &str) -> Result<Option<Arc<ChannelPlan>>, String>;

    /// Forgets every plan of which no channel is in use.
    ///
    /// # Errors
    /// A sentence that says why not.
    fn retain(&self, in_use: &BTreeSet<PlanDigest>) -> Result<(), String>;
}

/// Keeps nothing: for tests and tools.
impl KeptPlans for () {
    fn channel(&self, _channel: &str, _digest: &str) -> Result<Option<Arc<ChannelPlan>>, String> {
        Ok(None)
    }

    fn retain(&self, _in_use: &BTreeSet<PlanDigest>) -> Result<(), String> {
        Ok(())
    }
}
