//! The table of a step, or one for each system that may have sent the message.

use hilum_codes::{Coding, Table, TableOptions, Used};
use hilum_component::{BuildContext, Problem};

use super::config::{Config, Risk};
use crate::settings::Problems;

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
}

impl Tables {
    /// Reads them; what is wrong is noted.
    pub(super) fn read(
        config: &Config,
        context: &BuildContext<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        match (&config.table, &config.tables, &config.group) {
            (Some(table), None, None) => {
                read_one(table.as_str(), "table", config, context, problems).map(Self::One)
            }
            (None, Some(folder), Some(group)) => by_sender(
                folder.trim_end_matches('/'),
                group,
                config,
                context,
                problems,
            ),
            _ => {
                let text = "a table is needed: `table`, or `tables` with `group`";
                problems.add(Problem::at(&[], text));
                None
            }
        }
    }

    /// The table for a message of this sender.
    pub(super) fn of(&self, sender: Option<&str>) -> &Named {
        match self {
            Self::One(table) => table,
            Self::BySender { own, none } => {
                let found = own.iter().find(|(name, _)| Some(&**name) == sender);
                found.map_or(none, |(_, table)| table)
            }
        }
    }

    /// What a person should look at.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        match self {
            Self::One(table) => table.warning("table").into_iter().collect(),
            Self::BySender { own, .. } => {
                let warnings = own.iter().filter_map(|(_, table)| table.warning("tables"));
                warnings.collect()
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
