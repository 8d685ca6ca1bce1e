//! The fuzz bodies over our own samples and over random bytes.

use hilum_hl7v2::{ParseOptions, Status, fuzz_bodies, inspect};
use proptest::prelude::*;

use crate::shared::files;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../corpus/hl7v2");

fn all(bytes: &[u8]) {
    fuzz_bodies::parse(bytes);
    fuzz_bodies::edit(bytes);
    fuzz_bodies::edit(&[b"a|b^c\x1c\\\r\n".as_slice(), bytes].concat());
    for size in [1, 7, 200] {
        fuzz_bodies::mllp(&[&[size, 0x0B], bytes, b"\x1C\r".as_slice()].concat());
    }
    fuzz_bodies::path(bytes);
}

#[test]
fn the_corpus_keeps_every_promise() {
    let samples = files(CORPUS.as_ref(), "hl7");
    assert!(samples.len() > 30, "{}", samples.len());
    for sample in samples {
        let bytes = std::fs::read(&sample).unwrap();
        all(&bytes);
        let broken = ["no-message.hl7", "empty.hl7"]
            .iter()
            .any(|name| sample.ends_with(name));
        let looked = inspect(bytes.clone(), &ParseOptions::default());
        assert_eq!(
            looked.status == Status::Reject,
            broken,
            "{}",
            sample.display()
        );
        // A message cut short is still a message, or a reject.
        for end in (0..bytes.len()).step_by(13) {
            fuzz_bodies::parse(&bytes[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_never_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        all(&bytes);
    }

    #[test]
    fn damaged_samples_never_break_a_promise(
        sample in 0_usize..30,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let path = &files(CORPUS.as_ref(), "hl7")[sample];
        let mut bytes = std::fs::read(path).unwrap();
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        all(&bytes);
    }
}
