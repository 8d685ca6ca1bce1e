//! Codes that no table has, over sockets: the register, suggestions, approval by people, and what a
//! changed table would have changed.

use std::path::PathBuf;

use hilum_testkit::mllp::{Behaviour, Client, Keep, Receiver};
use hilum_testkit::ports::free_port;
use hilum_testkit::site::SiteFolder;
use hilum_testkit::wait::{until, within};
use serde_json::Value;

use crate::kit::{Running, get, json, json_lines};
use crate::{ends, text};

const HEAD: &str = "source,code,display,target,code,display,unit,status,by,on,note\n";
const TABLE: &str = "L,K,Kalium,LN,2823-3,Potassium [Moles/volume] in Serum or Plasma,mmol/L,approved,ann,2026-01-05,\n\
    L,NA,Natrium,LN,2951-2,Sodium [Moles/volume] in Serum or Plasma,mmol/L,active,ann,2026-01-05,\n";
const LIST: &str = "system,code,display\n\
    LN,2345-7,Glucose [Mass/volume] in Serum or Plasma\n\
    LN,14682-9,Creatinine [Moles/volume] in Serum or Plasma\n";

/// A laboratory that sends results, and a record that takes them.
pub(crate) struct Lab {
    pub(crate) folder: SiteFolder,
    pub(crate) site: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) at: String,
    pub(crate) from: String,
    pub(crate) ehr: Receiver,
}

impl Lab {
    pub(crate) async fn new(steps: &str) -> Self {
        let ehr = Receiver::start_at(
            "127.0.0.1:0".parse().unwrap(),
            Behaviour::default(),
            Keep::Bytes,
        )
        .await
        .unwrap();
        let [admin, from] = [(); 2].map(|()| free_port().unwrap());
        let (at, from) = (format!("127.0.0.1:{admin}"), format!("127.0.0.1:{from}"));
        let channel = format!(
            "channel: lab\nabout: results\nfrom: {{ mllp: {{ system: lis, listen: {from} }} }}\n\
             format: hl7v2\nsteps:\n{steps}\nto:\n  ehr: {{ mllp: {{ system: ehr }} }}\n"
        );
        let folder = SiteFolder::new().unwrap();
        for (path, content) in [
            (
                "site/hilum.yaml",
                format!("site: lab\nabout: a test\nadmin: {at}\n"),
            ),
            (
                "site/systems/lis.yaml",
                "system: lis\nabout: laboratory\nidentifiers: [{ authority: STE, type: MR }]\n"
                    .to_owned(),
            ),
            (
                "site/systems/ehr.yaml",
                format!(
                    "system: ehr\nabout: record\naddresses: {{ mllp: {} }}\nidentifiers: [{{ authority: STE, type: MR }}]\n",
                    ehr.address()
                ),
            ),
            ("site/channels/lab.yaml", channel),
            ("site/tables/lab.csv", format!("{HEAD}{TABLE}")),
            ("loinc.csv", LIST.to_owned()),
        ] {
            folder.file(path, content).unwrap();
        }
        Self {
            site: folder.path().join("site"),
            data: folder.path().join("data"),
            folder,
            at,
            from,
            ehr,
        }
    }

    pub(crate) fn run(&self) -> Running {
        let mut node = Running::start(&["run", text(&self.site), "--data", text(&self.data)]);
        let line = node.line();
        assert!(line.contains("ready"), "{line}");
        node
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.site.join("tables/lab.csv")
    }

    /// Sends results of a message; gives the answer.
    pub(crate) async fn send(&self, id: &str, obx: &str) -> String {
        let mut client = Client::connect(&self.from).await.unwrap();
        let message = format!(
            "MSH|^~\\&|LIS|NORTH|EHR|H|20261120080000||ORU^R01^ORU_R01|{id}|P|2.5.1\r\
             PID|1||42^^^H^MR||Canary^Jane\rOBR|1||A1|PANEL^Panel^L\r{obx}"
        );
        let answer = within("the answer", client.exchange(message.as_bytes())).await;
        String::from_utf8(answer.unwrap().to_vec()).unwrap()
    }

