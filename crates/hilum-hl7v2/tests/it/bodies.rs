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
    fuzz_bodies::expression(bytes);
    fuzz_bodies::expression(
        &[
            b"PID-3[*].1.where($this > '1').repeat(PID).count()\0",
            bytes,
        ]
        .concat(),
    );
    fuzz_bodies::xml_document(bytes);
}

const DOCUMENT: &str = "<ADT_A01 xmlns='urn:hl7-org:v2xml'><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2>\
    <MSH.9><MSG.1>ADT</MSG.1><MSG.2>A01</MSG.2></MSH.9><MSH.10>7</MSH.10></MSH>\
    <PID><PID.3><CX.1>1</CX.1><CX.4><HD.1>H<escape V='.br'/></HD.1></CX.4></PID.3></PID></ADT_A01>";

const PROFILE: &str = "<ConformanceProfile><Messages><Message Type='ORU' Event='R01' StructID='ORU_R01'>\
    <Segment Ref='MSH' Usage='R' Min='1' Max='1'/><Group Name='G' ID='G' Usage='RE' Min='0' Max='*'>\
    <Segment Ref='PID' Usage='R' Min='1' Max='1'/><Segment Ref='OBX' Usage='C' Min='0' Max='2'/></Group>\
    </Message></Messages><Segments><Segment ID='MSH' Name='MSH'/><Segment ID='PID' Name='PID'>\
    <Field Name='f' Datatype='CX' Usage='R' Min='1' Max='1' MinLength='1' MaxLength='9' Binding='S'/></Segment>\
    <Segment ID='OBX' Name='OBX'><DynamicMapping><Mapping Position='5' Reference='2'><Case Value='NM' Datatype='CX'/>\
    </Mapping></DynamicMapping></Segment></Segments><Datatypes><Datatype ID='CX' Name='CX'>\
    <Component Name='c' Datatype='CX' Usage='X' ConstantValue='1'/></Datatype></Datatypes></ConformanceProfile>\0\
    <ConformanceContext><Constraints><Segment><ByID ID='PID'><Constraint ID='C'><Assertion><AND>\
    <Presence Path='3[1]'/><OR><Format Path='5[1].1[1]' Regex='^(?!a)[a-z]+$'/><PlainText Path='5[*]' Text='x'/></OR>\
    </AND></Assertion></Constraint></ByID></Segment></Constraints></ConformanceContext>\0\
    <ValueSetLibrary><ValueSetDefinitions><ValueSetDefinition BindingIdentifier='S'>\
    <ValueElement Value='1' CodeSystem='L'/></ValueSetDefinition></ValueSetDefinitions></ValueSetLibrary>";

/// Parts of expressions that are put together at random.
const WORDS: &[&str] = &[
    "PID-3.1",
    "PID-3[2].4.1",
    "OBX-5",
    "PATIENT_RESULT/OBX-3",
    "MSH-9",
    "%context",
    "$this",
    "'a'",
    "12.5",
    "2 'mg'",
    "@2020-02",
    "{}",
    "true",
    " and ",
    " or ",
    " = ",
    " ~ ",
    " + ",
    " - ",
    " * ",
    " / ",
    " & ",
    " > ",
    " in ",
    " is String",
    ".where(",
    ".select(",
    ".repeat(",
    ".all(",
    ".exists()",
    ".first()",
    ".count()",
    ".toDecimal()",
    ".toDateTime()",
    ".toQuantity('g')",
    ".substring(1, 2)",
    ".matches('[a-z]+')",
    ".aggregate($this + $total, 1)",
    ".isNull()",
    "(",
    ")",
    ", ",
    "descendants()",
    "children()",
    "today()",
    "-",
    "`x`",
    "[0]",
    "iif(",
];

const RESULT: &str =
    "MSH|^~\\&|LAB|||||||1||2.5.1\rPID|1||123^^^HOSP&1&L~\"\"||Doe^Jane\rOBX|1|NM|K||140|mmol/L\r";

#[test]
fn our_seeds_for_documents_and_profiles_are_read() {
    assert!(hilum_hl7v2::xml::read(DOCUMENT.as_bytes()).is_ok());
    fuzz_bodies::xml_document(DOCUMENT.as_bytes());
    let files: Vec<_> = PROFILE.split('\0').map(str::as_bytes).collect();
    let files = hilum_hl7v2::profile::ProfileFiles {
        profile: files[0],
        constraints: Some(files[1]),
        value_sets: Some(files[2]),
        ..Default::default()
    };
    hilum_hl7v2::profile::Profile::load(&files).expect("a profile");
    fuzz_bodies::profile(PROFILE.as_bytes());
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
    fn expressions_of_any_words_end(words in prop::collection::vec(0..WORDS.len(), 1..12)) {
        let text: String = words.iter().map(|at| WORDS[*at]).collect();
        fuzz_bodies::expression(&[text.as_bytes(), b"\0", RESULT.as_bytes()].concat());
    }

    #[test]
    fn damaged_documents_and_profiles_never_break_a_promise(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..9), 1..6),
    ) {
        for (seed, body) in [
            (DOCUMENT, fuzz_bodies::xml_document as fn(&[u8])),
            (PROFILE, fuzz_bodies::profile),
        ] {
            let mut bytes = seed.as_bytes().to_vec();
            for (at, byte, length) in &damage {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + length);
                bytes.splice(at..end, [*byte]);
            }
            body(&bytes);
        }
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
