//! One ElementDefinition as members of JSON, and how a constraint is laid over it.

use super::parts::{items, member, members, plain, texts};

/// An ElementDefinition; its values are compact JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    members: Vec<(String, String)>,
}

/// A type that an element may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TypeUse {
    pub(super) code: String,
    pub(super) profiles: Vec<String>,
}

/// What a profile adds to, where other members replace what the base says.
const ADDED: [&str; 4] = ["constraint", "mapping", "condition", "alias"];
/// Texts that may continue the text of the base.
const CONTINUED: [&str; 3] = ["definition", "comment", "requirements"];
/// How such a text begins.
const MORE: &str = "...";

impl Element {
    /// The elements of a JSON array.
    pub(super) fn list(array: &str) -> Vec<Self> {
        items(array).into_iter().map(Self::of).collect()
    }

    fn of(object: &str) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            members: members(object).into_iter().map(owned).collect(),
        }
    }

    /// A member as it stands.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let found = self.members.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A member as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).map(plain)
    }

    /// Puts a member in its place, or behind all others.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.members.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.into(),
            None => self.members.push((name.to_owned(), value.into())),
        }
    }

    /// As [`Self::set`], with a text that needs no escapes.
    pub(super) fn set_text(&mut self, name: &str, text: &str) {
        self.set(name, format!("\"{text}\""));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.members.retain(|(known, _)| known != name);
    }

    /// The first member with such a beginning and a type behind it (`fixed`, `pattern`).
    pub(super) fn typed(&self, beginning: &str) -> Option<(&str, &str)> {
        self.members.iter().find_map(|(name, value)| {
            let ty = name.strip_prefix(beginning)?;
            ty.starts_with(|c: char| c.is_ascii_uppercase())
                .then_some((ty, value.as_str()))
        })
    }

    pub(super) fn types(&self) -> Vec<TypeUse> {
        let list = self.raw("type").map(items).unwrap_or_default();
        list.into_iter()
            .map(|one| TypeUse {
                code: member(one, "code").unwrap_or_default(),
                profiles: texts(one, "profile"),
            })
            .collect()
    }

    /// Whether its id says that it is a slice, and nothing gives the slice a name. (The slices of a
    /// choice are often named by their id alone.)
    pub(super) fn lacks_its_name(&self) -> bool {
        let id = self.text("id").unwrap_or_default();
        let path = self.text("path").unwrap_or_default();
        if id.split('.').count() != path.split('.').count() {
            return false;
        }
        // Of a root nothing is sliced.
        let last = id.rsplit_once('.').map_or("", |(_, last)| last);
        let slice = last.split_once(':').map_or("", |(name, _)| name);
        !slice.is_empty() && !slice.ends_with("[x]") && self.raw("sliceName").is_none()
    }

    /// Lays what a profile says over it.
    pub(super) fn lay(&mut self, own: &Self) {
        for (name, value) in &own.members {
            match name.as_str() {
                "id" | "path" => {}
                name if ADDED.contains(&name) => self.add(name, value),
                name if CONTINUED.contains(&name) => self.go_on(name, value),
                "binding" => self.bind(value),
                "type" => {
                    self.remove("type");
                    self.set(name, value.clone());
                }
                name => {
                    if let Some(kind) = ["fixed", "pattern"]
                        .into_iter()
                        .find(|kind| self.is_other(kind, name))
                    {
                        let old = self.typed(kind).map(|(ty, _)| format!("{kind}{ty}"));
                        if let Some(old) = old {
                            self.remove(&old);
                        }
                    }
                    self.set(name, value.clone());
                }
            }
        }
    }

    fn is_other(&self, kind: &str, name: &str) -> bool {
        let is = name
            .strip_prefix(kind)
            .is_some_and(|ty| ty.starts_with(|c: char| c.is_ascii_uppercase()));
        is && self.raw(name).is_none()
    }

    /// Adds the items that are not there; one with the same key takes the place of the old.
    fn add(&mut self, name: &str, value: &str) {
        let key = |item: &str| match name {
            "constraint" => member(item, "key"),
            "mapping" => {
                let map = member(item, "map").unwrap_or_default();
                member(item, "identity").map(|identity| format!("{identity} {map}"))
            }
            _ => Some(item.to_owned()),
        };
        let old = self.raw(name).map(items).unwrap_or_default();
        let mut all: Vec<String> = old.into_iter().map(str::to_owned).collect();
        for item in items(value) {
            match all.iter_mut().find(|known| key(known) == key(item)) {
                Some(known) => item.clone_into(known),
                None => all.push(item.to_owned()),
            }
        }
        self.set(name, format!("[{}]", all.join(",")));
    }

    fn go_on(&mut self, name: &str, value: &str) {
        let begins = format!("\"{MORE}");
        let joined = match (value.strip_prefix(&begins), self.raw(name)) {
            (Some(rest), Some(old)) => {
                let old = old.strip_suffix('"').unwrap_or(old);
                format!("{old}\\r\\n{rest}")
            }
            _ => value.to_owned(),
        };
        self.set(name, joined);
    }

    /// A binding may be stated in parts.
    fn bind(&mut self, value: &str) {
        let old = self.raw("binding").unwrap_or("{}").to_owned();
        let mut binding = Self::of(&old);
        for (name, value) in members(value) {
            binding.set(name, value);
        }
        self.set("binding", binding.json());
    }

    pub(super) fn json(&self) -> String {
        let member = |(name, value): &(String, String)| format!("\"{name}\":{value}");
        let all: Vec<String> = self.members.iter().map(member).collect();
        format!("{{{}}}", all.join(","))
    }
}

impl Element {
    /// Takes over every member of another one that is not there yet.
    pub(super) fn take(&mut self, other: &Self) {
        for (name, value) in &other.members {
            if self.raw(name).is_none() {
                self.members.push((name.clone(), value.clone()));
            }
        }
    }
}
