//! The table of a step, one for each system that may have sent the message, or a concept map.

use std::sync::Arc;

use hilum_codes::{Coding, Table, TableOptions, Used};
use hilum_component::{BuildContext, CodeMap, Mapped, Problem};
use hilum_message::Metadata;

use super::config::{Config, Risk};
use super::v2::is_unit_field;
use crate::sender::SENDER;
use crate::settings::{Problems, not_loaded};
use crate::systems::Systems;
use crate::units::keeps;

/// A table with the name that findings and traces give it.
pub(super) struct Named {
    pub(super) name: String,
    /// `None` for the table of a sender that nobody named.
    table: Option<Table>,
}

impl Named {
    /// The row of a code at a moment in milliseconds since 1970.
    pub(super) fn find(&self, from: &Coding, at_ms: u64) -> Option<&Used> {
        self.table.as_ref()?.find(&from.system, &from.code, at_ms)
    }

    fn warning(&self, key: &str) -> Option<Problem> {
        let table = self.table.as_ref()?;
        let risk = table.risk().filter(|_| !table.unapproved().is_empty())?;
        let lines: Vec<_> = table.unapproved().iter().map(u64::to_string).collect();
        let text = format!(
            "{} is about {risk}, and rows count that nobody approved: line {}",
            self.name,
            lines.join(", ")
        );
        Some(Problem::at(&[key], text).hint(
            "let two different people look at each row: `by` or `reviewed-by`, and `approved-by` \
             with the status `approved`",
        ))
    }
}

/// Rows of a table that are told, at most.
const ROWS_MAX: usize = 10;

impl Named {
    /// Rows that give results another unit: a table writes the unit alone.
    fn units(&self, key: &str) -> Option<Problem> {
        let rows = self.table.iter().flat_map(Table::rows);
        let changed = rows.filter(|row| keeps(&row.from.code, &row.to.code) == Some(false));
        let told: Vec<String> = changed
            .take(ROWS_MAX)
            .map(|row| format!("line {} ({} to {})", row.line, row.from.code, row.to.code))
            .collect();
        let text = format!(
            "{} gives results another unit without converting them: {}",
            self.name,
            told.join(", ")
        );
        let hint = "let the step `units` convert value, unit and bounds together; a table only spells a \
                    unit otherwise; if it is the same here, write so: `silence: { W0317: … }`";
        (!told.is_empty()).then(|| Problem::at(&[key], text).hint(hint))
    }
}

/// The tables that a step chooses from.
pub(super) enum Tables {
    /// The same for every message.
    One(Named),
    /// By the system that sent it.
    BySender {
        own: Vec<(String, Named)>,
        /// For a message whose sender is not known: no code has a row.
        none: Named,
    },
    /// A concept map.
    Map(Mapping),
}

/// A concept map, and the code systems that messages name.
pub(super) struct Mapping {
    map: Arc<dyn CodeMap>,
    systems: Systems,
}

/// What the codes of one message are looked up in.
#[derive(Clone, Copy)]
pub(super) enum Rows<'t> {
    Table(&'t Named),
    Map(&'t Mapping),
}

/// What a code is translated to.
pub(super) enum Hit<'t> {
    Row(&'t Used),
    Mapped {
        to: Coding,
        equivalence: &'static str,
    },
    /// A map names several, and none of them is better than the others.
    Several,
}

impl<'t> Rows<'t> {
    /// The name that findings and traces give it.
    pub(super) fn name(self) -> &'t str {
        match self {
            Self::Table(table) => &table.name,
            Self::Map(mapping) => mapping.map.name(),
        }
    }

    /// The translation of a code of a message that arrived at this moment.
    pub(super) fn find(self, from: &Coding, at_ms: u64, metadata: &Metadata) -> Option<Hit<'t>> {
        match self {
            Self::Table(table) => table.find(from, at_ms).map(Hit::Row),
            Self::Map(mapping) => mapping.find(from, metadata),
        }
    }
}

impl Mapping {
    fn read(
        canonical: &str,
        config: &Config,
        context: &BuildContext<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        for (key, is_set) in [
            ("reverse", config.reverse),
            ("risk", config.risk.is_some()),
            ("unit", config.unit.is_some()),
        ] {
            if is_set {
                problems.add(Problem::at(&[key], "belongs to a table, not to a `map`"));
            }
        }
        let terminology = context.site.terminology();
        let terminology = problems.keep(terminology.map_err(|text| Problem::at(&["map"], text)))?;
        let map = terminology.concept_map(canonical);
        let map = problems.keep(map.map_err(|error| not_loaded("map", &error)))?;
        let systems = Systems::of(context, config.code_system.clone());
        Some(Self { map, systems })
    }

