//! A segment in the making: values at places, in any order, written in theirs.

/// A place within a segment; component and subcomponent 0 are the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) field: u16,
    /// From 1.
    pub(super) repetition: u16,
    pub(super) component: u16,
    pub(super) subcomponent: u16,
}

impl Spot {
    /// The first leaf of the place, where a value without parts stands.
    const fn leaf(self) -> Self {
        const fn first(n: u16) -> u16 {
            if n == 0 { 1 } else { n }
        }
        Self {
            field: self.field,
            repetition: first(self.repetition),
            component: first(self.component),
            subcomponent: first(self.subcomponent),
        }
    }

    /// A part of the place; `None` below subcomponents, where v2 has no separator left.
    pub(super) const fn part(self, component: u16, subcomponent: u16) -> Option<Self> {
        if self.component == 0 {
            return Some(Self {
                component,
                subcomponent,
                ..self
            });
        }
        if self.subcomponent == 0 {
            if subcomponent > 1 {
                return None;
            }
            return Some(Self {
                subcomponent: component,
                ..self
            });
        }
        if component == 1 && subcomponent < 2 {
            return Some(self);
        }
        None
    }

    /// Whether `leaf` lies in this place.
    const fn holds(self, leaf: Self) -> bool {
        const fn fits(of: u16, n: u16) -> bool {
            of == 0 || of == n
        }
        self.field == leaf.field
            && fits(self.repetition, leaf.repetition)
            && fits(self.component, leaf.component)
            && fits(self.subcomponent, leaf.subcomponent)
    }
}

/// The values of one segment; used again for the next.
#[derive(Debug, Default)]
pub(super) struct Draft {
    slots: Vec<(Spot, u32, u32)>,
    text: String,
}

impl Draft {
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.text.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether something was written at a place.
    pub(super) fn is_valued(&self, spot: Spot) -> bool {
        self.slots.iter().any(|(leaf, ..)| spot.holds(*leaf))
    }

    /// What was written at a place, as it goes into the message.
    pub(super) fn text(&self, spot: Spot) -> &str {
        let mut own = self.slots.iter().filter(|(leaf, ..)| spot.holds(*leaf));
        own.next()
            .and_then(|(_, from, to)| self.text.get(*from as usize..*to as usize))
            .unwrap_or_default()
    }

    /// The next repetition of a field.
    pub(super) fn next_repetition(&self, field: u16) -> u16 {
        let used = self.slots.iter().filter(|(spot, ..)| spot.field == field);
        used.map(|(spot, ..)| spot.repetition).max().unwrap_or(0) + 1
    }

    /// Writes a value, unless its place is taken or there is nothing to write.
    pub(super) fn put(&mut self, spot: Spot, value: impl FnOnce(&mut String)) -> bool {
        let leaf = spot.leaf();
        if self.is_valued(leaf) {
            return false;
        }
        let start = self.text.len();
        value(&mut self.text);
        if self.text.len() == start {
            return false;
        }
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.slots
            .push((leaf, narrow(start), narrow(self.text.len())));
        true
    }

    /// Writes the segment with the delimiters `|^~\&` and its end.
    pub(super) fn write(&mut self, name: [u8; 3], out: &mut String) {
        self.slots.sort_unstable();
        let start = out.len();
        out.extend(name.iter().map(|byte| char::from(*byte)));
        let mut at = Spot {
            field: 0,
            repetition: 1,
            component: 1,
            subcomponent: 1,
        };
        if &name == b"MSH" {
            out.push_str("|^~\\&");
            at.field = 2;
        }
        for (spot, from, to) in &self.slots {
            if spot.field <= at.field && (spot.field < at.field || *spot < at) {
                continue;
            }
            if spot.field != at.field {
                repeat(out, '|', spot.field - at.field);
                (at.repetition, at.component, at.subcomponent) = (1, 1, 1);
            }
            if spot.repetition != at.repetition {
                repeat(out, '~', spot.repetition - at.repetition);
                (at.component, at.subcomponent) = (1, 1);
            }
            if spot.component != at.component {
                repeat(out, '^', spot.component - at.component);
                at.subcomponent = 1;
            }
            repeat(out, '&', spot.subcomponent - at.subcomponent);
            let value = self.text.get(*from as usize..*to as usize);
            out.push_str(value.unwrap_or_default());
            at = *spot;
        }
        if out.len() == start + 3 {
            out.push('|');
        }
        out.push('\r');
    }
}

fn repeat(out: &mut String, c: char, count: u16) {
    out.extend(std::iter::repeat_n(c, usize::from(count)));
}

/// Appends text as a value of v2 (HL7 v2.5.1 §2.7): delimiters and controls as escape sequences,
/// line ends as `\.br\`.
pub(super) fn escape(text: &str, out: &mut String) {
    let special =
        |byte: u8| byte < 0x20 || matches!(byte, b'|' | b'^' | b'~' | b'\\' | b'&' | 0x7f);
    if !text.bytes().any(special) {
        out.push_str(text);
        return;
    }
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '|' => out.push_str("\\F\\"),
            '^' => out.push_str("\\S\\"),
            '~' => out.push_str("\\R\\"),
            '\\' => out.push_str("\\E\\"),
            '&' => out.push_str("\\T\\"),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => out.push_str("\\.br\\"),
            '\t' => out.push('\t'),
            c if u32::from(c) < 0x20 || c == '\x7f' => {
                const DIGITS: [char; 16] = [
                    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
                ];
                let digit = |n: u32| DIGITS.get(n as usize).copied().unwrap_or('0');
                out.push_str("\\X");
                out.push(digit(u32::from(c) >> 4));
                out.push(digit(u32::from(c) & 15));
                out.push('\\');
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(field: u16, repetition: u16, component: u16, subcomponent: u16) -> Spot {
        Spot {
            field,
            repetition,
            component,
            subcomponent,
        }
    }

    #[test]
    fn values_stand_in_the_order_of_their_places() {
        let mut draft = Draft::default();
        for (spot, text) in [
            (at(5, 1, 2, 0), "Ann"),
            (at(3, 2, 1, 0), "B"),
            (at(3, 1, 4, 2), "1.2"),
            (at(3, 1, 0, 0), "A|"),
            (at(5, 1, 1, 1), "M&S"),
        ] {
            assert!(draft.put(spot, |out| escape(text, out)));
        }
        assert!(!draft.put(at(5, 1, 1, 0), |out| escape("again", out)));
        let mut out = String::new();
        draft.write(*b"PID", &mut out);
        assert_eq!(out, "PID|||A\\F\\^^^&1.2~B||M\\T\\S^Ann\r");
    }

    #[test]
    fn nothing_breaks_out_of_its_place() {
        let mut out = String::new();
        escape("a\r\nb\nc\\d\x0be^~&|\tf", &mut out);
        assert_eq!(
            out,
            "a\\.br\\b\\.br\\c\\E\\d\\X0B\\e\\S\\\\R\\\\T\\\\F\\\tf"
        );
    }
}
