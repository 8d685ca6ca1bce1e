//! Speed of parsing (MB/s) and of a path on a parsed message.

use std::hint::black_box;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use hilum_fhirpath::tree::{Dialect as _, Tree as _};
use hilum_hl7v2::mllp::Decoder;
use hilum_hl7v2::{Message, Path, V2Dialect};

fn main() {
    divan::main();
}

/// An admission of about 1 kB.
fn admission() -> Bytes {
    Bytes::from(
        "MSH|^~\\&|PAS|HOSP|HILUM|HOSP|20260101120000||ADT^A01^ADT_A01|MSG00001|P|2.5.1|||AL|NE|DEU|UNICODE UTF-8\r\
         EVN|A01|20260101120000|||1234^Schmidt^Anna\r\
         PID|1||123456^^^HOSP^MR~A98765^^^KK^SS||Muster^Erika^Maria^^Dr.^^L||19640812|F|||Heidestrasse 17^^Koeln^^51147^DEU||+49221123456^PRN^PH|||M|CAT\r\
         NK1|1|Muster^Max|SPO^Spouse^HL70063|Heidestrasse 17^^Koeln^^51147^DEU|+49221123456\r\
         PV1|1|I|W1^R101^B2^HOSP||||1234^Arzt^Anna^^^Dr.|5678^Haus^Gregor||MED||||||||V|998877^^^HOSP^VN|||||||||||||||||||||||||20260101\r\
         PV2|||Chest pain^^L||||||||||||||||||||N\r\
         DG1|1||I20.9^Angina pectoris, unspecified^I10|||A\r\
         AL1|1|DA|PCN^Penicillin^L|SV|Rash\r\
         IN1|1|PUB|AOK001^^^KK|AOK Rheinland||||||||20250101|||PUB|Muster^Erika|SEL|19640812|Heidestrasse 17^^Koeln^^51147^DEU\r\
         ZPV|1|internal^x&y|20260101\r",
    )
}

/// A result of about 4 kB.
fn result() -> Bytes {
    let mut text = String::from(
        "MSH|^~\\&|LIS|LAB|EHR|HOSP|20260101120000||ORU^R01^ORU_R01|MSG00001|P|2.5.1\r\
         PID|1||123456^^^HOSP^MR||Muster^Erika||19640812|F\rPV1|1|I|W1^R101^B2^HOSP\r\
         OBR|1|P1001^EHR|F2002^LIS|CHEM7^Chemistry panel^L|||20260101110000\r",
    );
    for n in 1..=40 {
        text.push_str(&format!(
            "OBX|{n}|NM|718-7^Hemoglobin^LN||14.{n}|g/dL|12.0-16.0|N|||F|||20260101113000||T1\r"
        ));
    }
    Bytes::from(text)
}

#[divan::bench(args = ["admission", "result"])]
fn tokenise_and_index(bencher: Bencher<'_, '_>, kind: &str) {
    let bytes = if kind == "admission" {
        admission()
    } else {
        result()
    };
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| Message::parse(black_box(bytes.clone())));
}

#[divan::bench]
fn findings_of_content(bencher: Bencher<'_, '_>) {
    let Ok(message) = Message::parse(result()) else {
        return;
    };
    bencher
        .counter(BytesCount::new(result().len()))
        .bench_local(|| message.findings());
}

#[divan::bench(args = ["PV1-3.1", "PID-3.1", "OBX[40]-5"])]
fn path_of_a_parsed_message(bencher: Bencher<'_, '_>, path: &str) {
    let bytes = if path.starts_with("OBX") {
        result()
    } else {
        admission()
    };
    let (Ok(message), Some((_, literal))) = (Message::parse(bytes), V2Dialect.literal(path)) else {
        return;
    };
    bencher.bench_local(|| {
        let mut length = 0;
        message.literal(black_box(&literal), message.root(), &mut |node| {
            length += message.value(node).map_or(0, |value| match value {
                hilum_fhirpath::tree::Scalar::String(text) => text.len(),
                _ => 0,
            });
        });
        length
    });
}

#[divan::bench]
fn parse_set_one_field_and_write(bencher: Bencher<'_, '_>) {
    let Ok(path) = Path::parse("MSH-6") else {
        return;
    };
    let bytes = admission();
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench_local(|| {
            let mut message = Message::parse(black_box(bytes.clone())).ok()?;
            message.set(&path, "HOSP2").ok()?;
            Some(message.write())
        });
}

#[divan::bench]
fn identify(bencher: Bencher<'_, '_>) {
    let Ok(message) = Message::parse(admission()) else {
        return;
    };
    bencher.bench_local(|| message.identify());
}

#[divan::bench]
fn decode_frames(bencher: Bencher<'_, '_>) {
    let Ok(frame) = hilum_hl7v2::mllp::encode(&admission()) else {
        return;
    };
    let stream = frame.repeat(16);
    bencher
        .counter(BytesCount::new(stream.len()))
        .bench_local(|| {
            let mut decoder = Decoder::default();
            decoder.push(black_box(&stream));
            std::iter::from_fn(|| decoder.next_event()).count()
        });
}
