use super::*;

const TEXT: &str = "source,code,display,target,code,display,unit,status,by,on,note\n\
    L,K,Kalium,LN,2823-3,Potassium,mmol/L,active,ann,2026-01-01,\n\
    L,NA,,LN,2951-2,,,draft,,,\n\
    M,K,,LN,6298-4,,,,,,\n\
    ,CREA,,LN,2160-0,,,approved,,,\n\
    L,KA,,LN,2823-3,,,,,,\n";

fn read(text: &str) -> Result<Table, Vec<Mistake>> {
    Table::read(text.as_bytes(), TableOptions::default())
}

fn check(text: &str, expected: &[&str]) {
    let told = read(text).err().unwrap_or_default();
    let told: Vec<String> = told.iter().map(Mistake::to_string).collect();
    assert_eq!(told, expected);
}

#[test]
fn rows_are_found_by_system_and_code() {
    let table = read(TEXT).unwrap();
    let line = |system: &str, code: &str| table.find(system, code, 0).map(|row| row.line);
    assert_eq!(
        [line("L", "K"), line("M", "K"), line("", "K")],
        [Some(2), Some(4), None]
    );
    assert_eq!(
        [line("L", "NA"), line("X", "CREA"), line("", "KA")],
        [None, Some(5), Some(6)]
    );
    let row = table.find("L", "K", 0).unwrap();
    assert_eq!(
        (row.to.code.as_str(), row.unit.as_str()),
        ("2823-3", "mmol/L")
    );
}

#[test]
fn a_table_reads_backwards() {
    let options = TableOptions {
        reverse: true,
        ..TableOptions::default()
    };
    let table = Table::read(TEXT.as_bytes(), options).unwrap();
    let found = table.find("LN", "2823-3", 0);
    assert_eq!(found.map(|row| row.to.code.as_str()), Some("K"));
    let text = "code,target,code,equivalence\nA,X,1,wider\n";
    let table = Table::read(text.as_bytes(), options).unwrap();
    let found = table.find("X", "1", 0).map(|row| row.equivalence);
    assert_eq!(found, Some(Equivalence::Narrower));
}

#[test]
fn mistakes_are_told_with_their_lines() {
    let head = "source,code,display,target,code,display,status\n";
    check("", &["the table is empty"]);
    check(
        "a,b\n",
        &[&format!(
            "line 1: no column is called `a`; they are {COLUMNS}"
        )],
    );
    check("code,code\n", &["line 1: column 2 is there twice"]);
    check(
        "source;code;target;code\n",
        &["line 1: the columns are separated by semicolons and not by commas"],
    );
    check(
        &format!("{head}L,K,,LN,1,\nL,K,,LN,2,\nL,K,,LN,1,\n"),
        &[
            "line 3: the same code as in line 2, with another target",
            "line 4: the same code as in line 2",
        ],
    );
    check(
        &format!("{head}L,,,LN,1,\n\n,,\nL,K,,LN,1,,no\nL,K, a, b,LN,1,,,x\n\"L,K\n"),
        &[
            "line 2: a code is missing",
            "line 5: a status is draft, reviewed, approved, active or retired",
            "line 6: the row has 9 cells and the first line names 7 columns",
            "line 7: a quote is opened here and never closed",
        ],
    );
    assert!(read("code,target,code\nK,LN,1\n").is_ok());
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let told = |bytes: &[u8]| {
        let told = Table::read(bytes, TableOptions::default()).unwrap_err();
        told.first().map(Mistake::to_string).unwrap_or_default()
    };
    assert_eq!(
        told(b"code,target,code\nK\xE4,LN,1\n"),
        "line 2: not readable as UTF-8"
    );
    assert_eq!(
        told(b"\xFF\xFEc\0o\0"),
        "line 1: the table is UTF-16 and not UTF-8"
    );
    let bom = "\u{FEFF}Source, Code ,target,code\r\nL,K,LN,1\r\n";
    assert_eq!(
        read(bom).unwrap().find("L", "K", 0).map(|row| row.line),
        Some(2)
    );
}

#[test]
fn a_row_counts_for_messages_of_its_days() {
    let text = "code,target,code,from,until\nK,LN,old,,2026-03-31\nK,LN,new,2026-04-01,\n";
    let table = read(text).unwrap();
    let at = |day: &str| {
        let at_ms = crate::time::days(day).unwrap() * 86_400_000;
        let found = table.find("", "K", u64::try_from(at_ms).unwrap() + 3_600_000);
        found.map(|row| row.to.code.clone()).unwrap_or_default()
    };
    assert_eq!([at("2026-03-31"), at("2026-04-01")], ["old", "new"]);
    check(
        "code,target,code,from,until\nK,LN,1,,2026-04-01\nK,LN,2,2026-04-01,\n",
        &["line 3: the same code as in line 2, with another target"],
    );
    check(
        "code,target,code,from,until,reviewed-on\nK,LN,1,1.4.2026,,\nK,LN,1,2026-02-01,2026-01-31,\nK,LN,1,,,x\n",
        &[
            "line 2: `from` is a day such as 2026-11-20, or a moment with its zone such as \
             2026-11-20T06:00+01:00",
            "line 3: `until` lies before `from`",
            "line 4: `reviewed-on` is a day such as 2026-11-20",
        ],
    );
}

