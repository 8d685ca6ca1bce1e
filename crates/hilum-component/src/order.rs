//! What deliveries are kept in order by.

use hilum_message::{IndexKey, OrderKey};

use crate::{Identity, Rule};

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
pub trait LinkedKeys: Send + Sync {
    /// The identifier under which `identifier` is kept in order.
    fn survivor(&self, domain: &str, identifier: &str) -> String;
}

/// No links: an identifier stands for itself.
impl LinkedKeys for () {
    fn survivor(&self, _domain: &str, identifier: &str) -> String {
        identifier.to_owned()
    }
}

/// Turns a message into its keys.
#[derive(Clone, Copy)]
pub struct OrderKeys<'a> {
    /// The key of the node.
    pub index: &'a IndexKey,
    /// Links between identifiers.
    pub links: &'a dyn LinkedKeys,
}

impl OrderKeys<'_> {
    /// The keys of a shared domain; the channel's common lane where the message names none.
    #[must_use]
    pub fn of_domain(&self, channel: &str, domain: &str, identity: &Identity) -> Vec<OrderKey> {
        let identifiers = match domain {
            "visit" => &identity.visits,
            "order" => &identity.orders,
            _ => &identity.patients,
        };
        let keys = identifiers.iter().map(|(identifier, authority)| {
            let whole = format!("{}|{identifier}", authority.as_deref().unwrap_or_default());
            OrderKey::shared(self.index, domain, &self.links.survivor(domain, &whole))
        });
        self.or_common(channel, keys.collect())
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
