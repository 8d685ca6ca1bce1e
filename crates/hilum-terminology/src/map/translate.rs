//! Translating a code (FHIR R4 conceptmap-operation-translate.html).

use std::sync::Arc;

use super::{ConceptMap, Element, Equivalence, Group, Other, Target, Unmapped, unknown_map};
use crate::check::Coding;
use crate::engine::Engine;
use crate::issue::Failure;
use crate::source::Wanted;

/// Translations that one request may have.
pub const TARGETS_MAX: usize = 1_000;
/// Maps that send on to other maps.
const MAPS_MAX: usize = 16;

/// What is asked of a translation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The map to use, by its canonical URL; otherwise every map that fits.
    pub map: Option<String>,
    /// The value set that the code is from.
    pub source: Option<String>,
    /// The value set that the translation has to be from.
    pub target: Option<String>,
    /// The system that the translation has to be of.
    pub target_system: Option<String>,
    /// What else is known of the code.
    pub dependencies: Vec<Other>,
    /// The code is a target, and its sources are asked for.
    pub reverse: bool,
}

/// A translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// How far they mean the same.
    pub equivalence: Equivalence,
    /// The system of the translation.
    pub system: Option<Box<str>>,
    /// The version of the system, where the map names one.
    pub version: Option<Box<str>>,
    /// The translation; none where the map says that there is none.
    pub code: Option<Box<str>>,
    /// What people read.
    pub display: Option<Box<str>>,
    /// What comes with it.
    pub product: Vec<Other>,
    /// A remark of the map.
    pub comment: Option<Box<str>>,
    /// The map that says it, by its canonical URL with version.
    pub origin: Option<String>,
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// There is a translation.
    pub result: bool,
    /// Why there is none.
    pub message: Option<String>,
    /// The translations, and what maps say that are none.
    pub matches: Vec<Match>,
}

impl Engine<'_> {
    /// The translations of codings by one map.
    pub fn translate_by(
        &self,
        map: &Arc<ConceptMap>,
        codings: &[Coding],
        ask: &Ask,
    ) -> Result<Translated, Failure> {
        self.walked(Some(map), codings, ask)
    }

    /// The translations of codings.
    pub fn translate(&self, codings: &[Coding], ask: &Ask) -> Result<Translated, Failure> {
        let given = match &ask.map {
            None => None,
            Some(canonical) => match self.terminology.map(canonical)? {
                Some(map) => Some(map),
                None => return Err(Failure::refused(unknown_map(canonical))),
            },
        };
        self.walked(given.as_ref(), codings, ask)
    }

    fn walked(
        &self,
        given: Option<&Arc<ConceptMap>>,
        codings: &[Coding],
        ask: &Ask,
    ) -> Result<Translated, Failure> {
        let mut translated = Translated::default();
        for coding in codings {
            let Some(code) = coding.code.as_deref() else {
                continue;
            };
            let maps = match given {
                Some(map) => vec![Arc::clone(map)],
                None => self.fitting(coding, ask)?,
            };
            for map in maps {
                let mut walk = Walk {
                    engine: self,
                    ask,
                    coding,
                    code,
                    found: &mut translated.matches,
                    way: Vec::new(),
                };
                walk.map(&map)?;
            }
        }
        translated.result = translated
            .matches
            .iter()
            .any(|one| one.equivalence.is_match() && one.code.is_some());
        if !translated.result {
            translated.message = Some("No translations found".to_owned());
        }
        Ok(translated)
    }

    /// The maps that may say something about a coding.
    fn fitting(&self, coding: &Coding, ask: &Ask) -> Result<Vec<Arc<ConceptMap>>, Failure> {
        let of =
            |wanted: fn(Box<str>) -> Wanted, url: &str| self.terminology.maps(&wanted(url.into()));
        let system = coding.system.as_deref();
        let mut maps = match (ask.reverse, system, ask.target_system.as_deref()) {
            (false, Some(system), _) => of(Wanted::MapsFrom, system)?,
            (true, Some(system), _) => of(Wanted::MapsTo, system)?,
            (false, None, Some(target)) => of(Wanted::MapsTo, target)?,
            (true, None, Some(target)) => of(Wanted::MapsFrom, target)?,
            (_, None, None) => Vec::new(),
        };
        let fits = |asked: &Option<String>, own: &Option<Box<str>>| match (asked, own) {
            (Some(asked), Some(own)) => same_canonical(asked, own),
            _ => true,
        };
        maps.retain(|map| {
            let (source, target) = if ask.reverse {
                (&map.target, &map.source)
            } else {
                (&map.source, &map.target)
            };
            // A map that is over and done with is used only by who names it.
            &*map.standing.status != "retired"
                && fits(&ask.source, source)
                && fits(&ask.target, target)
        });
        Ok(maps)
    }
}

