//! The rows of the step: those of hilum, or with the site's files over them.

use hilum_component::{BuildContext, Problem};
use hilum_convert::Maps;

use super::config::Config;
use crate::settings::Problems;

/// The maps of the step.
#[derive(Debug)]
pub(super) enum Rows {
    Shipped(&'static Maps),
    Own(Box<Maps>),
}

impl Rows {
    pub(super) const fn maps(&self) -> &Maps {
        match self {
            Self::Shipped(maps) => maps,
            Self::Own(maps) => maps,
        }
    }
}

/// What the configuration names.
pub(super) fn maps(
    config: &Config,
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Option<Rows> {
    let names = context.site.list(&config.maps);
    let names = names.iter().filter(|name| name.ends_with(".map"));
    let mut texts: Vec<(String, String)> = Vec::new();
    for name in names {
        let bytes = problems.keep(context.file(&["maps"], name))?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => texts.push((name.clone(), text.to_owned())),
            Err(_) => problems.add(Problem::at(&["maps"], format!("{name} is not UTF-8"))),
        }
    }
    let made = if texts.is_empty() {
        Maps::shipped().map(Rows::Shipped)
    } else {
        let read: Vec<(&str, &str)> = texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        Maps::with_site(&read).map(|maps| Rows::Own(Box::new(maps)))
    };
    match made {
        Ok(rows) => Some(rows),
        Err(found) => {
            for found in found.0 {
                problems.add(problem(&found, &texts));
            }
            None
        }
    }
}

/// A mistake in a map file, with its place there.
fn problem(found: &hilum_convert::Problem, texts: &[(String, String)]) -> Problem {
    let text = texts.iter().find(|(name, _)| *name == found.file);
    let Some((_, text)) = text else {
        return Problem::at(&["maps"], found.to_string());
    };
    let shown = if found.text.is_empty() {
        found.reason.clone()
    } else {
        format!("{}: `{}`", found.reason, found.text)
    };
    let line = found.spot.line.saturating_sub(1) as usize;
    let above: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let below = text.get(above..).unwrap_or_default();
    let before = below
        .chars()
        .take(found.spot.column.saturating_sub(1) as usize);
    let start = above + before.map(char::len_utf8).sum::<usize>();
    let rest = text.get(start..).unwrap_or_default();
    let end = start + standing(rest, &found.text).unwrap_or(0);
    let problem = Problem::at(&["maps"], shown).in_file(&*found.file, start..end);
    match &found.remedy {
        Some(remedy) => problem.hint(remedy),
        None => problem,
    }
}

/// The bytes that a text takes in front of a line, whatever blanks stand between its words.
fn standing(line: &str, text: &str) -> Option<usize> {
    let mut rest = line;
    for word in text.split_whitespace() {
        rest = rest.trim_start_matches([' ', '\t']).strip_prefix(word)?;
    }
    Some(line.len() - rest.len())
}
