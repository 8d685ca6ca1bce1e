//! The incremental decoder.

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::{
    CR, Commit, Deviation, END, Event, FRAME_BYTES_MAX, Frame, SKIPPED_KEPT_MAX, START, SkipReason,
    Skipped,
};

const LF: u8 = 0x0A;

/// How tolerant a decoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderOptions {
    /// The longest content of a frame.
    pub frame_bytes_max: u64,
    /// Take a message that begins with MSH, without VT, as a frame.
    pub start_byte: StartByte,
}

/// Whether frames need their VT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StartByte {
    /// As the standard has it.
    #[default]
    Required,
    /// MSH begins a frame as well.
    Optional,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self {
            frame_bytes_max: FRAME_BYTES_MAX,
            start_byte: StartByte::Required,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between frames; whether one has just ended, whose CR or LF may follow.
    Between { after_frame: bool },
    /// Within bytes that belong to nothing.
    Junk,
    /// Within a frame: content taken out so far, and where the search goes on.
    Inside { taken: u64, scan: usize },
    /// Within a frame that is too long.
    Dropping,
}

/// Cuts a byte stream into frames.
#[derive(Debug)]
pub struct Decoder {
    options: DecoderOptions,
    state: State,
    buf: BytesMut,
    junk_count: u64,
    junk_first: Vec<u8>,
    next: Option<Event>,
}

