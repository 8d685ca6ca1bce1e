//! Large values cut out of a message while it streams in.
//!
//! A [`Cutter`] takes the bytes of one message as they come. A run without separators longer than
//! its limit goes to the caller (who keeps it in a file), everything else becomes a skeleton that
//! [`crate::Message::parse_skeleton`] reads together with the [`Cut`]s. Runs are found by the
//! separators of MSH alone, so that only what lies within one subcomponent is ever cut, escapes
//! included. UTF-16 and UTF-32 are never cut.

use crate::delimiters::Delimiters;
use crate::message::wide;

/// The shortest run that is cut out unless configured otherwise.
pub const ATTACHMENT_MIN: usize = 256 << 10;

/// How far into a message MSH-1 and MSH-2 are looked for.
const HEADER_MAX: usize = 4_096;

/// A run that was cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where in the skeleton it belongs.
    pub at: usize,
    /// Its length in bytes.
    pub length: u64,
}

/// What remains of a message, and what was cut out of it, in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Skeleton {
    /// The bytes that remain.
    pub bytes: Vec<u8>,
    /// The cuts, ascending. Their bytes came out in this order, without anything between.
    pub cuts: Vec<Cut>,
}

impl std::fmt::Debug for Skeleton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Skeleton")
            .field("bytes", &self.bytes.len())
            .field("cuts", &self.cuts)
            .finish()
    }
}

/// What ends a run.
#[derive(Clone, Copy, Debug)]
struct Ends {
    field: u8,
    others: [u8; 5],
    /// LF ends a segment, as far as is known.
    line_feed: bool,
}

impl Ends {
    fn has(&self, byte: u8) -> bool {
        byte == self.field || self.others.contains(&byte) || (self.line_feed && byte == b'\n')
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// MSH-1 and MSH-2 have not come yet.
    Header,
    /// Bytes go to the skeleton; the run began here. The first run of a segment is its id, or
    /// junk, and stays.
    Text { run_start: usize, first: bool },
    /// Bytes go out, as part of the last cut.
    Cutting,
    /// Nothing is cut.
    Whole,
}

/// Separates the large values of one message from the rest.
#[derive(Debug)]
pub struct Cutter {
    attachment_min: usize,
    state: State,
    ends: Ends,
    /// The first CR has come and was the last byte so far.
    cr_pending: bool,
    /// Whether it is known how segments end.
    terminator_known: bool,
    skeleton: Skeleton,
    /// The last bytes of a run, which may turn out to be LF and a segment id.
    tail: Vec<u8>,
}

/// LF and a segment id.
const TAIL: usize = 4;

impl Cutter {
    /// A cutter at the start of a message.
    pub fn new(attachment_min: usize) -> Self {
        Self {
            attachment_min: attachment_min.max(TAIL),
            state: State::Header,
            ends: ends(&Delimiters::default()),
            cr_pending: false,
            terminator_known: false,
            skeleton: Skeleton::default(),
            tail: Vec::new(),
        }
    }

    /// How much of the message is held in memory.
    pub fn held(&self) -> usize {
        self.skeleton.bytes.len()
    }

    /// Takes the next bytes; what is cut out goes to `attachment`, in order.
    pub fn push(&mut self, chunk: &[u8], attachment: &mut dyn FnMut(&[u8])) {
        match self.state {
            State::Whole => self.skeleton.bytes.extend_from_slice(chunk),
            State::Text { .. } | State::Cutting => self.feed(chunk, attachment),
            State::Header => {
                self.skeleton.bytes.extend_from_slice(chunk);
                if let Some(state) = self.header() {
                    self.start(state, attachment);
                }
            }
        }
    }

    /// The message is complete.
    pub fn finish(mut self, attachment: &mut dyn FnMut(&[u8])) -> Skeleton {
        if self.state == State::Header {
            self.start(
                State::Text {
                    run_start: 0,
                    first: true,
                },
                attachment,
            );
        }
        if self.state == State::Cutting {
            self.end_cut(None, attachment);
        }
        self.skeleton
    }

    /// Goes over what came before the separators were known.
    fn start(&mut self, state: State, attachment: &mut dyn FnMut(&[u8])) {
        self.state = state;
        if state != State::Whole {
            let held = std::mem::take(&mut self.skeleton.bytes);
            self.feed(&held, attachment);
        }
    }

