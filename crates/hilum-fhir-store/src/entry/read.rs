//! Reading a packing without copying it.

use super::kind;

/// The rows of a packing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rows<'a>(pub(crate) &'a [u8]);

/// One value, hashed and folded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Token {
        code: i64,
        system: i64,
        shown: &'a str,
    },
    TokenText(&'a str),
    OfType {
        key: i64,
        system: i64,
    },
    String {
        exact: i64,
        folded: &'a str,
    },
    /// Both ends included.
    Date {
        low: i64,
        high: i64,
    },
    /// Both ends included, as ordinals.
    Number {
        low: i64,
        high: i64,
    },
    Quantity {
        low: i64,
        high: i64,
        code: i64,
        name: i64,
        /// Unit and both ends in it.
        canonical: Option<(i64, i64, i64)>,
    },
    Reference(i64),
    ReferenceUrl {
        url: i64,
        versioned: Option<i64>,
    },
    ReferenceIdentifier {
        code: i64,
        system: i64,
    },
    Uri(&'a str),
    Composite(Parts<'a>),
    Contained {
        /// As references within the resource name it.
        local: i64,
        /// By type and id.
        token: i64,
        rows: Rows<'a>,
    },
}

/// The components of a composite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parts<'a>(&'a [u8]);

impl<'a> Rows<'a> {
    /// All rows.
    pub(crate) fn iter(self) -> impl Iterator<Item = (u32, Cell<'a>)> {
        let mut rest = Bytes(self.0);
        std::iter::from_fn(move || {
            let param = u32::try_from(rest.varint()?).ok()?;
            Some((param, rest.cell()?))
        })
    }

    /// The values of one parameter; the others are stepped over without being read.
    pub(crate) fn of(self, param: u32) -> impl Iterator<Item = Cell<'a>> {
        let mut rest = Bytes(self.0);
        std::iter::from_fn(move || {
            loop {
                let found = u32::try_from(rest.varint()?).ok()?;
                if found > param {
                    return None;
                }
                if found == param {
                    return rest.cell();
                }
                rest.skip_cell()?;
            }
        })
    }
}

impl<'a> Parts<'a> {
    /// The values of each component, in order.
    pub(crate) fn iter(self) -> impl Iterator<Item = Values<'a>> {
        let mut rest = Bytes(self.0);
        let count = rest.varint().unwrap_or(0);
        (0..count).map_while(move |_| {
            let len = usize::try_from(rest.varint()?).ok()?;
            Some(Values(rest.take(len)?))
        })
    }
}

/// The values of one component.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    pub(crate) fn iter(self) -> impl Iterator<Item = Cell<'a>> {
        let mut rest = Bytes(self.0);
        std::iter::from_fn(move || rest.cell())
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn long(&mut self) -> Option<i64> {
        let (taken, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(i64::from_le_bytes(*taken))
    }

    fn short(&mut self) -> Option<i64> {
        let (taken, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(i64::from(u32::from_le_bytes(*taken)))
    }

    fn interval(&mut self) -> Option<(i64, i64)> {
        let low = self.long()?;
        let length = self.varint()?;
        Some((low, low.wrapping_add(length.cast_signed())))
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(std::mem::take(&mut self.0)).ok()
    }

    fn skip_cell(&mut self) -> Option<()> {
        self.take(1)?;
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len).map(drop)
    }

    fn cell(&mut self) -> Option<Cell<'a>> {
        let (kind, rest) = self.0.split_first()?;
        self.0 = rest;
        let len = usize::try_from(self.varint()?).ok()?;
        let mut body = Self(self.take(len)?);
        Some(match *kind {
            kind::TOKEN => Cell::Token {
                code: body.long()?,
                system: body.short()?,
                shown: body.text()?,
            },
            kind::TOKEN_TEXT => Cell::TokenText(body.text()?),
            kind::OF_TYPE => Cell::OfType {
                key: body.long()?,
                system: body.short()?,
            },
            kind::STRING => Cell::String {
                exact: body.short()?,
                folded: body.text()?,
            },
            kind::DATE => {
                let (low, high) = body.interval()?;
                Cell::Date { low, high }
            }
            kind::NUMBER => {
                let (low, high) = body.interval()?;
                Cell::Number { low, high }
            }
            kind::QUANTITY => {
                let (low, high) = body.interval()?;
                Cell::Quantity {
                    low,
                    high,
                    code: body.long()?,
                    name: body.long()?,
                    canonical: body.long().and_then(|unit| {
                        let (low, high) = body.interval()?;
                        Some((unit, low, high))
                    }),
                }
            }
            kind::REFERENCE => Cell::Reference(body.long()?),
            kind::REFERENCE_URL => Cell::ReferenceUrl {
                url: body.long()?,
                versioned: body.long(),
            },
            kind::REFERENCE_IDENTIFIER => Cell::ReferenceIdentifier {
                code: body.long()?,
                system: body.short()?,
            },
            kind::URI => Cell::Uri(body.text()?),
            kind::COMPOSITE => Cell::Composite(Parts(body.0)),
            kind::CONTAINED => Cell::Contained {
                local: body.long()?,
                token: body.long()?,
                rows: Rows(body.0),
            },
            _ => return None,
        })
    }
}
