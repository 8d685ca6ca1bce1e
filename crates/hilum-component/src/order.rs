//! What deliveries are kept in order by.

use hilum_message::{IndexKey, Metadata, OrderKey};

use crate::{Identity, Rule, StateView};

/// The `order:` of a channel.
#[derive(Clone, Debug)]
pub enum Order {
    /// One lane for the channel.
    Channel,
    /// A domain that channels share: `patient`, `visit` or `order`.
    Domain(String),
    /// Each value of an expression is a key, private to the channel.
    Rule(Rule),
}

/// Follows links between identifiers, so that a patient who was merged keeps one order.
pub trait LinkedKeys: std::fmt::Debug + Send + Sync {
    /// The identifier that took the place of `identifier`, which is `authority|number`; `None` if it
    /// stands for itself.
    fn survivor(&self, state: &dyn StateView, domain: &str, identifier: &str) -> Option<String>;

    /// The patient to whom a person has given the message, as its named values say: number and
    /// authority.
    fn reassigned(&self, _values: &Metadata) -> Option<(String, Option<String>)> {
        None
    }
}

/// No links: an identifier stands for itself.
impl LinkedKeys for () {
    fn survivor(&self, _: &dyn StateView, _domain: &str, _identifier: &str) -> Option<String> {
        None
    }
}

/// Turns a message into its keys.
#[derive(Clone, Copy)]
pub struct OrderKeys<'a> {
    /// The key of the node.
    pub index: &'a IndexKey,
    /// Links between identifiers.
    pub links: &'a dyn LinkedKeys,
    /// The state in which they are.
    pub state: &'a dyn StateView,
}

impl OrderKeys<'_> {
    /// The keys of a shared domain; the channel's common lane where the message names none. An
    /// identifier that was merged gives its own key and that of the survivor.
    #[must_use]
    pub fn of_domain(&self, channel: &str, domain: &str, identity: &Identity) -> Vec<OrderKey> {
        let identifiers = match domain {
            "visit" => &identity.visits,
            "order" => &identity.orders,
            _ => &identity.patients,
        };
        let mut keys = Vec::with_capacity(identifiers.len());
        for (identifier, authority) in identifiers {
            let whole = format!("{}|{identifier}", authority.as_deref().unwrap_or_default());
            keys.push(OrderKey::shared(self.index, domain, &whole));
            // Its own key stays: what came before the merge may still be under way under it.
            let survivor = self.links.survivor(self.state, domain, &whole);
            keys.extend(survivor.map(|survivor| OrderKey::shared(self.index, domain, &survivor)));
        }
        self.or_common(channel, keys)
    }

    /// The keys of an expression's values.
    #[must_use]
    pub fn of_values(&self, channel: &str, values: &[String]) -> Vec<OrderKey> {
        let keys = values
            .iter()
            .map(|value| OrderKey::private(self.index, channel, value));
        self.or_common(channel, keys.collect())
    }

    fn or_common(&self, channel: &str, mut keys: Vec<OrderKey>) -> Vec<OrderKey> {
        if keys.is_empty() {
            keys.push(OrderKey::common(self.index, channel));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

impl std::fmt::Debug for OrderKeys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OrderKeys")
    }
}