    fn unmapped(&self) -> Vec<Value> {
        json_lines(&["codes", "unmapped", "--at", &self.at, "--json"])
    }
}

const TRANSLATE: &str = "  - translate: { field: OBX-3, table: tables/lab.csv, unit: OBX-6 }";

#[tokio::test]
async fn unmapped_codes_are_counted_with_their_messages_and_survive_a_kill() {
    let lab = Lab::new(TRANSLATE).await;
    let node = lab.run();
    let unknown = "OBX|1|NM|GLUC^Glucose serum^L||5|mmol/L\rOBX|2|NM|K^Kalium^L||4|mmol/l\r\
                   OBX|3|NM|Jane Canary^^L||1\r";
    for id in ["M1", "M2"] {
        let answer = lab.send(id, unknown).await;
        assert!(answer.contains(&format!("MSA|AA|{id}")), "{answer}");
    }
    node.kill();
    let _node = lab.run();
    lab.send("M3", unknown).await;
    let found = lab.unmapped();
    assert_eq!(found.len(), 2, "{found:?}");
    let (masked, glucose) = (&found[0], &found[1]);
    assert_eq!(
        (
            &glucose["code"],
            &glucose["display"],
            &glucose["system"],
            &glucose["count"]
        ),
        (
            &"GLUC".into(),
            &"Glucose serum".into(),
            &"L".into(),
            &3.into()
        )
    );
    assert_eq!(
        (
            &glucose["sender"],
            &glucose["field"],
            &glucose["table"],
            &glucose["fate"]
        ),
        (
            &"LIS/NORTH".into(),
            &"OBX-3".into(),
            &"tables/lab.csv".into(),
            &"flagged".into()
        )
    );
    assert!(glucose["first-ms"].as_u64() < glucose["last-ms"].as_u64());
    let last = json(&["messages", "--at", &lab.at, "--control-id", "M3", "--json"]);
    assert_eq!(glucose["message"], last["message"]);
    assert_eq!(
        (&masked["code"], &masked["display"]),
        (&"(11)".into(), &"".into())
    );

    let metrics = get(&lab.at, "/metrics");
    assert!(
        metrics.contains("hilum_unmapped_codes{channel=\"lab\"} 2"),
        "{metrics}"
    );
    assert!(
        metrics.contains("hilum_unmapped_codes_total{channel=\"lab\"} 2"),
        "{metrics}"
    );
    let (out, _) = ends(&["codes", "unmapped", "--at", &lab.at], 0);
    assert!(out.contains("GLUC") && !format!("{metrics}{out}").contains("Canary"));

    let forget = [
        "codes", "forget", "--code", "GLUC", "--reason", "mapped", "--at", &lab.at,
    ];
    let (out, _) = ends(&forget, 0);
    assert_eq!(out, "1 codes forgotten\n");
    assert_eq!(lab.unmapped().len(), 1);
    lab.send("M4", unknown).await;
    assert_eq!(lab.unmapped()[1]["count"], 1);
}

#[tokio::test]
async fn somebody_is_told_of_new_codes_once() {
    let lab = Lab::new(TRANSLATE).await;
    let told = lab.folder.path().join("told");
    let channel = format!(
        "channel: alerts\nabout: a test\nfrom: {{ topic: hilum.alerts }}\nformat: json\n\
         to: {{ duty: {{ file: \"{}\" }} }}\n",
        text(&told)
    );
    lab.folder
        .file("site/channels/alerts.yaml", channel)
        .unwrap();
    std::fs::create_dir(&told).unwrap();
    let _node = lab.run();
    let alerts = || -> Vec<Value> {
        let files = std::fs::read_dir(&told).unwrap();
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "msg"))
            .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
            .collect()
    };
    lab.send(
        "M1",
        "OBX|1|NM|GLUC^Glucose^L||5\rOBX|2|NM|UREA^Urea^L||5\r",
    )
    .await;
    until("somebody is told", || !alerts().is_empty()).await;
    lab.send("M2", "OBX|1|NM|GLUC^Glucose^L||5\r").await;
    until("it is counted", || lab.unmapped()[0]["count"] == 2).await;
    let alerts = alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = &alerts[0];
    assert_eq!(
        (&alert["kind"], &alert["state"]),
        (&"unmapped-codes".into(), &"event".into())
    );
    let said = alert["text"].as_str().unwrap();
    assert!(
        said.starts_with("2 new codes came that no table has"),
        "{said}"
    );
    assert!(
        !alert.to_string().contains("GLUC"),
        "codes are listed where it is asked for"
    );
}

