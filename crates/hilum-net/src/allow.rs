//! Which peers may connect: addresses and networks.

use std::net::IpAddr;
use std::str::FromStr;

/// The peers that may connect; without an entry everybody may.
///
/// Names are not allowed: a name would have to be resolved for each connection, and whoever
/// controls the answer would control the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    networks: Vec<Network>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: u128,
    prefix: u32,
    v4: bool,
}

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address or network, expected one such as 10.0.4.7, 10.0.0.0/8 or fd00::/8")]
pub struct AllowListError {
    /// The text.
    pub text: String,
}

impl AllowList {
    /// Reads a list of addresses and networks.
    pub fn new<T: AsRef<str>>(entries: &[T]) -> Result<Self, AllowListError> {
        let networks = entries
            .iter()
            .map(|entry| entry.as_ref().parse())
            .collect::<Result<_, _>>()?;
        Ok(Self { networks })
    }

    /// Whether a peer may connect.
    #[must_use]
    pub fn allows(&self, peer: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(peer))
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let (bits, v4) = bits(address);
        v4 == self.v4 && masked(bits, self.prefix) == self.base
    }
}

impl FromStr for Network {
    type Err = AllowListError;

    fn from_str(text: &str) -> Result<Self, AllowListError> {
        let error = || AllowListError {
            text: text.to_owned(),
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().map_err(|_| error())?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| error())?;
        let (bits, v4) = bits(address);
        let longest = if v4 { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(error());
        }
        // An IPv4 address stands in the low 32 bits.
        let prefix = prefix + (128 - longest);
        Ok(Self {
            base: masked(bits, prefix),
            prefix,
            v4,
        })
    }
}

/// An IPv4 peer of a listener on `[::]` appears as a mapped address; both count as IPv4.
fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    }
}

fn masked(bits: u128, prefix: u32) -> u128 {
    let host_bits = 128 - prefix;
    if host_bits == 128 {
        0
    } else {
        bits >> host_bits << host_bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_addresses_and_networks() {
        let check = |entries: &[&str], peer: &str, allowed: bool| {
            let list = AllowList::new(entries).unwrap();
            assert_eq!(
                list.allows(peer.parse().unwrap()),
                allowed,
                "{entries:?} {peer}"
            );
        };
        check(&[], "192.0.2.1", true);
        check(&["10.0.4.7"], "10.0.4.7", true);
        check(&["10.0.4.7"], "10.0.4.8", false);
        check(&["10.0.4.7"], "::ffff:10.0.4.7", true);
        check(&["10.0.0.0/8"], "10.255.0.1", true);
        check(&["10.0.0.0/8"], "11.0.0.1", false);
        check(&["10.1.2.3/8"], "10.255.0.1", true);
        check(&["0.0.0.0/0"], "203.0.113.9", true);
        check(&["0.0.0.0/0"], "2001:db8::1", false);
        check(&["::/0"], "2001:db8::1", true);
        check(&["fd00::/8", "192.0.2.0/31"], "fdff::1", true);
        check(&["fd00::/8", "192.0.2.0/31"], "192.0.2.1", true);
        check(&["fd00::/8", "192.0.2.0/31"], "192.0.2.2", false);
    }

    #[test]
    fn refuses_names_and_impossible_prefixes() {
        for text in [
            "lab-2",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "",
            "10.0.0.1/-1",
        ] {
            assert!(AllowList::new(&[text]).is_err(), "{text}");
        }
    }
}