#[test]
fn only_approved_rows_are_used() {
    let text = "code,target,code,status\nA,T,1,draft\nB,T,1,reviewed\nC,T,1,retired\nD,T,1,Approved\n\
                E,T,1,active\nF,T,1,\nG,T,,draft\nA,T,2,proposed\n";
    let table = read(text).unwrap();
    let used: Vec<_> = table.rows().map(|row| row.from.code.as_str()).collect();
    assert_eq!(used, ["D", "E", "F"]);
    assert_eq!(Sheet::read(text.as_bytes()).unwrap().rows().len(), 8);
}

#[test]
fn rows_of_high_risk_need_two_people() {
    let text = "code,target,code,status,by,approved-by\n\
                A,T,1,approved,ann,ann\nB,T,1,approved,ann,bob\nC,T,1,reviewed,ann,\nD,T,1,active,,\n";
    let of = |name: &'static str, field: &'static str, declared| {
        let options = TableOptions {
            name,
            field,
            declared,
            reverse: false,
        };
        let read = Table::read(text.as_bytes(), options);
        read.map(|table| (table.risk(), table.unapproved().to_vec()))
            .map_err(|told| told.iter().map(|told| told.line).collect::<Vec<_>>())
    };
    assert_eq!(of("tables/lab.csv", "OBX-3", false), Ok((None, vec![])));
    assert_eq!(of("tables/units.csv", "OBX-3", false), Err(vec![2]));
    assert_eq!(of("tables/lab.csv", "OBX-6", false), Err(vec![2]));
    assert_eq!(of("tables/lab.csv", "OBX-3", true), Err(vec![2, 5]));
    let mended = text.replace("ann,ann", "ann,eve");
    let options = TableOptions {
        name: "tables/units.csv",
        ..TableOptions::default()
    };
    let table = Table::read(mended.as_bytes(), options).unwrap();
    assert_eq!(
        (table.risk(), table.unapproved()),
        (Some(crate::Risk::Units), &[5][..])
    );
    let told = Table::read(text.as_bytes(), options).unwrap_err();
    assert!(told[0].text.contains("one person alone") && told[0].text.contains("units"));
    let told = Table::read(text.replace("ann,ann", "ann,").as_bytes(), options).unwrap_err();
    assert!(told[0].text.contains("nobody is named who approved"));
}

#[test]
fn a_table_has_a_limited_number_of_rows() {
    use std::fmt::Write as _;
    let mut text = String::from("code,target,code\n");
    for n in 0..=ROWS_MAX {
        writeln!(text, "K{n},T,1").unwrap();
    }
    check(&text, &["a table has at most 1000000 rows"]);
}

#[test]
fn a_code_has_a_limited_number_of_rows() {
    let mut text = String::from("source,code,target,code\n");
    for n in 0..SAME_CODE_MAX {
        text.push_str(&format!("S{n},K,LN,1\n"));
    }
    assert!(read(&text).is_ok());
    text.push_str("OVER,K,LN,1\n");
    check(&text, &["line 1002: a code has at most 1000 rows"]);
}

#[test]
fn a_change_of_cells_leaves_every_other_byte_alone() {
    let text = "\u{FEFF}source,code,display,target,code,display,status,note\r\n\
                L, K ,\"Kalium, \"\"K\"\"\",LN,2823-3, Potassium ,reviewed,\"a\nb\"\r\n\
                \r\nL,NA,,LN,1\r\n";
    let sheet = Sheet::read(text.as_bytes()).unwrap();
    let lines: Vec<_> = sheet.rows().iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 5]);
    let changed = sheet
        .with(
            2,
            &[
                (Column::Status, "approved"),
                (Column::ApprovedBy, "bob, dr"),
            ],
        )
        .unwrap();
    let expected = text
        .replace("reviewed", "approved")
        .replace("status,note", "status,note,approved-by")
        .replace("\"a\nb\"", "\"a\nb\",\"bob, dr\"");
    assert_eq!(String::from_utf8(changed).unwrap(), expected);
    let changed = sheet.with(
        5,
        &[(Column::Status, "approved"), (Column::ApprovedBy, "bob")],
    );
    let expected = text
        .replace("status,note", "status,note,approved-by")
        .replace("LN,1\r\n", "LN,1,,approved,,bob\r\n");
    assert_eq!(String::from_utf8(changed.unwrap()).unwrap(), expected);
    assert_eq!(sheet.with(3, &[]), None);
    assert_eq!(sheet.with(2, &[]).unwrap(), text.as_bytes());
}

#[test]
fn new_rows_are_appended_with_the_columns_they_need() {
    let text = "code,target,code\nK,LN,1";
    let sheet = Sheet::read(text.as_bytes()).unwrap();
    let mut row = sheet.rows()[0].clone();
    row.from = Coding {
        system: "L".to_owned(),
        code: "NA".to_owned(),
        display: "Natrium".to_owned(),
    };
    row.status = Status::Draft;
    row.note = "0.82, by text".to_owned();
    let changed = String::from_utf8(sheet.and(&[row])).unwrap();
    assert_eq!(
        changed,
        "code,target,code,source,status,note\nK,LN,1\nNA,LN,1,L,draft,\"0.82, by text\"\n"
    );
    let again = Sheet::read(changed.as_bytes()).unwrap();
    assert_eq!(again.rows()[1].from.system, "L");
    assert_eq!(again.rows()[1].status, Status::Draft);
}