#[tokio::test]
async fn a_code_of_a_rejected_message_is_registered_too() {
    let lab =
        Lab::new("  - translate: { field: OBX-3, table: tables/lab.csv, unmapped: reject }").await;
    let _node = lab.run();
    let answer = lab.send("M1", "OBX|1|NM|GLUC^Glucose^L||5\r").await;
    assert!(answer.contains("MSA|AE|M1"), "{answer}");
    let found = lab.unmapped();
    assert_eq!(
        (&found[0]["code"], &found[0]["fate"]),
        (&"GLUC".into(), &"rejected".into())
    );
    assert_eq!(lab.ehr.count(), 0);
}

#[tokio::test]
async fn a_suggestion_is_used_when_two_steps_of_people_have_passed() {
    let lab = Lab::new(TRANSLATE).await;
    let _node = lab.run();
    let (site, table) = (text(&lab.site).to_owned(), text(&lab.table()).to_owned());
    let list = lab.folder.path().join("loinc.csv");
    lab.send("M1", "OBX|1|NM|GLUC^Glukose im Serum^L||5|mmol/L\r")
        .await;
    let suggest = [
        "codes",
        "suggest",
        &site,
        "--table",
        "tables/lab.csv",
        "--against",
        text(&list),
        "--at",
        &lab.at,
    ];
    let (out, _) = ends(&suggest, 0);
    assert!(out.contains("L,GLUC,Glukose im Serum,LN,2345-7,"), "{out}");
    let before = std::fs::read_to_string(&table).unwrap();
    assert_eq!(before, format!("{HEAD}{TABLE}"), "nothing was written");
    ends(&[&suggest[..], &["--append", "--limit", "1"]].concat(), 0);
    let appended = std::fs::read_to_string(&table).unwrap();
    assert!(
        appended.starts_with(&before) && appended.contains(",draft,hilum,"),
        "{appended}"
    );
    // It has a row now, if only a draft.
    let (out, _) = ends(&suggest, 0);
    assert!(!out.contains("GLUC"), "{out}");

    ends(&["reload", "--at", &lab.at], 0);
    lab.send("M2", "OBX|1|NM|GLUC^Glukose^L||5|mmol/L\r").await;
    let act = |act: &str, code: i32| {
        ends(
            &[
                "codes",
                act,
                &table,
                "--code",
                "GLUC",
                "--by",
                "Ann Example",
            ],
            code,
        )
    };
    let (_, error) = act("approve", 3);
    assert!(
        error.contains("line 4 is draft") && error.contains("hilum codes review"),
        "{error}"
    );
    act("review", 0);
    act("approve", 0);
    let approved = std::fs::read_to_string(&table).unwrap();
    assert!(
        approved.contains(",approved,hilum,") && approved.contains("Ann Example"),
        "{approved}"
    );
    assert!(
        approved.lines().nth(1) == before.lines().nth(1),
        "other rows are as they were"
    );
    ends(&["reload", "--at", &lab.at], 0);
    lab.send("M3", "OBX|1|NM|GLUC^Glukose^L||5|mmol/L\r").await;
    until("all have arrived", || lab.ehr.count() >= 3).await;
    let last = lab.ehr.received().pop().unwrap();
    let last = String::from_utf8(last.bytes.unwrap().to_vec()).unwrap();
    assert!(
        last.contains("|2345-7^Glucose [Mass/volume] in Serum or Plasma^LN|"),
        "{last}"
    );

    changed(&lab, &table);
    retired(&table);
}

