//! What parsing, identifying and answering a message costs.

use bytes::Bytes;
use hilum_component::{Answer, Format, FormatOptions, Registry, Verdict};
use hilum_message::{MessageId, Payload};
use std::sync::Arc;

fn main() {
    divan::main();
}

const MESSAGE: &str = include_str!("../tests/adt-a01.hl7");

fn format() -> Arc<dyn Format> {
    let registry = Registry::new(hilum_formats::specs());
    #[expect(clippy::expect_used, reason = "a bench may fail by panic")]
    registry
        .format("hl7v2", &FormatOptions::default())
        .expect("hl7v2 is registered")
}

fn message() -> Payload {
    Payload::inline(Bytes::from(MESSAGE.replace('\n', "\r")))
}

#[divan::bench]
fn split_parse_identify_write(bencher: divan::Bencher<'_, '_>) {
    let (format, payload) = (format(), message());
    bencher.bench(|| {
        let split = format.split(&payload);
        let document = format.parse(&payload).ok();
        let identity = document
            .as_ref()
            .map(|document| format.identify(&**document));
        (split, identity, document.map(|document| document.write()))
    });
}

#[divan::bench]
fn answer(bencher: divan::Bencher<'_, '_>) {
    let (format, payload) = (format(), message());
    bencher.bench(|| {
        format.answer(&Answer {
            received: &payload,
            verdict: Verdict::Accept,
            message: MessageId::new(1_700_000_000_000, 7),
            at_ms: 1_700_000_000_000,
            commit: false,
        })
    });
}