/// Whether two canonical URLs mean the same as far as they say it.
fn same_canonical(a: &str, b: &str) -> bool {
    let ((a, a_version), (b, b_version)) = (crate::version::split(a), crate::version::split(b));
    let versions = a_version.zip(b_version);
    a == b && versions.is_none_or(|(a, b)| a == b)
}

/// The way of one coding through maps.
struct Walk<'w> {
    engine: &'w Engine<'w>,
    ask: &'w Ask,
    coding: &'w Coding,
    code: &'w str,
    found: &'w mut Vec<Match>,
    way: Vec<String>,
}

impl Walk<'_> {
    fn map(&mut self, map: &Arc<ConceptMap>) -> Result<(), Failure> {
        let name = map.canonical();
        // Maps may send on to each other in a circle.
        if self.way.contains(&name) || self.way.len() >= MAPS_MAX {
            return Ok(());
        }
        self.way.push(name);
        for group in &map.groups {
            if self.found.len() >= TARGETS_MAX {
                break;
            }
            if self.ask.reverse {
                self.reverse(map, group);
            } else {
                self.group(map, group)?;
            }
        }
        self.way.pop();
        Ok(())
    }

    fn concerns(&self, own: Option<&str>, version: Option<&str>) -> bool {
        let system = self.coding.system.as_deref();
        let same = system.zip(own).is_none_or(|(given, own)| given == own);
        let versions = self.coding.version.as_deref().zip(version);
        same && versions.is_none_or(|(given, own)| crate::version::fits(own, given))
    }

    fn is_wanted(&self, system: Option<&str>) -> bool {
        let asked = self.ask.target_system.as_deref();
        asked.is_none_or(|asked| system == Some(asked))
    }

    fn group(&mut self, map: &Arc<ConceptMap>, group: &Group) -> Result<(), Failure> {
        let concerns = self.concerns(group.source.as_deref(), group.source_version.as_deref());
        if !concerns || !self.is_wanted(group.target.as_deref()) {
            return Ok(());
        }
        let mut listed = false;
        for element in group.with_code(self.code) {
            listed = true;
            for target in &element.targets {
                if depends(&target.depends_on, &self.ask.dependencies) {
                    let one = matched(map, group, target);
                    self.add(one);
                }
            }
        }
        if listed {
            return Ok(());
        }
        match &group.unmapped {
            None => {}
            Some(Unmapped::Provided) => self.add(Match {
                equivalence: Equivalence::Equal,
                system: group.target.clone(),
                version: group.target_version.clone(),
                code: Some(self.code.into()),
                display: self.coding.display.as_deref().map(Into::into),
                product: Vec::new(),
                comment: None,
                origin: Some(map.canonical()),
            }),
            Some(Unmapped::Fixed(code, display)) => self.add(Match {
                equivalence: Equivalence::RelatedTo,
                system: group.target.clone(),
                version: group.target_version.clone(),
                code: code.clone(),
                display: display.clone(),
                product: Vec::new(),
                comment: None,
                origin: Some(map.canonical()),
            }),
            Some(Unmapped::Other(url)) => {
                let other = self.engine.terminology.map(url)?;
                let other = other.ok_or_else(|| Failure::refused(unknown_map(url)))?;
                self.map(&other)?;
            }
        }
        Ok(())
    }

    fn reverse(&mut self, map: &Arc<ConceptMap>, group: &Group) {
        let concerns = self.concerns(group.target.as_deref(), group.target_version.as_deref());
        if !concerns || !self.is_wanted(group.source.as_deref()) {
            return;
        }
        let all: Vec<(&Element, &Target)> = group.with_target(self.code).collect();
        for (element, target) in all {
            self.add(Match {
                equivalence: target.equivalence.reversed(),
                system: group.source.clone(),
                version: group.source_version.clone(),
                code: Some(element.code.clone()),
                display: element.display.clone(),
                product: Vec::new(),
                comment: target.comment.clone(),
                origin: Some(map.canonical()),
            });
        }
    }

    fn add(&mut self, one: Match) {
        if self.found.len() < TARGETS_MAX && !self.found.contains(&one) {
            self.found.push(one);
        }
    }
}

fn matched(map: &ConceptMap, group: &Group, target: &Target) -> Match {
    Match {
        equivalence: target.equivalence,
        system: group.target.clone(),
        version: group.target_version.clone(),
        code: target.code.clone(),
        display: target.display.clone(),
        product: target.product.clone(),
        comment: target.comment.clone(),
        origin: Some(map.canonical()),
    }
}

/// Whether everything that a translation depends on is as it has to be. What nobody tells is not.
fn depends(needed: &[Other], told: &[Other]) -> bool {
    needed.iter().all(|need| {
        told.iter().any(|one| {
            let systems = need.system.as_deref().zip(one.system.as_deref());
            let same = systems.is_none_or(|(a, b)| a == b);
            same && one.property == need.property && one.value == need.value
        })
    })
}