/// What the change would have changed, and who has it as it was.
fn changed(lab: &Lab, table: &str) {
    let site = text(&lab.site);
    let impact = [
        "codes",
        "impact",
        site,
        "--table",
        "tables/lab.csv",
        "--at",
        &lab.at,
    ];
    let (out, _) = ends(&impact, 1);
    assert!(out.contains("2 of 3 messages"), "{out}");
    assert!(out.contains("GLUC: no row -> 2345-7 LN (line 4)"), "{out}");
    let (out, _) = ends(&[&impact[..], &["--json"]].concat(), 1);
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["delivered"][0], "ehr", "{first}");
    let id = json(&["messages", "--at", &lab.at, "--control-id", "M1", "--json"]);
    assert_eq!(first["message"], id["message"]);
    assert!(!out.contains("Canary"));
    // Against a file: now and then are the same.
    let (out, _) = ends(&[&impact[..], &["--old", table]].concat(), 0);
    assert!(out.contains("0 of 3 messages"), "{out}");
}

fn retired(table: &str) {
    let retire = |code: i32| {
        let by = ["--by", "Ann Example"];
        ends(
            &[&["codes", "retire", table, "--code", "GLUC"], &by[..]].concat(),
            code,
        )
    };
    retire(0);
    let retired = std::fs::read_to_string(table).unwrap();
    assert!(
        retired.contains(",retired,hilum,") && retired.contains("retired by Ann Example on"),
        "{retired}"
    );
    let (_, error) = retire(3);
    assert!(error.contains("it is retired already"), "{error}");
}

#[tokio::test]
async fn tables_of_high_risk_get_no_suggestions_and_need_two_people() {
    let steps = "  - translate: { field: OBX-6.1, table: tables/units.csv, unmapped: flag }";
    let lab = Lab::new(steps).await;
    let table = lab
        .folder
        .file(
            "site/tables/units.csv",
            "code,display,target,code,display,status,by\nMMOL,,UCUM,mmol/L,,reviewed,Ann\n",
        )
        .unwrap();
    let _node = lab.run();
    lab.send("M1", "OBX|1|NM|K||5|mmol/l\r").await;
    assert_eq!(lab.unmapped()[0]["code"], "mmol/l");
    let (site, table) = (text(&lab.site), text(&table));
    let suggest = [
        "codes",
        "suggest",
        site,
        "--table",
        "tables/units.csv",
        "--at",
        &lab.at,
    ];
    let (out, error) = ends(&suggest, 3);
    assert!(
        out.is_empty() && error.contains("about units: nothing is suggested"),
        "{error}"
    );
    let (_, error) = ends(&["codes", "suggest", site, "--at", &lab.at], 1);
    assert!(
        error.contains("about units: nothing is suggested"),
        "{error}"
    );

    let approve = |by| ["codes", "approve", table, "--code", "MMOL", "--by", by];
    let before = std::fs::read_to_string(table).unwrap();
    let (_, error) = ends(&approve("ann"), 3);
    assert!(error.contains("needs two different people"), "{error}");
    assert_eq!(std::fs::read_to_string(table).unwrap(), before);
    ends(&approve("Bob"), 0);
    ends(&["check", site], 0);
    let alone = std::fs::read_to_string(table)
        .unwrap()
        .replace("Bob", "Ann");
    std::fs::write(table, alone).unwrap();
    let (out, error) = ends(&["check", site], 1);
    let told = format!("{out}{error}");
    assert!(
        told.contains("tables/units.csv, line 2: one person alone"),
        "{told}"
    );
    assert!(told.contains("let a second person approve it"), "{told}");
}
