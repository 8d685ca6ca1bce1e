//! What an entry of a transaction says beside what the bundle holds, as only the store knows whom else the
//! transaction is about.

use crate::write::{Member, items, members, push_members};

/// Changes of one entry, in compact JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct Edit {
    /// Identifiers that somebody else has, as JSON texts.
    without: Vec<[Vec<u8>; 2]>,
    /// The patient itself and those whom it replaces, as references.
    replaces: Option<(String, Vec<String>)>,
    /// What it is about besides (Provenance.target), as references.
    targets: Vec<String>,
}

impl Edit {
    /// Leaves identifiers out, given as system and value.
    pub(super) fn without(&mut self, numbers: &[(String, String)]) {
        let text = |text: &str| match text {
            "" => Vec::new(),
            text => serde_json::Value::from(text).to_string().into_bytes(),
        };
        let numbers = numbers.iter();
        let numbers = numbers.map(|(system, value)| [text(system), text(value)]);
        self.without.extend(numbers);
    }

    /// Adds links to those whom it replaces; itself is none of them.
    pub(super) fn replaces(&mut self, own: String, others: Vec<String>) {
        self.replaces = Some((own, others));
    }

    /// Adds what it is about.
    pub(super) fn targets(&mut self, references: &[String]) {
        self.targets.extend_from_slice(references);
    }

    /// The resource with these changes.
    pub(super) fn applied(&self, json: Vec<u8>) -> Vec<u8> {
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (name, value) in members(&json) {
            let value = match name {
                b"identifier" if !self.without.is_empty() => self.identifiers(value),
                b"link" if self.replaces.is_some() => self.links(value),
                b"target" if !self.targets.is_empty() => self.with_targets(value),
                _ => value.to_vec(),
            };
            if value != b"[]" {
                all.push((name.to_vec(), value));
            }
        }
        let has_links = all.iter().any(|(name, _)| name == b"link");
        let links = self.links(b"[]");
        if !has_links && links != b"[]" {
            // The last element of a Patient.
            all.push((b"link".to_vec(), links));
        }
        let all: Vec<Member<'_>> = all
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let mut out = b"{".to_vec();
        push_members(&mut all.iter(), &mut out);
        out.push(b'}');
        out
    }

    fn identifiers(&self, list: &[u8]) -> Vec<u8> {
        let is_elsewhere = |item: &&[u8]| {
            let own = members(item);
            let text = |name: &[u8]| {
                let found = own.iter().find(|(of, _)| *of == name);
                found.map_or(&b""[..], |(_, text)| text)
            };
            let number = [text(b"system"), text(b"value")];
            self.without
                .iter()
                .any(|one| one.each_ref().map(|text| &**text) == number)
        };
        let kept = items(list).into_iter().filter(|item| !is_elsewhere(item));
        array(kept.map(<[u8]>::to_vec))
    }

    fn links(&self, list: &[u8]) -> Vec<u8> {
        let Some((own, others)) = &self.replaces else {
            return list.to_vec();
        };
        let other = |link: &[u8]| {
            let all = members(link);
            let other = all.iter().find(|(name, _)| *name == b"other");
            other.map(|(_, other)| other.to_vec()).unwrap_or_default()
        };
        let reference = |to: &str| format!("{{\"reference\":\"{to}\"}}").into_bytes();
        let own = reference(own);
        let mut met: Vec<Vec<u8>> = Vec::new();
        let mut links: Vec<Vec<u8>> = Vec::new();
        let added = others.iter().map(|to| {
            let other = String::from_utf8_lossy(&reference(to)).into_owned();
            format!("{{\"other\":{other},\"type\":\"replaces\"}}").into_bytes()
        });
        let there = items(list).into_iter().map(<[u8]>::to_vec);
        for link in there.chain(added) {
            let to = other(&link);
            if to != own && !met.contains(&to) {
                met.push(to);
                links.push(link);
            }
        }
        array(links.into_iter())
    }

    fn with_targets(&self, list: &[u8]) -> Vec<u8> {
        let there = items(list).into_iter().map(<[u8]>::to_vec);
        let added = self.targets.iter();
        let added = added.map(|to| format!("{{\"reference\":\"{to}\"}}").into_bytes());
        array(there.chain(added))
    }
}

fn array(items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let items: Vec<Vec<u8>> = items.collect();
    [b"[", &items.join(&b","[..])[..], b"]"].concat()
}
