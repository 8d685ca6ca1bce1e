//! Small releases in the real formats, made up from beginning to end.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

/// Writes files into a folder.
pub(crate) fn folder(at: &Path, files: &[(&str, String)]) -> PathBuf {
    for (name, text) in files {
        let path = at.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    at.to_owned()
}

/// The same as a zip with deflated files.
pub(crate) fn zip(at: &Path, files: &[(&str, String)]) -> PathBuf {
    let (mut body, mut list) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
        let packed = packer.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        let at = body.len() as u32;
        let mut shared = Vec::new();
        for number in [20_u16, 0, 8, 0, 0] {
            shared.extend(number.to_le_bytes());
        }
        for number in [crc.sum(), packed.len() as u32, text.len() as u32] {
            shared.extend(number.to_le_bytes());
        }
        shared.extend((name.len() as u16).to_le_bytes());
        shared.extend(0_u16.to_le_bytes());
        body.extend(b"PK\x03\x04");
        body.extend(&shared);
        body.extend(name.as_bytes());
        body.extend(&packed);
        list.extend(b"PK\x01\x02\x14\x00");
        list.extend(&shared);
        list.extend([0; 10]);
        list.extend(at.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let (start, length) = (body.len() as u32, list.len() as u32);
    body.extend(&list);
    body.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        body.extend((files.len() as u16).to_le_bytes());
    }
    body.extend(length.to_le_bytes());
    body.extend(start.to_le_bytes());
    body.extend([0, 0]);
    fs::write(at, body).unwrap();
    at.to_owned()
}

/// A gzipped tar with files in `package/`.
pub(crate) fn package(at: &Path, files: &[(&str, String)]) -> PathBuf {
    let mut tar = Vec::new();
    for (name, text) in files {
        let mut head = [0_u8; 512];
        let name = format!("package/{name}");
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[100..107].copy_from_slice(b"0000644");
        head[124..135].copy_from_slice(format!("{:011o}", text.len()).as_bytes());
        head[156] = b'0';
        head[257..262].copy_from_slice(b"ustar");
        head[263..265].copy_from_slice(b"00");
        head[148..156].fill(b' ');
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend(head);
        tar.extend(text.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1_024, 0);
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&tar).unwrap();
    fs::write(at, packer.finish().unwrap()).unwrap();
    at.to_owned()
}

pub(crate) const LOINC_HEAD: &str = "\"LOINC_NUM\",\"COMPONENT\",\"PROPERTY\",\"TIME_ASPCT\",\
    \"SYSTEM\",\"SCALE_TYP\",\"METHOD_TYP\",\"CLASS\",\"VersionLastChanged\",\"STATUS\",\
    \"CONSUMER_NAME\",\"SHORTNAME\",\"LONG_COMMON_NAME\",\"EXAMPLE_UCUM_UNITS\",\"DisplayName\"\r\n";

pub(crate) fn loinc() -> Vec<(&'static str, String)> {
    let mut table = LOINC_HEAD.to_owned();
    for row in [
        [
            "90001-9",
            "Unobtainium",
            "MCnc",
            "Pt",
            "Ser/Plas",
            "Qn",
            "",
            "CHEM",
            "2.70",
            "ACTIVE",
            "Unobtainium, Blood",
            "Unobt SerPl-mCnc",
            "Unobtainium [Mass/volume], serum",
            "mg/dL",
            "Unobtainium",
        ],
        [
            "90002-7",
            "Unobtainium",
            "PrThr",
            "Pt",
            "Bld",
            "Ord",
            "",
            "CHEM",
            "2.78",
            "ACTIVE",
            "",
            "Unobt Bld Ql",
            "Unobtainium [Presence] in \"\"blood\"\"",
            "",
            "",
        ],
        [
            "90003-5",
            "Phlogiston",
            "MCnc",
            "Pt",
            "Bld",
            "Qn",
            "",
            "CHEM",
            "2.10",
            "DEPRECATED",
            "",
            "",
            "Phlogiston in blood",
            "",
            "",
        ],
    ] {
        writeln!(table, "\"{}\"\r", row.join("\",\"")).unwrap();
    }
    let mut files = vec![("LoincTable/Loinc.csv", table)];
    files.extend(loinc_accessories());
    files
}

fn loinc_accessories() -> [(&'static str, String); 4] {
    let hierarchy = "\"PATH_TO_ROOT\",\"SEQUENCE\",\"IMMEDIATE_PARENT\",\"CODE\",\"CODE_TEXT\"\n\
        \"\",1,\"\",\"LP90000-1\",\"Laboratory\"\n\
        \"LP90000-1\",1,\"LP90000-1\",\"LP90001-9\",\"Unobtainium\"\n\
        \"LP90000-1.LP90001-9\",1,\"LP90001-9\",\"90001-9\",\"Unobt SerPl-mCnc\"\n\
        \"LP90000-1.LP90001-9\",2,\"LP90001-9\",\"90002-7\",\"Unobt Bld Ql\"\n";
    let answers = "AnswerListId,AnswerListName,AnswerListOID,AnswerStringId,LocalAnswerCode,\
        SequenceNumber,DisplayText\n\
        LL9001-0,Presence,1.2,LA9002-2,1,1,Present\nLL9001-0,Presence,1.2,LA9001-4,0,2,Absent\n";
    let links = "LoincNumber,LongCommonName,AnswerListId,AnswerListName,AnswerListLinkType\n\
        90002-7,x,LL9001-0,Presence,NORMATIVE\n";
    let german = "LOINC_NUM,COMPONENT,LONG_COMMON_NAME,SHORTNAME,LinguisticVariantDisplayName\n\
        90001-9,Unobtainium,Unobtainium im Serum,,Unobtainium\n";
    [
        (
            "AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv",
            hierarchy.to_owned(),
        ),
        (
            "AccessoryFiles/AnswerFile/AnswerList.csv",
            answers.to_owned(),
        ),
        (
            "AccessoryFiles/AnswerFile/LoincAnswerListLink.csv",
            links.to_owned(),
        ),
        (
            "AccessoryFiles/LinguisticVariants/deDE15LinguisticVariant.csv",
            german.to_owned(),
        ),
    ]
}

pub(crate) const ROOT: u64 = 138_875_005;
const CORE: &str = "900000000000207008";
const IS_A: &str = "116680003";

/// The concept with a number, as an identifier of SNOMED CT looks (its check digit aside).
pub(crate) fn sctid(number: usize) -> u64 {
    if number == 0 {
        ROOT
    } else {
        700_000_000 + number as u64 * 1_000 + 5
    }
}

/// An RF2 snapshot with so many concepts in a tree of ten children each; the last one is inactive.
pub(crate) fn rf2(concepts: usize, date: &str) -> Vec<(String, String)> {
    let head = "id\teffectiveTime\tactive\tmoduleId\t";
    let mut concept = format!("{head}definitionStatusId\r\n");
    let mut description =
        format!("{head}conceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\r\n");
    let mut language = format!("{head}refsetId\treferencedComponentId\tacceptabilityId\r\n");
    let mut relation = format!(
        "{head}sourceId\tdestinationId\trelationshipGroup\ttypeId\tcharacteristicTypeId\tmodifierId\r\n"
    );
    let mut simple = format!("{head}refsetId\treferencedComponentId\r\n");
    for number in 0..concepts {
        let (id, own) = (sctid(number), number * 10);
        let active = u8::from(number == 0 || number + 1 < concepts);
        let row = format!("{date}\t{active}\t{CORE}");
        writeln!(concept, "{id}\t{row}\t900000000000074008\r").unwrap();
        let row = format!("{date}\t1\t{CORE}");
        for (place, kind, term) in [
            (
                1,
                "900000000000003001",
                format!("Invented finding number {number} (finding)"),
            ),
            (
                2,
                "900000000000013009",
                format!("Invented finding number {number}"),
            ),
            (
                3,
                "900000000000013009",
                format!("Made up {} sign {number}", number % 97),
            ),
        ] {
            let description_id = 800_000_000 + own + place;
            let rest = format!("{id}\ten\t{kind}\t{term}\t900000000000448009");
            writeln!(description, "{description_id}\t{row}\t{rest}\r").unwrap();
            let preferred = if place < 3 {
                "900000000000548007"
            } else {
                "900000000000549004"
            };
            let rest = format!("900000000000509007\t{description_id}\t{preferred}");
            writeln!(language, "l{description_id}\t{row}\t{rest}\r").unwrap();
        }
        if number > 0 {
            let parent = sctid((number - 1) / 10);
            let rest = format!("{id}\t{parent}\t0\t{IS_A}\t900000000000011006\t900000000000451002");
            writeln!(relation, "{own}1\t{row}\t{rest}\r").unwrap();
            let rest = format!(
                "{id}\t{}\t1\t363698007\t900000000000011006\t900000000000451002",
                sctid(number % 50)
            );
            writeln!(relation, "{own}2\t{row}\t{rest}\r").unwrap();
        }
        if number % 100 == 7 {
            writeln!(simple, "s{number}\t{row}\t733073007\t{id}\r").unwrap();
        }
    }
    let of = |kind: &str, at: &str| format!("Snapshot/{at}/{kind}_INT_{date}.txt");
    vec![
        (of("sct2_Concept_Snapshot", "Terminology"), concept),
        (
            of("sct2_Description_Snapshot-en", "Terminology"),
            description,
        ),
        (of("sct2_Relationship_Snapshot", "Terminology"), relation),
        (
            of("der2_cRefset_LanguageSnapshot-en", "Refset/Language"),
            language,
        ),
        (of("der2_Refset_SimpleSnapshot", "Refset/Content"), simple),
    ]
}

pub(crate) fn rxnorm() -> Vec<(&'static str, String)> {
    let names = "9001|ENG|P|L1|PF|S1|Y|A1|||9001|RXNORM|IN|9001|phantasol|0|N|4096|\n\
        9002|ENG|P|L2|PF|S2|Y|A2|||9002|RXNORM|SCD|9002|phantasol 5 MG Oral Tablet|0|N|4096|\n\
        9002|ENG|P|L3|PF|S3|Y|A3|||9002|RXNORM|PSN|9002|phantasol 5 mg tablet|0|N|4096|\n\
        9002|ENG|P|L4|PF|S4|Y|A4|||77|OTHER|PT|77|licensed elsewhere|3|N||\n\
        9003|ENG|P|L5|PF|S5|Y|A5|||9003|RXNORM|SCD|9003|phantasol 1 MG|0|O|4096|\n";
    let relations = "9001||CUI|RO|9002||CUI|has_ingredient|1||RXNORM|RXNORM||||\n\
        9001||CUI|RB|9002||CUI|isa|2||RXNORM|RXNORM||||\n";
    let facts = "9002||||S|9002|1||NDC|RXNORM|00000900201|N||\n\
        9002||||S|9002|1||X|OTHER|secret|N||\n";
    vec![
        ("rrf/RXNCONSO.RRF", names.to_owned()),
        ("rrf/RXNREL.RRF", relations.to_owned()),
        ("rrf/RXNSAT.RRF", facts.to_owned()),
    ]
}

pub(crate) fn order_line(
    number: u32,
    code: &str,
    billable: bool,
    short: &str,
    long: &str,
) -> String {
    format!(
        "{number:05} {code:<7} {} {short:<60} {long}\n",
        u8::from(billable)
    )
}

pub(crate) const TABULAR: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<ICD10CM.tabular><version>2025</version>
<chapter><name>23</name><desc>Invented conditions (Z00-Z99)</desc>
<section id="Z90-Z91"><desc>Made up &amp; found</desc>
<diag><name>Z90</name><desc>Loss of a thing</desc>
 <inclusionTerm><note>Thing lost</note></inclusionTerm>
 <diag><name>Z90.1</name><desc>Loss of a small thing</desc></diag>
</diag>
<diag><name>Z91</name><desc>Fall of a thing</desc>
 <sevenChrDef><extension char="A">initial encounter</extension>
  <extension char="D">subsequent encounter</extension></sevenChrDef>
 <diag><name>Z91.0</name><desc>Fall of a cup</desc></diag>
</diag></section></chapter></ICD10CM.tabular>"#;
