//! Reads the committed table into the structures of this module.
//!
//! The layout, written by `xtask/src/codegen/fhir/tables.py`: magic, the string pool, then lists of
//! records; numbers are unsigned LEB128, a string is its number in the pool, zero the empty one.

use super::element::NOTHING as NO_ELEMENT;
use super::names::NameIndex;
use super::{
    Binding, BindingStrength, Compartment, CompartmentMember, Concept, Definitions, ElementDef,
    ElementId, Invariant, InvariantId, KnownTypes, Operation, PrimitiveKind, SearchComponent,
    SearchParamDef, SearchParamDefId, SearchParamKind, TypeDef, TypeId, TypeKind, TypeUse,
    ValueSetDef,
};

static DATA: &[u8] = include_bytes!("../generated/r4.bin");
const MAGIC: &[u8; 4] = b"HLF1";
const TYPE_URLS: &str = "http://hl7.org/fhir/StructureDefinition/";

/// The tables of R4.
#[expect(
    clippy::expect_used,
    reason = "the table is part of the program; a test decodes it"
)]
pub(super) fn r4() -> Definitions {
    decode(DATA).expect("the committed table of FHIR R4 is whole")
}

/// `None` where the bytes are not a table.
pub(super) fn decode(data: &'static [u8]) -> Option<Definitions> {
    let mut reader = Reader::new(data)?;
    let types = reader.list(Reader::type_def)?;
    let mut elements = reader.list(Reader::element)?;
    name_paths(&mut elements)?;
    let invariants = reader.list(Reader::invariant)?;
    let value_sets = reader.list(Reader::value_set)?;
    let mut search_params = reader.list(Reader::search_param)?;
    for (at, param) in search_params.iter_mut().enumerate() {
        param.id = SearchParamDefId(u16::try_from(at).ok()?);
    }
    let compartments = reader.list(Reader::compartment)?;
    let operations = reader.list(Reader::operation)?;
    if !reader.at_end() {
        return None;
    }
    let names = NameIndex::new(&types, &elements);
    let known = known(&types)?;
    Some(Definitions {
        types,
        elements,
        invariants,
        value_sets,
        search_params,
        compartments,
        operations,
        names,
        known,
    })
}

fn known(types: &[TypeDef]) -> Option<KnownTypes> {
    let named = |name: &str| {
        types
            .iter()
            .position(|def| def.name == name)
            .map(TypeId::at)
    };
    Some(KnownTypes {
        resource: named("Resource")?,
        domain_resource: named("DomainResource")?,
        element: named("Element")?,
        backbone_element: named("BackboneElement")?,
        extension: named("Extension")?,
        reference: named("Reference")?,
        bundle: named("Bundle")?,
        coding: named("Coding")?,
        attachment: named("Attachment")?,
        narrative: named("Narrative")?,
        string: named("string")?,
        id: named("id")?,
    })
}

/// Paths are not in the table: they follow from names and parents, which come before their children.
fn name_paths(elements: &mut [ElementDef]) -> Option<()> {
    let mut text = String::with_capacity(elements.len() * 36);
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        let start = text.len();
        if let Some(parent) = element.parent {
            text.extend_from_within(ranges.get(parent.index())?.clone());
            text.push('.');
        }
        text.push_str(element.name);
        if element.choice {
            text.push_str("[x]");
        }
        ranges.push(start..text.len());
    }
    // The tables live as long as the program.
    let text: &'static str = text.leak();
    for (element, range) in elements.iter_mut().zip(ranges) {
        element.path = text.get(range)?;
    }
    Some(())
}

struct Reader {
    strings: Vec<&'static str>,
    rest: std::slice::Iter<'static, u8>,
}

impl Reader {
    fn new(data: &'static [u8]) -> Option<Self> {
        let mut reader = Self {
            strings: Vec::new(),
            rest: data.strip_prefix(MAGIC)?.iter(),
        };
        let count = reader.number()?;
        let lengths = (0..count).map(|_| reader.number());
        let lengths: Vec<usize> = lengths.collect::<Option<_>>()?;
        let (pool, rest) = reader
            .rest
            .as_slice()
            .split_at_checked(lengths.iter().sum())?;
        let pool = std::str::from_utf8(pool).ok()?;
        reader.rest = rest.iter();
        let mut start = 0;
        reader.strings.reserve(lengths.len());
        for length in lengths {
            reader.strings.push(pool.get(start..start + length)?);
            start += length;
        }
        Some(reader)
    }

    fn at_end(&self) -> bool {
        self.rest.as_slice().is_empty()
    }

