//! A table in the making as bytes, so that making it can go on later.

use super::build::{Numbered, TableBuilder};
use super::file::{Damaged, Reader, Writer};
use super::strings::Strings;
use super::{Case, fold};

impl TableBuilder {
    /// Everything that was added so far.
    pub(crate) fn save(&self, out: &mut Writer) {
        out.bytes(&[u8::from(self.case == Case::Insensitive)]);
        for texts in [
            &self.codes,
            &self.displays,
            &self.definitions,
            &self.languages.names,
            &self.uses.names,
            &self.designation_text,
            &self.property_names.names,
            &self.values,
        ] {
            texts.write(out);
        }
        out.bytes(&self.flags);
        let (children, parents): (Vec<u32>, Vec<u32>) = self.edges.iter().copied().unzip();
        for numbers in [
            &children,
            &parents,
            &self.designation_of,
            &self.property_of,
            &self.property_value,
        ] {
            out.numbers(numbers);
        }
        out.small(&self.designation_language);
        out.small(&self.designation_use);
        out.small(&self.property_name);
        out.bytes(&self.property_kind);
        out.texts(&self.designation_extensions);
        // The table has them in this order, whenever they are sorted.
        let mut extensions = self.extensions.clone();
        extensions.sort_by_key(|(at, _)| *at);
        out.texts(&extensions);
    }

    /// What was saved.
    pub(crate) fn restore(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let case = match from.bytes()? {
            [0] => Case::Sensitive,
            _ => Case::Insensitive,
        };
        let mut texts = || Strings::read(from);
        let (codes, displays, definitions) = (texts()?, texts()?, texts()?);
        let (languages, uses, designation_text) = (texts()?, texts()?, texts()?);
        let (property_names, values) = (texts()?, texts()?);
        let flags = from.bytes()?.to_vec();
        let (children, parents) = (from.numbers()?, from.numbers()?);
        let (concepts, rows) = (codes.len(), designation_text.len());
        let mut builder = Self::new(case);
        builder.designation_of = from.numbers()?;
        builder.property_of = from.numbers()?;
        builder.property_value = from.numbers()?;
        builder.designation_language = from.small()?;
        builder.designation_use = from.small()?;
        builder.property_name = from.small()?;
        builder.property_kind = from.bytes()?.to_vec();
        builder.designation_extensions = from.texts(rows)?;
        builder.extensions = from.texts(concepts)?;
        builder.edges = children.into_iter().zip(parents).collect();
        let numbers = || 0..u32::try_from(concepts).unwrap_or(u32::MAX);
        builder.places = numbers()
            .map(|at| match case {
                Case::Sensitive => (codes.get(at).into(), at),
                Case::Insensitive => (fold(codes.get(at)).into(), at),
            })
            .collect();
        let known = (0..values.len()).filter_map(|at| u32::try_from(at).ok());
        builder.known_values = known.map(|at| (values.get(at).into(), at)).collect();
        builder.languages = Numbered::of(languages);
        builder.uses = Numbered::of(uses);
        builder.property_names = Numbered::of(property_names);
        builder.codes = codes;
        builder.displays = displays;
        builder.definitions = definitions;
        builder.flags = flags;
        builder.designation_text = designation_text;
        builder.values = values;
        Ok(builder)
    }

    /// How many concepts it has.
    pub(crate) fn len(&self) -> usize {
        self.codes.len()
    }
}