/// Where a search within a frame stopped.
enum Found {
    /// The content ends at `at`; `after` bytes of framing follow.
    End {
        at: usize,
        after: usize,
        deviation: Option<Deviation>,
    },
    /// Another frame begins at this VT.
    Start(usize),
    /// Nothing up to here; what follows cannot be decided yet.
    Undecided(usize),
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DecoderOptions::default())
    }
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(options: DecoderOptions) -> Self {
        Self {
            options,
            state: State::Between { after_frame: false },
            buf: BytesMut::new(),
            junk_count: 0,
            junk_first: Vec::new(),
            next: None,
        }
    }

    /// Takes bytes from the stream. Call [`Self::next_event`] until it gives none before the next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// The next event, `None` when more bytes are needed.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.next.take() {
                return Some(event);
            }
            let event = match self.state {
                State::Between { after_frame } => self.between(after_frame)?,
                State::Junk => self.junk()?,
                State::Inside { taken, scan } => self.inside(taken, scan)?,
                State::Dropping => self.dropping()?,
            };
            if event.is_some() {
                return event;
            }
        }
    }

    /// The stream has ended: what was left becomes events. The decoder is then as new.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events: Vec<Event> = std::iter::from_fn(|| self.next_event()).collect();
        events.extend(self.end_now());
        events.extend(self.next.take());
        if let State::Inside { taken, .. } = self.state {
            let first = self
                .buf
                .get(..self.buf.len().min(SKIPPED_KEPT_MAX))
                .unwrap_or_default();
            events.push(Event::Skipped(Skipped {
                reason: SkipReason::Unclosed,
                count: taken.saturating_add(self.buf.len() as u64),
                first: Bytes::copy_from_slice(first),
            }));
        } else if self.state != State::Dropping {
            self.keep_junk(self.buf.len());
            events.extend(self.take_junk());
        }
        *self = Self::new(self.options);
        events
    }

    /// The frame is complete but for the CR after its FS. A source that hears nothing more for a
    /// moment calls [`Self::end_now`].
    pub fn awaiting_end(&self) -> bool {
        matches!(self.state, State::Inside { .. } | State::Dropping)
            && self.buf.last() == Some(&END)
    }

    /// Ends a frame whose FS has come and whose CR has not.
    pub fn end_now(&mut self) -> Option<Event> {
        if !self.awaiting_end() {
            return None;
        }
        match self.state {
            State::Inside { taken, .. } => {
                let at = self.buf.len().saturating_sub(1);
                Some(self.end_frame(taken, at, 1, Some(Deviation::NoCr)))
            }
            State::Between { .. } | State::Junk | State::Dropping => {
                self.buf.clear();
                self.state = State::Between { after_frame: true };
                None
            }
        }
    }

    /// The content of the unfinished frame as far as it has come and was not taken.
    pub fn partial(&self) -> &[u8] {
        match self.state {
            State::Inside { scan, .. } => self.buf.get(..scan).unwrap_or_default(),
            State::Between { .. } | State::Junk | State::Dropping => &[],
        }
    }

    /// Takes the content of the unfinished frame out, so that a large body need not lie in
    /// memory; the frame then tells how much was taken.
    pub fn take_partial(&mut self) -> Bytes {
        match self.state {
            State::Inside { taken, scan } => {
                let out = self.buf.split_to(scan.min(self.buf.len())).freeze();
                let taken = taken.saturating_add(out.len() as u64);
                self.state = State::Inside { taken, scan: 0 };
                out
            }
            State::Between { .. } | State::Junk | State::Dropping => Bytes::new(),
        }
    }

    /// Drops the rest of the unfinished frame as it comes; the next frame is read again.
    pub fn drop_frame(&mut self) {
        if let State::Inside { .. } = self.state {
            self.state = State::Dropping;
        }
    }

    /// The rest of a frame is being dropped.
    pub fn is_dropping(&self) -> bool {
        self.state == State::Dropping
    }

    /// How many bytes that belong to nothing have come since the last frame.
    pub fn junk_count(&self) -> u64 {
        self.junk_count
    }

    /// The outer option is `None` when more bytes are needed.
    fn between(&mut self, after_frame: bool) -> Option<Option<Event>> {
        let first = *self.buf.first()?;
        let after = |after_frame| State::Between { after_frame };
        match first {
            START => {
                self.buf.advance(1);
                self.state = State::Inside { taken: 0, scan: 0 };
                Some(None)
            }
            CR if after_frame => {
                self.buf.advance(1);
                Some(None)
            }
            LF | END if after_frame => {
                self.buf.advance(1);
                self.state = after(true);
                let deviation = if first == LF {
                    Deviation::LineFeed
                } else {
                    Deviation::ExtraEnd
                };
                Some(Some(Event::Deviation(deviation)))
            }
            _ if self.options.start_byte == StartByte::Optional => match header_here(&self.buf) {
                Some(true) => {
                    self.state = State::Inside { taken: 0, scan: 0 };
                    Some(Some(Event::Deviation(Deviation::NoStart)))
                }
                Some(false) => {
                    self.state = State::Junk;
                    Some(None)
                }
                None => None,
            },
            _ => {
                self.state = State::Junk;
                Some(None)
            }
        }
    }

    fn junk(&mut self) -> Option<Option<Event>> {
        let stop = memchr(START, &self.buf);
        self.keep_junk(stop.unwrap_or(self.buf.len()));
        stop?;
        self.state = State::Between { after_frame: false };
        Some(self.take_junk())
    }

    /// Counts bytes off the buffer as junk.
    fn keep_junk(&mut self, count: usize) {
        let room = SKIPPED_KEPT_MAX.saturating_sub(self.junk_first.len());
        let kept = self.buf.get(..count.min(room)).unwrap_or_default();
        self.junk_first.extend_from_slice(kept);
        self.junk_count = self.junk_count.saturating_add(count as u64);
        self.buf.advance(count.min(self.buf.len()));
    }

    fn take_junk(&mut self) -> Option<Event> {
        let count = std::mem::take(&mut self.junk_count);
        let first = std::mem::take(&mut self.junk_first);
        (count > 0).then(|| {
            Event::Skipped(Skipped {
                reason: SkipReason::Unframed,
                count,
                first: Bytes::from(first),
            })
        })
    }

    fn inside(&mut self, taken: u64, scan: usize) -> Option<Option<Event>> {
        let limit = self.options.frame_bytes_max;
        let too_large = |at: usize| taken.saturating_add(at as u64) > limit;
        match search(&self.buf, scan) {
            Found::End { at, .. } | Found::Start(at) | Found::Undecided(at) if too_large(at) => {
                self.state = State::Dropping;
                // Of every split of the stream the same is kept.
                let over = limit.saturating_add(1);
                let own = usize::try_from(over.saturating_sub(taken)).unwrap_or(usize::MAX);
                let kept = at.min(own).min(SKIPPED_KEPT_MAX);
                Some(Some(Event::Skipped(Skipped {
                    reason: SkipReason::TooLarge,
                    count: over,
                    first: Bytes::copy_from_slice(self.buf.get(..kept).unwrap_or_default()),
                })))
            }
            Found::End {
                at,
                after,
                deviation,
            } => Some(Some(self.end_frame(taken, at, after, deviation))),
            Found::Start(at) => {
                let dropped = self.buf.split_to(at);
                self.buf.advance(1);
                self.state = State::Inside { taken: 0, scan: 0 };
                let kept = dropped.get(..at.min(SKIPPED_KEPT_MAX)).unwrap_or_default();
                Some(Some(Event::Skipped(Skipped {
                    reason: SkipReason::Unclosed,
                    count: taken.saturating_add(at as u64),
                    first: Bytes::copy_from_slice(kept),
                })))
            }
            Found::Undecided(at) => {
                self.state = State::Inside { taken, scan: at };
                None
            }
        }
    }

    fn dropping(&mut self) -> Option<Option<Event>> {
        match search(&self.buf, 0) {
            Found::End { at, after, .. } => {
                self.buf
                    .advance(at.saturating_add(after).min(self.buf.len()));
                self.state = State::Between { after_frame: true };
                Some(None)
            }
            Found::Start(at) => {
                self.buf.advance(at);
                self.state = State::Between { after_frame: false };
                Some(None)
            }
            Found::Undecided(at) => {
                self.buf.advance(at);
                None
            }
        }
    }

    fn end_frame(
        &mut self,
        taken: u64,
        at: usize,
        after: usize,
        deviation: Option<Deviation>,
    ) -> Event {
        let bytes = self.buf.split_to(at).freeze();
        self.buf.advance(after.min(self.buf.len()));
        self.state = State::Between { after_frame: true };
        self.next = deviation.map(Event::Deviation);
        match (taken, bytes.as_ref()) {
            (0, [0x06]) => Event::Commit(Commit::Ack),
            (0, [0x15]) => Event::Commit(Commit::Nak),
            _ => Event::Frame(Frame { bytes, taken }),
        }
    }
}

