//! The small packed forms inside rows: lists that are always read and written whole.
//!
//! Integers are LEB128, runs of bytes carry their length first. A reader that meets anything else
//! says so instead of guessing.

use std::hash::Hasher;
use std::sync::Arc;

use hilum_message::{BlobRange, BlobRef, Cut, IndexToken, Metadata, OrderKey};
use siphasher::sip::SipHasher13;

use crate::model::{Hold, MessageFinding, OrderKeys, Resend, Severity, StateRead, Token};

/// Keys of the row checksum. Not secret: it finds damage, not forgery.
const SUM_KEYS: (u64, u64) = (0x6869_6c75_6d2d_6a6f, 0x7572_6e61_6c2d_7375);

/// The checksum of a row's parts.
pub(crate) fn sum(parts: &[&[u8]]) -> i64 {
    let mut hasher = SipHasher13::new_with_keys(SUM_KEYS.0, SUM_KEYS.1);
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish().cast_signed()
}

pub(crate) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads packed forms; every method returns `None` at what is not one.
pub(crate) struct Unpack<'a>(pub(crate) &'a [u8]);

impl<'a> Unpack<'a> {
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.u64()?).ok()?;
        self.take(count)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(crate) fn pack_metadata(metadata: &Metadata) -> Option<Vec<u8>> {
    if metadata.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(64);
    for (name, value) in metadata.iter() {
        put_bytes(&mut out, name.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    Some(out)
}

pub(crate) fn unpack_metadata(bytes: &[u8]) -> Option<Metadata> {
    let mut from = Unpack(bytes);
    let mut metadata = Metadata::new();
    while !from.is_empty() {
        let name = from.text()?;
        metadata.set(name, from.text()?);
    }
    Some(metadata)
}

pub(crate) fn pack_tokens(tokens: &[Token]) -> Option<Vec<u8>> {
    if tokens.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(tokens.len() * 10);
    for token in tokens {
        out.extend_from_slice(&token.kind.to_le_bytes());
        out.extend_from_slice(&token.value.0.to_le_bytes());
    }
    Some(out)
}

pub(crate) fn unpack_tokens(bytes: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::with_capacity(bytes.len() / 10);
    let mut from = Unpack(bytes);
    while !from.is_empty() {
        let kind = u16::from_le_bytes(from.take(2)?.try_into().ok()?);
        let value = i64::from_le_bytes(from.take(8)?.try_into().ok()?);
        let value = IndexToken(value);
        tokens.push(Token { kind, value });
    }
    Some(tokens)
}

pub(crate) fn pack_keys(keys: &[OrderKey]) -> Option<Vec<u8>> {
    (!keys.is_empty()).then(|| keys.iter().flat_map(|key| key.0.to_le_bytes()).collect())
}

pub(crate) fn unpack_keys(bytes: &[u8]) -> Option<OrderKeys> {
    let mut keys = OrderKeys::new();
    let mut from = Unpack(bytes);
    while !from.is_empty() {
        let key = u64::from_le_bytes(from.take(8)?.try_into().ok()?);
        keys.push(OrderKey(key));
    }
    Some(keys)
}

pub(crate) fn pack_reads(reads: &[StateRead]) -> Option<Vec<u8>> {
    if reads.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    for read in reads {
        put_bytes(&mut out, read.scope.as_bytes());
        put_bytes(&mut out, read.key.as_bytes());
        put_u64(&mut out, read.version);
    }
    Some(out)
}

pub(crate) fn unpack_reads(bytes: &[u8]) -> Option<Vec<StateRead>> {
    let mut reads = Vec::new();
    let mut from = Unpack(bytes);
    while !from.is_empty() {
        reads.push(StateRead {
            scope: from.text()?.into(),
            key: from.text()?.into(),
            version: from.u64()?,
        });
    }
    Some(reads)
}

pub(crate) fn pack_findings(findings: &[MessageFinding]) -> Option<Vec<u8>> {
    if findings.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(findings.len() * 24);
    for finding in findings {
        out.push(finding.severity as u8);
        put_bytes(&mut out, finding.step.as_bytes());
        put_bytes(&mut out, finding.code.as_bytes());
        put_bytes(
            &mut out,
            finding.path.as_deref().unwrap_or_default().as_bytes(),
        );
    }
    Some(out)
}

pub(crate) fn unpack_findings(bytes: &[u8]) -> Option<Vec<MessageFinding>> {
    let mut findings = Vec::new();
    let mut from = Unpack(bytes);
    while !from.is_empty() {
        let &[severity] = from.take(1)? else {
            return None;
        };
        findings.push(MessageFinding {
            severity: Severity::from_code(severity)?,
            step: from.text()?.into(),
            code: from.text()?.into(),
            path: Some(from.text()?)
                .filter(|path| !path.is_empty())
                .map(Into::into),
        });
    }
    Some(findings)
}

pub(crate) fn pack_cuts(cuts: &[Cut]) -> Option<Vec<u8>> {
    if cuts.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    for cut in cuts {
        put_u64(&mut out, cut.at as u64);
        put_bytes(&mut out, cut.range.blob.name.as_bytes());
        put_u64(&mut out, cut.range.offset);
        put_u64(&mut out, cut.range.length);
    }
    Some(out)
}

/// The partition is the one that the row lies in.
pub(crate) fn unpack_cuts(bytes: &[u8], partition: &Arc<str>) -> Option<Vec<Cut>> {
    let mut cuts = Vec::new();
    let mut from = Unpack(bytes);
    while !from.is_empty() {
        let at = usize::try_from(from.u64()?).ok()?;
        let blob = BlobRef {
            partition: partition.clone(),
            name: from.text()?.into(),
        };
        let (offset, length) = (from.u64()?, from.u64()?);
        let range = BlobRange {
            blob,
            offset,
            length,
        };
        cuts.push(Cut { at, range });
    }
    Some(cuts)
}

/// Key and digest of a message that may be repeated.
pub(crate) const RESEND_BYTES: usize = 24;

pub(crate) fn pack_resend(resend: &Resend) -> [u8; RESEND_BYTES] {
    let mut packed = [0; RESEND_BYTES];
    let parts = resend.key.iter().chain(&resend.digest);
    for (to, byte) in packed.iter_mut().zip(parts) {
        *to = *byte;
    }
    packed
}

pub(crate) fn unpack_resend(bytes: &[u8]) -> Option<Resend> {
    let (key, digest) = bytes.split_at_checked(8)?;
    Some(Resend {
        key: key.try_into().ok()?,
        digest: digest.try_into().ok()?,
    })
}

pub(crate) fn pack_hold(hold: &Hold) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, hold.step.as_bytes());
    put_u64(&mut out, hold.until_ms.map_or(0, |ms| ms.saturating_add(1)));
    match &hold.wake {
        None => out.push(0),
        Some((scope, key)) => {
            out.push(1);
            put_bytes(&mut out, scope.as_bytes());
            put_bytes(&mut out, key.as_bytes());
        }
    }
    put_bytes(&mut out, &pack_keys(&hold.keys).unwrap_or_default());
    out
}