    fn find(&self, from: &Coding, metadata: &Metadata) -> Option<Hit<'static>> {
        let system = self.systems.url(metadata, &from.system);
        let mut found = self
            .map
            .translate(system.as_deref(), &from.code)
            .into_iter();
        let best = found.next()?;
        let is_other = |one: &Mapped| (&one.system, &one.code) != (&best.system, &best.code);
        // Two that mean the code equally well are no answer.
        let mut equal = found.take_while(|one| one.equivalence == best.equivalence);
        if equal.any(|one| is_other(&one)) {
            return Some(Hit::Several);
        }
        let system = best.system.as_deref().unwrap_or_default();
        Some(Hit::Mapped {
            to: Coding {
                system: self.systems.name(metadata, system),
                code: best.code,
                display: best.display.unwrap_or_default(),
            },
            equivalence: best.equivalence,
        })
    }
}

impl Tables {
    /// Reads them; what is wrong is noted.
    pub(super) fn read(
        config: &Config,
        context: &BuildContext<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let (Some(map), None, None, None) =
            (&config.map, &config.table, &config.tables, &config.group)
        {
            return Mapping::read(map, config, context, problems).map(Self::Map);
        }
        if config.code_system.is_some() {
            let text = "belongs to a `map`: tables have the names of code systems in their rows";
            problems.add(Problem::at(&["code-system"], text));
        }
        match (&config.table, &config.tables, &config.group) {
            (Some(table), None, None) if config.map.is_none() => {
                read_one(table.as_str(), "table", config, context, problems).map(Self::One)
            }
            (None, Some(folder), Some(group)) if config.map.is_none() => by_sender(
                folder.trim_end_matches('/'),
                group,
                config,
                context,
                problems,
            ),
            _ => {
                let text = "a table is needed: `table`, `tables` with `group`, or `map`";
                problems.add(Problem::at(&[], text));
                None
            }
        }
    }

    /// What the codes of a message are looked up in.
    pub(super) fn of(&self, metadata: &Metadata) -> Rows<'_> {
        match self {
            Self::One(table) => Rows::Table(table),
            Self::BySender { own, none } => {
                let sender = metadata.get(SENDER);
                let found = own.iter().find(|(name, _)| Some(&**name) == sender);
                Rows::Table(found.map_or(none, |(_, table)| table))
            }
            Self::Map(mapping) => Rows::Map(mapping),
        }
    }

    /// What a person should look at, where the codes stand in this field.
    pub(super) fn warnings(&self, field: &str) -> Vec<Problem> {
        let is_unit = is_unit_field(field).is_ok() || field.contains("valueQuantity");
        let of = |table: &Named, key: &str| {
            let units = is_unit.then(|| table.units(key)).flatten();
            [table.warning(key), units].into_iter().flatten()
        };
        match self {
            Self::One(table) => of(table, "table").collect(),
            Self::BySender { own, .. } => {
                let warnings = own.iter().flat_map(|(_, table)| of(table, "tables"));
                warnings.collect()
            }
            Self::Map(mapping) => {
                let warning = mapping.map.warning().into_iter();
                warning.map(|text| Problem::at(&["map"], text)).collect()
            }
        }
    }
}

fn by_sender(
    folder: &str,
    group: &str,
    config: &Config,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Option<Tables> {
    let systems = context.site.system_names().into_iter();
    let of_group = |name: &String| {
        let system = context.site.system(name);
        system.is_some_and(|system| system.group.as_deref() == Some(group))
    };
    let mut own = Vec::new();
    let mut whole = true;
    for name in systems.filter(of_group) {
        let path = format!("{folder}/{name}.csv");
        match read_one(&path, "tables", config, context, problems) {
            Some(table) => own.push((name, table)),
            None => whole = false,
        }
    }
    if own.is_empty() && whole {
        let text = format!("no system is of the group `{group}`");
        let hint = format!("write `group: {group}` in the files of its systems");
        problems.add(Problem::at(&["group"], text).hint(hint));
        return None;
    }
    let none = Named {
        name: folder.to_owned(),
        table: None,
    };
    whole.then_some(Tables::BySender { own, none })
}

fn read_one(
    path: &str,
    key: &str,
    config: &Config,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Option<Named> {
    let bytes = problems.keep(context.file(&[key], path))?;
    let options = TableOptions {
        name: path,
        field: config.field.as_str(),
        declared: config.risk == Some(Risk::High),
        reverse: config.reverse,
    };
    match Table::read(&bytes, options) {
        Ok(table) => Some(Named {
            name: path.to_owned(),
            table: Some(table),
        }),
        Err(found) => {
            for mistake in found {
                let problem = Problem::at(&[key], format!("{path}, {mistake}"));
                problems.add(match mistake.remedy {
                    Some(remedy) => problem.hint(remedy),
                    None => problem,
                });
            }
            None
        }
    }
}
