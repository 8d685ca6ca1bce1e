//! When each element of a version was so. It lies beside the version in the store, small, because most
//! versions say everything at one time.

use bytes::Bytes;
use hilum_fhir_store::Body;
use hilum_message::SourceTime;

/// The form that is written.
const FORM: u8 = 1;

/// The version came late: something newer was there in everything.
const LATE: u8 = 1;
/// The version is the one before a late one, once more.
const AGAIN: u8 = 2;
/// It was made because nothing was there, by a source that does not keep such resources.
const GAP: u8 = 4;
/// There is a time of what has none of its own.
const REST: u8 = 8;
/// There is a time of what is absent.
const BASE: u8 = 16;

/// An element with a time of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    /// `name`, `period.end`; absent in the resource, it was deleted then.
    pub(crate) name: String,
    /// Its place in the list, of what is told apart there.
    pub(crate) place: Option<u16>,
    pub(crate) time: SourceTime,
}

/// The times of the elements of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// A source that only fills gaps made it: who keeps such resources replaces it whole.
    pub(crate) gap: bool,
    /// Of what is there and has no time of its own.
    pub(crate) rest: Option<SourceTime>,
    /// Of what is not there and has no time of its own.
    pub(crate) base: Option<SourceTime>,
    pub(crate) own: Vec<Own>,
}

impl Times {
    /// Everything that is there was so at one time.
    pub(crate) fn all(time: SourceTime) -> Self {
        Self {
            rest: Some(time),
            ..Self::default()
        }
    }

    /// Made because nothing was there.
    pub(crate) fn gap(time: SourceTime) -> Self {
        Self {
            gap: true,
            ..Self::all(time)
        }
    }

    /// Of a stored version. One that an application wrote says everything when it came, also that
    /// the rest is absent.
    pub(crate) fn of(body: &Body, updated_ms: i64) -> Self {
        let arrived = || {
            let time = SourceTime::new(updated_ms, updated_ms);
            Self {
                rest: Some(time),
                base: Some(time),
                ..Self::default()
            }
        };
        read(&body.beside).unwrap_or_else(arrived)
    }

    /// The latest time that an element has by its name, or by that of what it is in.
    pub(crate) fn named(&self, name: &str, place: Option<u16>) -> Option<SourceTime> {
        let own = self.own.iter();
        own.filter(|own| own.name == name && own.place == place)
            .map(|own| own.time)
            .max()
    }

    /// As it stands beside a version.
    pub(crate) fn write(&self) -> Bytes {
        self.written(0)
    }

    /// The same, beside the repeated version.
    pub(crate) fn write_again(&self) -> Bytes {
        self.written(AGAIN)
    }

    fn written(&self, flags: u8) -> Bytes {
        let mut out = Vec::with_capacity(64);
        let set = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flags
            | set(self.gap, GAP)
            | set(self.rest.is_some(), REST)
            | set(self.base.is_some(), BASE);
        out.extend([FORM, flags]);
        for time in self.rest.iter().chain(&self.base) {
            push(time, &mut out);
        }
        for own in &self.own {
            let name = own.name.as_bytes();
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend(name.iter().take(usize::from(u8::MAX)));
            out.extend(own.place.unwrap_or(u16::MAX).to_le_bytes());
            push(&own.time, &mut out);
        }
        out.into()
    }
}

/// What stands beside a version that came late.
pub(crate) fn late() -> Bytes {
    Bytes::from_static(&[FORM, LATE])
}

/// Whether a version changes nothing.
pub(crate) fn is_quiet(beside: &[u8]) -> bool {
    matches!(beside, [FORM, flags, ..] if flags & (LATE | AGAIN) != 0)
}

fn push(time: &SourceTime, out: &mut Vec<u8>) {
    out.extend(time.at_ms.to_le_bytes());
    out.extend(time.sent_ms.to_le_bytes());
    out.extend(time.sequence.to_le_bytes());
}

fn pull(bytes: &[u8]) -> Option<(SourceTime, &[u8])> {
    let (at_ms, bytes) = bytes.split_first_chunk()?;
    let (sent_ms, bytes) = bytes.split_first_chunk()?;
    let (sequence, bytes) = bytes.split_first_chunk()?;
    let time = SourceTime {
        at_ms: i64::from_le_bytes(*at_ms),
        sent_ms: i64::from_le_bytes(*sent_ms),
        sequence: u64::from_le_bytes(*sequence),
    };
    Some((time, bytes))
}

/// `None` of what no hub wrote, or an application.
fn read(bytes: &[u8]) -> Option<Times> {
    let [FORM, flags, bytes @ ..] = bytes else {
        return None;
    };
    let mut rest = bytes;
    let mut next = |flag: u8| {
        if flags & flag == 0 {
            return Some(None);
        }
        let (time, behind) = pull(rest)?;
        rest = behind;
        Some(Some(time))
    };
    let mut times = Times {
        gap: flags & GAP != 0,
        rest: next(REST)?,
        base: next(BASE)?,
        own: Vec::new(),
    };
    while let Some((length, behind)) = rest.split_first() {
        let (name, behind) = behind.split_at_checked(usize::from(*length))?;
        let (place, behind) = behind.split_first_chunk()?;
        let place = u16::from_le_bytes(*place);
        let (time, behind) = pull(behind)?;
        times.own.push(Own {
            name: std::str::from_utf8(name).ok()?.to_owned(),
            place: (place != u16::MAX).then_some(place),
            time,
        });
        rest = behind;
    }
    Some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_were_written() {
        let time = |at_ms| SourceTime::new(at_ms, 2);
        let own = Own {
            name: "period.end".to_owned(),
            place: None,
            time: time(3),
        };
        let item = Own {
            name: "identifier".to_owned(),
            place: Some(1),
            time: time(4),
        };
        for times in [
            Times::default(),
            Times::all(time(1)),
            Times::gap(time(1)),
            Times {
                base: Some(time(9)),
                own: vec![own, item],
                ..Times::all(time(1))
            },
        ] {
            assert_eq!(read(&times.write()), Some(times.clone()));
            assert!(!is_quiet(&times.write()) && is_quiet(&times.write_again()));
            assert_eq!(read(&times.write_again()), Some(times));
        }
        assert!(is_quiet(&late()));
        assert_eq!(read(b""), None);
        let written = Times::all(time(1)).write();
        assert_eq!(read(&written[..7]), None);
    }
}