pub(crate) fn unpack_hold(bytes: &[u8]) -> Option<Hold> {
    let mut from = Unpack(bytes);
    let step = from.text()?.into();
    let until_ms = from.u64()?.checked_sub(1);
    let wake = match from.take(1)? {
        [0] => None,
        _ => Some((from.text()?.into(), from.text()?.into())),
    };
    let keys = unpack_keys(from.bytes()?)?;
    Some(Hold {
        step,
        until_ms,
        wake,
        keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn integers_and_runs_come_back(value: u64, run in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            put_u64(&mut out, value);
            put_bytes(&mut out, &run);
            let mut from = Unpack(&out);
            prop_assert_eq!(from.u64(), Some(value));
            prop_assert_eq!(from.bytes(), Some(&run[..]));
            prop_assert!(from.is_empty());
        }

        #[test]
        fn damaged_forms_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(unpack_metadata(&bytes));
            drop(unpack_tokens(&bytes));
            drop(unpack_keys(&bytes));
            drop(unpack_reads(&bytes));
            drop(unpack_cuts(&bytes, &"p".into()));
            drop(unpack_hold(&bytes));
            drop(unpack_findings(&bytes));
        }
    }

    #[test]
    fn findings_come_back() {
        let finding = |path: Option<&str>| MessageFinding {
            severity: Severity::Error,
            step: "1 validate".into(),
            code: "required".into(),
            path: path.map(Into::into),
        };
        let findings = vec![finding(Some("PID-3")), finding(None)];
        let packed = pack_findings(&findings).unwrap();
        assert_eq!(unpack_findings(&packed), Some(findings));
        assert_eq!(pack_findings(&[]), None, "none cost nothing");
    }

    #[test]
    fn resend_marks_come_back() {
        let resend = Resend {
            key: [1; 8],
            digest: [2; 16],
        };
        assert_eq!(unpack_resend(&pack_resend(&resend)), Some(resend));
        assert_eq!(unpack_resend(&[0; RESEND_BYTES - 1]), None);
    }

    #[test]
    fn holds_come_back() {
        let hold = Hold {
            step: "wait".into(),
            until_ms: Some(0),
            wake: Some(("s".into(), "k".into())),
            keys: [OrderKey(7)].into_iter().collect(),
        };
        assert_eq!(unpack_hold(&pack_hold(&hold)), Some(hold));
        let none = Hold::default();
        assert_eq!(unpack_hold(&pack_hold(&none)), Some(none));
    }
}
