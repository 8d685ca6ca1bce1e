//! One concept, with what supplements say of it.

use std::sync::Arc;

use hilum_ucum::Unit;

use super::{Body, System};
use crate::language::{Languages, covers};
use crate::names;
use crate::table::{At, Flags, Property, Use};

/// A concept of a code system.
#[derive(Clone, Debug)]
pub struct Concept {
    system: Arc<System>,
    place: Place,
    supplements: Vec<(Arc<System>, At)>,
}

#[derive(Clone, Debug)]
enum Place {
    Listed(At),
    /// The code, and what people read.
    Made(Box<str>, Box<str>),
}

/// A name of a concept: its display or a designation.
#[derive(Clone, Copy, Debug)]
pub struct Name<'c> {
    /// Its language.
    pub language: Option<&'c str>,
    /// What it is for; a display has no use of its own.
    pub usage: Option<Use<'c>>,
    /// The name.
    pub value: &'c str,
    /// It is the display of the code system itself.
    pub is_display: bool,
    /// The supplement that it is from.
    pub source: Option<&'c System>,
    /// Its extensions as a JSON array.
    pub extensions: Option<&'c str>,
}

impl Name<'_> {
    /// It is said to be withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        let status =
            |json: &str| json.contains(names::STANDARDS_STATUS) && json.contains("\"withdrawn\"");
        self.extensions.is_some_and(status)
    }
}

impl Concept {
    pub(super) fn find(system: &Arc<System>, code: &str) -> Option<Self> {
        let place = match &system.body {
            Body::Table(table) => Place::Listed(table.find(code)?),
            Body::Ucum => {
                let unit = Unit::parse(code).ok()?;
                Place::Made(code.into(), unit.name().into())
            }
        };
        Some(Self {
            system: Arc::clone(system),
            place,
            supplements: Vec::new(),
        })
    }

    /// The concept at a place of a system's table.
    pub(crate) fn listed(system: &Arc<System>, at: At) -> Self {
        Self {
            system: Arc::clone(system),
            place: Place::Listed(at),
            supplements: Vec::new(),
        }
    }

    /// Adds what these supplements say.
    #[must_use]
    pub(crate) fn with(mut self, supplements: &[Arc<System>]) -> Self {
        for supplement in supplements {
            let at = supplement.table().and_then(|table| table.find(self.code()));
            self.supplements
                .extend(at.map(|at| (Arc::clone(supplement), at)));
        }
        self
    }

    /// The system it is of.
    #[must_use]
    pub fn system(&self) -> &Arc<System> {
        &self.system
    }

    /// Its place in the table of its system.
    #[must_use]
    pub fn at(&self) -> Option<At> {
        match self.place {
            Place::Listed(at) => Some(at),
            Place::Made(..) => None,
        }
    }

    /// Its code, as the system has it.
    #[must_use]
    pub fn code(&self) -> &str {
        match (&self.place, &self.system.body) {
            (Place::Listed(at), Body::Table(table)) => table.code(*at),
            (Place::Made(code, _), _) => code,
            (Place::Listed(_), Body::Ucum) => "",
        }
    }

    /// What people read.
    #[must_use]
    pub fn display(&self) -> Option<&str> {
        match (&self.place, &self.system.body) {
            (Place::Listed(at), Body::Table(table)) => table.display(*at),
            (Place::Made(_, name), _) => Some(name),
            (Place::Listed(_), Body::Ucum) => None,
        }
    }

    /// What it means.
    #[must_use]
    pub fn definition(&self) -> Option<&str> {
        self.system.table()?.definition(self.at()?)
    }

    fn flags(&self) -> Flags {
        let table = self.system.table().zip(self.at());
        table.map_or(Flags::default(), |(table, at)| table.flags(at))
    }

    /// It is not to be used any more.
    #[must_use]
    pub fn is_inactive(&self) -> bool {
        self.flags().has(Flags::INACTIVE)
    }

    /// It is not to be chosen.
    #[must_use]
    pub fn is_abstract(&self) -> bool {
        self.flags().has(Flags::ABSTRACT)
    }

