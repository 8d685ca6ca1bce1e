//! People who have one number in a message and are not told alike: another name, birth date or sex.
//!
//! They become one, since the number is what tells people apart; what is lost by that is a finding.
//! A difference is what no spelling explains: case, an initial and a part that only one of them has
//! are none, nor is a date that is told less exactly.

use hilum_fhir::At;
use hilum_fhir::definitions::{Child, Definitions};

use super::Run;
use crate::finding::{FindingCode, Location};

/// What tells people apart beside their numbers.
const TOLD: [&str; 3] = ["name", "birthDate", "gender"];

/// The types of people.
const PEOPLE: [&str; 3] = ["Patient", "Practitioner", "RelatedPerson"];

impl Run<'_, '_> {
    /// Reports who is taken for somebody of another name.
    pub(super) fn conflicts(&mut self, same: &[Option<u32>]) {
        for (at, to) in same.iter().enumerate() {
            let Some(to) = to.map(|to| to as usize).filter(|to| *to != at) else {
                continue;
            };
            let (Some(one), Some(other)) = (self.made.get(at), self.made.get(to)) else {
                continue;
            };
            let (one, other) = (*one, *other);
            for path in self.told_apart(one.node, other.node) {
                let place = Location {
                    field: one.field.0,
                    repetition: one.field.1,
                    ..self.whole(one.segment)
                };
                self.finding(FindingCode::IdentityConflict, place, Some(path));
            }
        }
    }

    /// The elements in which two of a type certainly differ.
    fn told_apart(&self, one: At, other: At) -> Vec<&'static str> {
        let tables = Definitions::r4();
        let ty = self.draft.type_id(one).map(|ty| tables.type_def(ty));
        let Some(ty) = ty.filter(|ty| PEOPLE.contains(&ty.name)) else {
            return Vec::new();
        };
        let children = TOLD.iter().filter_map(|name| tables.child(ty.root, name));
        let differ = children.filter(|child| match tables.type_def(child.ty).name {
            "HumanName" => self.are_other_names(one, other, *child),
            _ => match (self.own_text(one, *child), self.own_text(other, *child)) {
                (Some(one), Some(other)) => {
                    let length = one.len().min(other.len());
                    one.get(..length) != other.get(..length)
                }
                _ => false,
            },
        });
        differ
            .map(|child| tables.element(child.element).path)
            .collect()
    }

    fn own_text(&self, at: At, child: Child) -> Option<&str> {
        self.draft.text(self.draft.child(at, child)?)
    }

    /// Whether both have names, and no name of the one may be one of the other.
    fn are_other_names(&self, one: At, other: At, name: Child) -> bool {
        let names = |at: At| -> Vec<At> {
            let children = self.draft.children(at);
            children
                .filter(|(_, element, _)| *element == name.element)
                .map(|(at, ..)| at)
                .filter(|at| !self.draft.is_empty(*at))
                .collect()
        };
        let (ours, theirs) = (names(one), names(other));
        !ours.is_empty()
            && !theirs.is_empty()
            && !ours.iter().any(|our| {
                theirs
                    .iter()
                    .any(|their| self.may_be_one(*our, *their, name))
            })
    }

    /// Whether two names may be of one person: family and first given name are alike as far as both
    /// have them.
    fn may_be_one(&self, one: At, other: At, name: Child) -> bool {
        ["family", "given"].iter().all(|part| {
            let Some(part) = Definitions::r4().child(name.scope, part) else {
                return true;
            };
            match (self.own_text(one, part), self.own_text(other, part)) {
                (Some(one), Some(other)) => are_alike(one, other),
                _ => true,
            }
        })
    }
}

/// Whether two words are one but for case and what is no letter, or one is the initial of the other.
fn are_alike(one: &str, other: &str) -> bool {
    // Nearly always one person is written as one person: the observer of thirty results.
    if one == other {
        return true;
    }
    let letters = |text: &str| -> Vec<char> {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let (one, other) = (letters(one), letters(other));
    let initial = one.len() == 1 || other.len() == 1;
    one == other || (initial && one.first() == other.first())
}

#[cfg(test)]
mod tests {
    use super::are_alike;

    #[test]
    fn spellings_of_a_name_are_alike() {
        for (one, other, alike) in [
            ("MUSTER", "Muster", true),
            ("O'Neil", "ONEIL", true),
            ("J.", "John", true),
            ("J", "Kim", false),
            ("Jo", "John", false),
            ("Müller", "MÜLLER", true),
            ("Muster", "Master", false),
        ] {
            assert_eq!(are_alike(one, other), alike, "{one} {other}");
        }
    }
}