    fn number(&mut self) -> Option<usize> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = *self.rest.next()?;
            value |= usize::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
            shift += 7;
        }
    }

    fn short(&mut self) -> Option<u16> {
        u16::try_from(self.number()?).ok()
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.number()? != 0)
    }

    fn string(&mut self) -> Option<&'static str> {
        let number = self.number()?;
        self.strings.get(number).copied()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        let mut items = Vec::with_capacity(count.min(DATA.len()));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }

    fn type_id(&mut self) -> Option<TypeId> {
        Some(TypeId(self.short()?))
    }

    /// Zero is none, so numbers are one higher.
    fn optional_short(&mut self) -> Option<Option<u16>> {
        Some(self.short()?.checked_sub(1))
    }

    fn type_def(&mut self) -> Option<TypeDef> {
        let url = self.string()?;
        let name = url.strip_prefix(TYPE_URLS)?;
        let kind = match self.number()? {
            0 => TypeKind::Primitive(PrimitiveKind::named(name)?),
            1 => TypeKind::Complex,
            2 => TypeKind::Resource,
            _ => return None,
        };
        Some(TypeDef {
            name,
            kind,
            base: self.optional_short()?.map(TypeId),
            is_abstract: self.flag()?,
            root: ElementId(self.short()?),
            url,
        })
    }

    fn element(&mut self) -> Option<ElementDef> {
        let name = self.string()?;
        let flags = self.number()?;
        let bit = |at: u32| flags >> at & 1 == 1;
        let min = u32::from(self.short()?);
        let max = self.number()?;
        let parent = self.optional_short()?.map(ElementId);
        let first = self.short()?;
        let last = first.checked_add(self.short()?)?;
        let choice = bit(0);
        let types = self.list(|reader| reader.type_use(choice, name))?;
        Some(ElementDef {
            name,
            min,
            max: u32::try_from(max).ok()?.checked_sub(1).unwrap_or(u32::MAX),
            choice,
            types,
            content: self.optional_short()?.map(ElementId),
            parent,
            binding: if bit(4) { Some(self.binding()?) } else { None },
            invariants: self.list(|reader| Some(InvariantId(reader.short()?)))?,
            is_summary: bit(1),
            is_modifier: bit(2),
            xml_attribute: bit(3),
            max_length: u32::try_from(self.number()?).ok().filter(|max| *max > 0),
            children: (first, last),
            ..NO_ELEMENT
        })
    }

    fn type_use(&mut self, choice: bool, name: &'static str) -> Option<TypeUse> {
        Some(TypeUse {
            ty: self.type_id()?,
            json_name: if choice { self.string()? } else { name },
            targets: self.list(Self::type_id)?,
            profiles: self.list(Self::string)?,
        })
    }

    fn binding(&mut self) -> Option<Binding> {
        let strength = match self.number()? {
            0 => BindingStrength::Example,
            1 => BindingStrength::Preferred,
            2 => BindingStrength::Extensible,
            3 => BindingStrength::Required,
            _ => return None,
        };
        let value_set = self.string()?;
        Some(Binding {
            strength,
            value_set,
        })
    }

    fn invariant(&mut self) -> Option<Invariant> {
        Some(Invariant {
            key: self.string()?,
            human: self.string()?,
            expression: self.string()?,
            warning: self.flag()?,
            best_practice: self.flag()?,
        })
    }

    fn value_set(&mut self) -> Option<ValueSetDef> {
        Some(ValueSetDef {
            url: self.string()?,
            concepts: self.list(|reader| {
                Some(Concept {
                    code: reader.string()?,
                    system: reader.string()?,
                    display: reader.string()?,
                })
            })?,
            open_systems: self.list(Self::string)?,
            open: self.flag()?,
        })
    }

    fn search_param(&mut self) -> Option<SearchParamDef> {
        Some(SearchParamDef {
            id: SearchParamDefId(0),
            code: self.string()?,
            url: self.string()?,
            kind: *SearchParamKind::ALL.get(self.number()?)?,
            resource: self.type_id()?,
            expression: self.string()?,
            targets: self.list(Self::type_id)?,
            components: self.list(|reader| {
                Some(SearchComponent {
                    param: SearchParamDefId(reader.short()?),
                    expression: reader.string()?,
                })
            })?,
            phonetic: self.flag()?,
        })
    }

    fn compartment(&mut self) -> Option<Compartment> {
        Some(Compartment {
            resource: self.type_id()?,
            members: self.list(|reader| {
                Some(CompartmentMember {
                    resource: reader.type_id()?,
                    params: reader.list(Self::string)?,
                })
            })?,
        })
    }

    fn operation(&mut self) -> Option<Operation> {
        Some(Operation {
            code: self.string()?,
            url: self.string()?,
            resources: self.list(Self::type_id)?,
            system: self.flag()?,
            on_type: self.flag()?,
            instance: self.flag()?,
            affects_state: self.flag()?,
        })
    }
}