    /// The state to go on in, once the separators are known or cannot be.
    fn header(&mut self) -> Option<State> {
        let held = &self.skeleton.bytes;
        if held.len() >= 8 && wide(held.get(..8).unwrap_or_default()).is_some() {
            return Some(State::Whole);
        }
        let text = Some(State::Text {
            run_start: 0,
            first: true,
        });
        let start = held
            .windows(3)
            .position(|id| matches!(id, b"MSH" | b"FHS" | b"BHS" | b"msh"));
        let found = start.and_then(|start| {
            let (separator, rest) = held.get(start.saturating_add(3)..)?.split_first()?;
            let end = rest
                .iter()
                .position(|byte| byte == separator || *byte == b'\r')?;
            Some(Delimiters::read(*separator, rest.get(..end)?).0)
        });
        match found {
            Some(delimiters) => {
                self.ends = ends(&delimiters);
                text
            }
            None if held.len() >= HEADER_MAX => text,
            None => None,
        }
    }

    fn feed(&mut self, chunk: &[u8], attachment: &mut dyn FnMut(&[u8])) {
        let mut rest = chunk;
        while let Some(next) = rest.first() {
            self.learn_terminator(*next);
            let stop = rest.iter().position(|byte| self.ends.has(*byte));
            let (run, tail) = rest
                .split_at_checked(stop.unwrap_or(rest.len()))
                .unwrap_or((rest, &[]));
            self.run(run, attachment);
            let Some((end, tail)) = tail.split_first() else {
                return;
            };
            if self.state == State::Cutting {
                self.end_cut(Some(*end), attachment);
            }
            self.skeleton.bytes.push(*end);
            self.state = State::Text {
                run_start: self.skeleton.bytes.len(),
                first: matches!(*end, b'\r' | b'\n' | 0x1C),
            };
            self.cr_pending = *end == b'\r' && !self.terminator_known;
            self.terminator_known |= *end == b'\n';
            rest = tail;
        }
    }

    /// Once a lone CR has ended a segment, LF is data unless a segment follows.
    fn learn_terminator(&mut self, next: u8) {
        if std::mem::take(&mut self.cr_pending) {
            self.terminator_known = true;
            self.ends.line_feed = next == b'\n';
        }
    }

    /// Bytes of one run.
    fn run(&mut self, run: &[u8], attachment: &mut dyn FnMut(&[u8])) {
        if run.is_empty() {
            return;
        }
        if let State::Text { run_start, first } = self.state {
            self.skeleton.bytes.extend_from_slice(run);
            let length = self.skeleton.bytes.len().saturating_sub(run_start);
            if !first && length > self.attachment_min {
                let cut = self.skeleton.bytes.split_off(run_start);
                self.skeleton.cuts.push(Cut {
                    at: run_start,
                    length: 0,
                });
                self.state = State::Cutting;
                self.give(&cut, attachment);
            }
        } else {
            self.give(run, attachment);
        }
    }

    /// Gives out all but the last bytes.
    fn give(&mut self, bytes: &[u8], attachment: &mut dyn FnMut(&[u8])) {
        let keep = bytes.len().min(TAIL);
        let (now, later) = bytes
            .split_at_checked(bytes.len().saturating_sub(keep))
            .unwrap_or_default();
        let spare = self.tail.len().saturating_add(keep).saturating_sub(TAIL);
        let older: Vec<u8> = self.tail.drain(..spare.min(self.tail.len())).collect();
        self.out(&older, attachment);
        self.out(now, attachment);
        self.tail.extend_from_slice(later);
    }

    fn out(&mut self, bytes: &[u8], attachment: &mut dyn FnMut(&[u8])) {
        if let Some(cut) = self.skeleton.cuts.last_mut().filter(|_| !bytes.is_empty()) {
            cut.length = cut.length.saturating_add(bytes.len() as u64);
            attachment(bytes);
        }
    }

    /// The run is over; LF and a segment id at its end belong to the next segment.
    fn end_cut(&mut self, end: Option<u8>, attachment: &mut dyn FnMut(&[u8])) {
        let tail = std::mem::take(&mut self.tail);
        let segment = end == Some(self.ends.field)
            && matches!(tail.as_slice(), [b'\n', a, b, c]
                if a.is_ascii_uppercase() && b.is_ascii_alphanumeric() && c.is_ascii_alphanumeric());
        if segment {
            self.skeleton.bytes.extend_from_slice(&tail);
        } else {
            self.out(&tail, attachment);
        }
    }
}

fn ends(delimiters: &Delimiters) -> Ends {
    let Delimiters {
        field,
        component,
        repetition,
        subcomponent,
        ..
    } = *delimiters;
    // FS and VT never belong to a value; they may frame the message.
    Ends {
        field,
        others: [component, repetition, subcomponent, b'\r', 0x1C],
        line_feed: true,
    }
}