/// Looks for the end of a frame, or the start of another, from `scan` on.
fn search(buf: &[u8], scan: usize) -> Found {
    let mut from = scan;
    loop {
        let rest = buf.get(from..).unwrap_or_default();
        let Some(at) = memchr2(START, END, rest).map(|at| from.saturating_add(at)) else {
            return Found::Undecided(buf.len());
        };
        let after = buf.get(at.saturating_add(1)..).unwrap_or_default();
        let end = |after, deviation| Found::End {
            at,
            after,
            deviation,
        };
        if buf.get(at) == Some(&START) {
            match header_here(after) {
                Some(true) => return Found::Start(at),
                Some(false) => {}
                None => return Found::Undecided(at),
            }
        } else {
            match after.first() {
                None => return Found::Undecided(at),
                Some(&CR) => return end(2, None),
                // The extra FS is reported when it is skipped.
                Some(&END) => return end(1, None),
                Some(&(START | LF)) => return end(1, Some(Deviation::NoCr)),
                Some(_) => {}
            }
        }
        from = at.saturating_add(1);
    }
}

/// Whether a header segment begins here; `None` where too few bytes have come to tell.
fn header_here(bytes: &[u8]) -> Option<bool> {
    let start = bytes.get(..bytes.len().min(3)).unwrap_or_default();
    let fits = [b"MSH", b"FHS", b"BHS"]
        .iter()
        .any(|id| id.starts_with(start));
    match (fits, start.len()) {
        (false, _) => Some(false),
        (true, 3) => Some(true),
        (true, _) => None,
    }
}
