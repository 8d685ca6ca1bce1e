//! From the bytes of a message to FHIR JSON and back, on one core: `cargo bench -p hilum-convert`.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use hilum_convert::reverse::{Nothing, Sent, V2Settings, to_v2};
use hilum_convert::{Arrived, FixedZone, Maps, Settings, to_fhir};
use hilum_fhir::{Style, json};
use hilum_hl7v2::Message;

/// The allocator of the product. With that of the C library a twelfth of the instructions of a message
/// is taking room and giving it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// A result of 4 kB: one panel of thirty observations.
fn result() -> String {
    let mut text = String::from(
        "MSH|^~\\&|LIS^2.16.840.1.1^ISO|NORTH|HUB|H|20260102030405+0100||ORU^R01^ORU_R01|4711|P|2.5.1\r\
         PID|1||42^^^NORTH&1.2.3.4&ISO^MR~991^^^PAS^PI||Ames^Ann^B.^^Dr.^^L||19700102|F|||1 High St^^Town^^12345^GB^H||+44 1 2345^PRN^PH\r\
         PV1|1|I|W1^R2^B3^NORTH|R|||1234^Adams^Ben^^^Dr.|||MED||||||||V4711^^^NORTH\r\
         ORC|RE|P1^PAS|F1^LIS||CM||||20260102020000|||1234^Adams^Ben^^^Dr.\r\
         OBR|1|P1^PAS|F1^LIS|24323-8^Comprehensive metabolic panel^LN|||20260102010000|||||||||1234^Adams^Ben^^^Dr.||||||20260102030000||LAB|F\r",
    );
    for number in 1..=30 {
        text.push_str(&format!(
            "OBX|{number}|NM|2345-{}^Glucose [Mass/volume] in Serum^LN^GLU{number}^Glucose^L||{}.{number}0|mg/dL^^UCUM|70-105|N|||F|||20260102010000||77^Roe^Jan\r",
            number % 10,
            80 + number,
        ));
    }
    text
}

const ARRIVED: Arrived<'_> = Arrived {
    id: "00000000-0000-4000-8000-000000000001",
    at: "2026-01-02T03:04:05.678Z",
};

fn settings() -> Settings {
    Settings {
        zone: Some(Arc::new(FixedZone(60))),
        ..Settings::default()
    }
}

#[divan::bench]
fn v2_to_fhir_json(bencher: Bencher<'_, '_>) {
    let text = result();
    let Ok(maps) = Maps::shipped() else {
        return;
    };
    let settings = settings();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let message = Message::parse(divan::black_box(text.clone())).ok()?;
        let converted = to_fhir(maps, &message, &settings, &ARRIVED);
        let mut out = Vec::with_capacity(text.len() * 8);
        json::write(&converted.bundle, Style::Compact, &mut out);
        Some(out)
    });
}

#[divan::bench]
fn fhir_to_v2(bencher: Bencher<'_, '_>) {
    let (Ok(maps), Ok(message)) = (Maps::shipped(), Message::parse(result())) else {
        return;
    };
    let bundle = to_fhir(maps, &message, &settings(), &ARRIVED).bundle;
    let settings = V2Settings::default();
    let sent = Sent {
        control_id: "1",
        at: "2026-01-02T03:04:05Z",
    };
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let made = to_v2(maps, divan::black_box(&bundle), &Nothing, &settings, sent);
        let messages = made.map(|made| made.messages).unwrap_or_default();
        messages
            .iter()
            .map(|message| message.write().len())
            .sum::<usize>()
    });
}