    /// Where it stands (`retired`, `deprecated`), where the system says it.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        let table = self.system.table()?;
        let at = self.at()?;
        let of_uri = |property: &Property<'_>| {
            let declared = self.system.properties.iter();
            let mut declared = declared.filter(|def| *def.code == *property.name);
            declared.any(|def| def.uri.as_deref() == Some(names::STATUS))
        };
        let mut all = table.properties(at);
        let found =
            all.find(|one| one.name == "status" || one.name == names::STATUS || of_uri(one));
        found.map(|property| property.value)
    }

    /// Its properties, those of supplements included.
    pub fn properties(&self) -> impl Iterator<Item = (&System, Property<'_>)> {
        let own = self.system.table().zip(self.at());
        let own = own.map(|(table, at)| (&*self.system, table, at));
        let more = self.supplements.iter().filter_map(|(supplement, at)| {
            let table = supplement.table()?;
            Some((&**supplement, table, *at))
        });
        own.into_iter()
            .chain(more)
            .flat_map(|(system, table, at)| table.properties(at).map(move |one| (system, one)))
    }

    /// The value that an extension says, by the URI of the property it stands for.
    pub(crate) fn said(&self, uri: &str) -> Option<&str> {
        let all = self.properties().filter(|(_, one)| one.name == uri);
        // What a supplement says goes before what the system says.
        all.last().map(|(_, one)| one.value)
    }

    /// Extensions that are repeated where it is listed, each a JSON array.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = &str> {
        let own = self.system.table().zip(self.at());
        let own = own.and_then(|(table, at)| table.extensions(at));
        let more = self
            .supplements
            .iter()
            .filter_map(|(supplement, at)| supplement.table()?.extensions(*at));
        own.into_iter().chain(more)
    }

    /// Its display, then its designations, then what supplements call it.
    pub fn names(&self) -> impl Iterator<Item = Name<'_>> {
        let display = self.display().map(|value| Name {
            language: self.system.language.as_deref(),
            usage: None,
            value,
            is_display: true,
            source: None,
            extensions: None,
        });
        let own = self.system.table().zip(self.at());
        let own = own.into_iter().flat_map(|(table, at)| {
            table.designations(at).map(|of| Name {
                language: of.language,
                usage: of.usage,
                value: of.value,
                is_display: false,
                source: None,
                extensions: of.extensions,
            })
        });
        let more = self.supplements.iter().flat_map(|(supplement, at)| {
            let table = supplement.table();
            let display = table.and_then(|table| table.display(*at));
            let display = display.map(|value| Name {
                language: supplement.language.as_deref(),
                usage: None,
                value,
                is_display: false,
                source: Some(supplement),
                extensions: None,
            });
            let others = table.into_iter().flat_map(|table| table.designations(*at));
            let others = others.map(|of| Name {
                language: of.language,
                usage: of.usage,
                value: of.value,
                is_display: false,
                source: Some(supplement),
                extensions: of.extensions,
            });
            display.into_iter().chain(others)
        });
        display.into_iter().chain(own).chain(more)
    }
}

/// The use of a display that is not the one shown (THO hl7TermMaintInfra).
pub(crate) const PREFERRED: Use<'static> = Use {
    system: "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra",
    code: "preferredForLanguage",
    display: "Preferred For Language",
};

impl<'c> Name<'c> {
    /// What it is for; of a display, that it is preferred in its language.
    #[must_use]
    pub fn shown_use(&self) -> Option<Use<'c>> {
        if self.is_display {
            Some(PREFERRED)
        } else {
            self.usage
        }
    }
}

impl Concept {
    /// What people read who read these languages; the display where none of them has a name.
    #[must_use]
    pub fn display_for(&self, languages: Option<&Languages>) -> Option<&str> {
        let names: Vec<Name<'_>> = self.names().collect();
        let best = preferred(&names, languages).or_else(|| preferred(&names, None));
        best.map(|name| name.value)
    }
}

/// The name that is shown to who reads these languages: the best of the first language that there
/// is one in, else the display, unless nothing else will do.
pub(crate) fn preferred<'a, 'n>(
    names: &'a [Name<'n>],
    languages: Option<&Languages>,
) -> Option<&'a Name<'n>> {
    let Some(languages) = languages else {
        return names.iter().find(|name| name.is_display);
    };
    for wanted in languages.wanted() {
        let speaks = |name: &&Name<'_>| {
            name.language.is_some_and(|own| covers(wanted, own)) && !name.is_withdrawn()
        };
        let mut all = names.iter().filter(speaks);
        let exact = |name: &&Name<'_>| {
            name.language
                .is_some_and(|own| own.eq_ignore_ascii_case(wanted))
        };
        // The display of the system is the best name there is; among designations those without
        // a use or with the use of a display come first.
        let rank = |name: &&Name<'_>| {
            (
                !name.is_display,
                !exact(name),
                name.usage
                    .is_some_and(|of| of.code != "display" && of.code != "preferredForLanguage"),
            )
        };
        let mut best: Option<&Name<'_>> = all.next();
        for name in all {
            if best.is_some_and(|known| rank(&name) < rank(&known)) {
                best = Some(name);
            }
        }
        if best.is_some() {
            return best;
        }
    }
    let display = names.iter().find(|name| name.is_display)?;
    // A display of which nobody says the language may be read.
    (display.language.is_none() || !languages.is_strict()).then_some(display)
}
