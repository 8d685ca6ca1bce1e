//! What a list that is all there is does not have any more has ended, in whatever order the lists come.

use serde_json::{Value, json};

use crate::kit::Server;
use crate::linked::told;

const ALLERGIES: &str = "AllergyIntolerance@a";
const PEOPLE: &str = "RelatedPerson@b";
const DIAGNOSES: &str = "Condition@c";
const PROCEDURES: &str = "Procedure@d";
const SEEN: &str = "Observation@e";
const INSURANCES: &str = "Coverage@f";

fn patient() -> Value {
    json!({"resourceType": "Patient", "id": "anna",
        "identifier": [{"system": "http://h.example/mrn", "value": "anna"}]})
}

fn of_anna(ty: &str, id: &str, more: &Value) -> Value {
    let owner = match ty {
        "Coverage" => "beneficiary",
        "AllergyIntolerance" | "RelatedPerson" => "patient",
        _ => "subject",
    };
    let mut resource = json!({"resourceType": ty, "id": id, owner: {"reference": "Patient/anna"}});
    let more = more.as_object().unwrap().clone();
    resource.as_object_mut().unwrap().extend(more);
    resource
}

fn allergy(id: &str) -> Value {
    let active = json!({"coding": [{"system":
        "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]});
    let more = json!({"clinicalStatus": active, "code": {"text": id}});
    of_anna("AllergyIntolerance", id, &more)
}

fn wife(period: &Value) -> Value {
    let mut wife = of_anna("RelatedPerson", "wife", &json!({"name": [{"text": "Bea"}]}));
    if period.is_object() {
        wife["period"] = period.clone();
    }
    wife
}

async fn get(server: &Server, path: &str) -> Value {
    server.get(path).await.json()
}

fn clinical(resource: &Value) -> &str {
    let code = &resource["clinicalStatus"]["coding"][0]["code"];
    code.as_str().unwrap_or_default()
}

/// A message with all allergies of the patient.
async fn allergies(server: &Server, at: i64, ids: &[&str]) {
    let whole = format!("whole={ALLERGIES}");
    let listed = format!("listed={ALLERGIES}");
    let (whole, listed) = ([whole.as_str()], [listed.as_str()]);
    let urls: Vec<String> = ids
        .iter()
        .map(|id| format!("AllergyIntolerance/{id}"))
        .collect();
    let mut all: Vec<(Value, &str, &[&str])> = vec![(patient(), "Patient/anna", &whole)];
    for (id, url) in ids.iter().zip(&urls) {
        all.push((allergy(id), url, &listed));
    }
    told(server, at, &all).await;
}

#[tokio::test]
async fn lists_end_what_they_do_not_have_in_whatever_order_they_come() {
    let story: [(i64, &[&str]); 4] = [
        (10, &["pen", "latex"]),
        (20, &["latex"]),
        (30, &["latex", "nuts"]),
        (40, &["pen", "nuts"]),
    ];
    for order in [
        [0, 1, 2, 3],
        [3, 2, 1, 0],
        [1, 0, 3, 2],
        [2, 3, 0, 1],
        [3, 0, 1, 2],
        [1, 3, 0, 2],
    ] {
        let server = Server::start().await;
        for at in order {
            let (time, ids) = story[at];
            allergies(&server, time, ids).await;
            // The same once more.
            allergies(&server, time, ids).await;
        }
        for (id, expected) in [("pen", "active"), ("latex", "inactive"), ("nuts", "active")] {
            let found = get(&server, &format!("/AllergyIntolerance/{id}")).await;
            assert_eq!(clinical(&found), expected, "{order:?}: {found}");
            assert_eq!(found["code"]["text"], id);
        }
    }
}

#[tokio::test]
async fn what_no_such_list_had_stays() {
    let server = Server::start().await;
    // Of an application, of a message that is no snapshot, and of another system's list.
    let own = server.put("/Patient/anna", &patient()).await;
    assert!(own.status.is_success(), "{own:?}");
    let own = server.put("/AllergyIntolerance/own", &allergy("own")).await;
    assert!(own.status.is_success(), "{own:?}");
    told(
        &server,
        5,
        &[(allergy("delta"), "AllergyIntolerance/delta", &[])],
    )
    .await;
    let other: &[&str] = &["listed=AllergyIntolerance@other"];
    told(
        &server,
        6,
        &[(allergy("other"), "AllergyIntolerance/other", other)],
    )
    .await;
    allergies(&server, 10, &["pen"]).await;
    // A message that says nothing of allergies.
    told(&server, 20, &[(patient(), "Patient/anna", &[])]).await;
    for id in ["own", "delta", "other", "pen"] {
        let found = get(&server, &format!("/AllergyIntolerance/{id}")).await;
        assert_eq!(clinical(&found), "active", "{found}");
    }
    // A list that is said to be empty.
    allergies(&server, 30, &[]).await;
    for (id, expected) in [
        ("own", "active"),
        ("delta", "active"),
        ("other", "active"),
        ("pen", "inactive"),
    ] {
        let found = get(&server, &format!("/AllergyIntolerance/{id}")).await;
        assert_eq!(clinical(&found), expected, "{found}");
    }
    // What somebody said later than the list stays too.
    allergies(&server, 40, &["pen"]).await;
    let mut doubted = allergy("pen");
    doubted["criticality"] = json!("low");
    let own = server.put("/AllergyIntolerance/pen", &doubted).await;
    assert!(own.status.is_success(), "{own:?}");
    allergies(&server, 50, &[]).await;
    let found = get(&server, "/AllergyIntolerance/pen").await;
    assert_eq!(clinical(&found), "active", "{found}");
}

#[tokio::test]
async fn each_type_ends_as_r4_defines_it() {
    let server = Server::start().await;
    let visit = json!({"resourceType": "Encounter", "id": "v", "status": "in-progress",
        "class": {"code": "IMP"}, "subject": {"reference": "Patient/anna"}});
    let account = json!({"resourceType": "Account", "id": "a", "status": "active",
        "subject": [{"reference": "Patient/anna"}]});
    let confirmed = json!({"coding": [{"system":
        "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}]});
    let flu = json!({"verificationStatus": confirmed, "code": {"text": "flu"}});
    let flu = of_anna("Condition", "flu", &flu);
    let done = json!({"status": "completed", "code": {"text": "x"}, "performedDateTime": "1969"});
    let done = of_anna("Procedure", "done", &done);
    let weight = json!({"status": "final", "code": {"text": "w"}, "valueString": "70"});
    let weight = of_anna("Observation", "weight", &weight);
    let plan =
        json!({"status": "active", "payor": [{"display": "x"}], "period": {"end": "2099-12-31"}});
    let plan = of_anna("Coverage", "plan", &plan);
    let own = wife(&Value::Null);
    let mut former = wife(&json!({"start": "1960", "end": "1969-05-01"}));
    former["id"] = json!("former");
    let of = |name: &str| [format!("listed={name}"), format!("whole={name}")];
    let [people, all_people] = of(PEOPLE);
    let [diagnoses, all_diagnoses] = of(DIAGNOSES);
    let [procedures, all_procedures] = of(PROCEDURES);
    let [seen, all_seen] = of(SEEN);
    let [insurances, all_insurances] = of(INSURANCES);
    let of_visit = format!(
        "{all_diagnoses} {} {}",
        all_procedures.replace("whole=", ""),
        all_seen.replace("whole=", "")
    );
    let owners: [(Value, &str, &[&str]); 3] = [
        (patient(), "Patient/anna", &[&all_people]),
        (visit, "Encounter/v", &[&of_visit]),
        (account, "Account/a", &[&all_insurances]),
    ];
    let first: [(Value, &str, &[&str]); 6] = [
        (own, "RelatedPerson/wife", &[&people]),
        (former, "RelatedPerson/former", &[&people]),
        (flu, "Condition/flu", &[&diagnoses]),
        (done, "Procedure/done", &[&procedures]),
        (weight, "Observation/weight", &[&seen]),
        (plan, "Coverage/plan", &[&insurances]),
    ];
    let all = [owners.as_slice(), first.as_slice()].concat();
    told(&server, 10, &all).await;
    let before = get(&server, "/Condition/flu").await;
    assert_eq!(clinical(&before), "", "{before}");
    told(&server, 20, &owners).await;
    // The first again, late.
    told(&server, 10, &all).await;

    let flu = get(&server, "/Condition/flu").await;
    assert_eq!(clinical(&flu), "inactive", "{flu}");
    assert_eq!(flu["verificationStatus"]["coding"][0]["code"], "confirmed");
    for path in ["/Procedure/done", "/Observation/weight"] {
        let found = get(&server, path).await;
        assert_eq!(found["status"], "entered-in-error", "{found}");
    }
    let weight = get(&server, "/Observation/weight").await;
    assert_eq!(weight["valueString"], "70");
    let end = "1970-01-01T00:00:00.020Z";
    let plan = get(&server, "/Coverage/plan").await;
    assert_eq!(plan["status"], "cancelled", "{plan}");
    assert_eq!(plan["period"]["end"], end);
    let wife = get(&server, "/RelatedPerson/wife").await;
    assert_eq!(wife["active"], false, "{wife}");
    assert_eq!(wife["period"]["end"], end);
    let former = get(&server, "/RelatedPerson/former").await;
    assert_eq!(former["active"], false, "{former}");
    assert_eq!(former["period"]["end"], "1969-05-01");

    // A newer list has them again: nothing of the end is left.
    told(&server, 30, &all).await;
    told(&server, 20, &owners).await;
    let flu = get(&server, "/Condition/flu").await;
    assert_eq!(clinical(&flu), "", "{flu}");
    assert_eq!(flu["verificationStatus"]["coding"][0]["code"], "confirmed");
    assert_eq!(get(&server, "/Procedure/done").await["status"], "completed");
    assert_eq!(get(&server, "/Observation/weight").await["status"], "final");
    let plan = get(&server, "/Coverage/plan").await;
    assert_eq!(
        (&plan["status"], &plan["period"]["end"]),
        (&json!("active"), &json!("2099-12-31"))
    );
    let wife = get(&server, "/RelatedPerson/wife").await;
    assert!(
        wife["active"].is_null() && wife["period"].is_null(),
        "{wife}"
    );
}

#[tokio::test]
async fn who_was_here_again_before_a_late_list_came_stays() {
    let server = Server::start().await;
    let whole = format!("whole={PEOPLE}");
    let listed = format!("listed={PEOPLE}");
    let (whole, listed) = ([whole.as_str()], [listed.as_str()]);
    let with = [
        (patient(), "Patient/anna", &whole[..]),
        (wife(&Value::Null), "RelatedPerson/wife", &listed[..]),
    ];
    told(&server, 10, &with).await;
    told(&server, 30, &with).await;
    told(&server, 20, &with[..1]).await;
    let found = get(&server, "/RelatedPerson/wife").await;
    assert!(
        found["active"].is_null() && found["period"].is_null(),
        "{found}"
    );
    assert_eq!(
        found["meta"]["versionId"], "2",
        "a late list writes nothing of it"
    );
}
