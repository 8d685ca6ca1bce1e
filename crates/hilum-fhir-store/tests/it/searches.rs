//! Searches by example; the model test compares everything else.

use hilum_fhir_store::{
    Chain, Criterion, Direction, Has, IndexValue, IntervalTest, Limits, NumberTest, Prefix,
    QuantityTest, ReferenceTest, SortBy, SortKey, StoreError, StringMode, Test, TokenTest,
    UnitTest, UriMode,
};

use crate::door::{Door, reference, token};

fn day(n: i64) -> IndexValue {
    IndexValue::Date {
        start_ms: n * 86_400_000,
        end_ms: (n + 1) * 86_400_000,
    }
}

fn mg(value: f64, code: &str) -> IndexValue {
    IndexValue::Quantity {
        low: value,
        high: value,
        system: Some("http://unitsofmeasure.org".into()),
        code: Some(code.into()),
        unit: None,
    }
}

async fn hospital() -> Door {
    let door = Door::new();
    door.put(
        "Patient/peter",
        &[
            ("identifier", token("urn:mrn", "7")),
            ("gender", token("", "male")),
            ("name", IndexValue::String("Müller".into())),
            ("birthdate", day(100)),
            ("profile", IndexValue::Uri("http://a/p/x".into())),
        ],
    )
    .await;
    door.put(
        "Patient/anna",
        &[
            ("identifier", token("urn:ssn", "7")),
            ("gender", token("", "female")),
            ("name", IndexValue::String("Mulligan".into())),
            ("birthdate", day(200)),
            ("link", reference("Patient/peter")),
        ],
    )
    .await;
    for (id, code, who, value) in [
        ("o1", "gluc", "Patient/peter", mg(5.4, "mg")),
        ("o2", "gluc", "Patient/anna", mg(0.0054, "g")),
        ("o3", "sodium", "Patient/anna", mg(140.0, "mmol/L")),
    ] {
        let part = |value| hilum_fhir_store::CompositePart(vec![value]);
        let pair = IndexValue::Composite(vec![
            part(token("http://loinc.org", code)),
            part(value.clone()),
        ]);
        door.put(
            &format!("Observation/{id}"),
            &[
                ("code", token("http://loinc.org", code)),
                ("subject", reference(who)),
                ("value", value),
                ("code-value", pair),
            ],
        )
        .await;
    }
    door
}

async fn check(door: &Door, of: &str, criterion: Criterion, expected: &[&str]) {
    let query = door.query(of, vec![criterion.clone()]);
    assert_eq!(door.ids(&query).await, expected, "{criterion:?}");
}

fn is(door: &Door, param: &str, test: Test) -> Criterion {
    Criterion::Param {
        params: vec![door.param(param)],
        test,
    }
}

fn quantity(value: &str, unit: UnitTest) -> QuantityTest {
    QuantityTest {
        number: NumberTest {
            prefix: Prefix::Eq,
            value: value.into(),
        },
        unit,
    }
}

#[tokio::test]
async fn tokens_are_found_by_code_and_system() {
    let door = hospital().await;
    let find = |test| is(&door, "Patient.identifier", Test::Token(vec![test]));
    check(
        &door,
        "Patient",
        find(TokenTest::Code("7".into())),
        &["peter", "anna"],
    )
    .await;
    check(
        &door,
        "Patient",
        find(TokenTest::SystemCode("urn:ssn".into(), "7".into())),
        &["anna"],
    )
    .await;
    check(
        &door,
        "Patient",
        find(TokenTest::System("urn:mrn".into())),
        &["peter"],
    )
    .await;
    check(&door, "Patient", find(TokenTest::NoSystem("7".into())), &[]).await;
    let male = Test::Token(vec![TokenTest::NoSystem("male".into())]);
    check(
        &door,
        "Patient",
        is(&door, "Patient.gender", male.clone()),
        &["peter"],
    )
    .await;
    let not = Criterion::ParamNot {
        params: vec![door.param("Patient.gender")],
        test: male,
    };
    check(&door, "Patient", not, &["anna"]).await;
    let missing = |missing| Criterion::Missing {
        params: vec![door.param("Patient.link")],
        missing,
    };
    check(&door, "Patient", missing(true), &["peter"]).await;
    check(&door, "Patient", missing(false), &["anna"]).await;
}

#[tokio::test]
async fn strings_and_uris_are_found_in_all_their_ways() {
    let door = hospital().await;
    let name = |mode, text: &str| is(&door, "Patient.name", Test::String(mode, vec![text.into()]));
    check(
        &door,
        "Patient",
        name(StringMode::Prefix, "MUL"),
        &["peter", "anna"],
    )
    .await;
    check(
        &door,
        "Patient",
        name(StringMode::Contains, "lLiG"),
        &["anna"],
    )
    .await;
    check(
        &door,
        "Patient",
        name(StringMode::Exact, "Müller"),
        &["peter"],
    )
    .await;
    check(&door, "Patient", name(StringMode::Exact, "Muller"), &[]).await;
    let uri = |mode, text: &str| is(&door, "Patient.profile", Test::Uri(mode, vec![text.into()]));
    check(
        &door,
        "Patient",
        uri(UriMode::Equal, "http://a/p/x"),
        &["peter"],
    )
    .await;
    check(
        &door,
        "Patient",
        uri(UriMode::Below, "http://a/p"),
        &["peter"],
    )
    .await;
    check(&door, "Patient", uri(UriMode::Below, "http://a/p/x/y"), &[]).await;
    check(
        &door,
        "Patient",
        uri(UriMode::Above, "http://a/p/x/y"),
        &["peter"],
    )
    .await;
}

#[tokio::test]
async fn quantities_are_compared_by_what_their_units_mean() {
    let door = hospital().await;
    let ucum = |code: &str| UnitTest::System("http://unitsofmeasure.org".into(), code.into());
    let value = |test| is(&door, "Observation.value", Test::Quantity(vec![test]));
    check(
        &door,
        "Observation",
        value(quantity("5.4", ucum("mg"))),
        &["o1", "o2"],
    )
    .await;
    check(
        &door,
        "Observation",
        value(quantity("5400", ucum("ug"))),
        &["o1", "o2"],
    )
    .await;
    check(
        &door,
        "Observation",
        value(quantity("5.4", UnitTest::Any)),
        &["o1"],
    )
    .await;
    check(
        &door,
        "Observation",
        value(quantity("5.4", UnitTest::Code("mg".into()))),
        &["o1"],
    )
    .await;
    let pair = |code: &str, test| {
        let code = Test::Token(vec![TokenTest::Code(code.into())]);
        is(
            &door,
            "Observation.code-value",
            Test::Composite(vec![vec![code, Test::Quantity(vec![test])]]),
        )
    };
    check(
        &door,
        "Observation",
        pair("gluc", quantity("5.4", ucum("mg"))),
        &["o1", "o2"],
    )
    .await;
    check(
        &door,
        "Observation",
        pair("gluc", quantity("140", UnitTest::Any)),
        &[],
    )
    .await;
    check(
        &door,
        "Observation",
        pair("sodium", quantity("140", UnitTest::Any)),
        &["o3"],
    )
    .await;
}

#[tokio::test]
async fn chains_and_reverse_chains_follow_references() {
    let door = hospital().await;
    let name = |text: &str| {
        is(
            &door,
            "Patient.name",
            Test::String(StringMode::Prefix, vec![text.into()]),
        )
    };
    let chain = |criteria| {
        Criterion::Chain(Box::new(Chain {
            params: vec![door.param("Observation.subject")],
            types: vec![door.of("Patient")],
            criteria,
        }))
    };
    check(
        &door,
        "Observation",
        chain(vec![name("mulli")]),
        &["o2", "o3"],
    )
    .await;
    let link = Criterion::Chain(Box::new(Chain {
        params: vec![door.param("Patient.link")],
        types: vec![],
        criteria: vec![name("müller")],
    }));
    check(&door, "Observation", chain(vec![link]), &["o2", "o3"]).await;
    let has = |code: &str| {
        let code = Test::Token(vec![TokenTest::Code(code.into())]);
        Criterion::Has(Box::new(Has {
            resource_type: door.of("Observation"),
            params: vec![door.param("Observation.subject")],
            criteria: vec![is(&door, "Observation.code", code)],
        }))
    };
    check(&door, "Patient", has("sodium"), &["anna"]).await;
    check(&door, "Patient", has("gluc"), &["peter", "anna"]).await;
    check(
        &door,
        "Patient",
        Criterion::Not(Box::new(has("sodium"))),
        &["peter"],
    )
    .await;
    let subject = Test::Reference(vec![ReferenceTest::Local(vec![], "peter".into())]);
    check(
        &door,
        "Observation",
        is(&door, "Observation.subject", subject),
        &["o1"],
    )
    .await;
    let found = door
        .store
        .search(door.query("Observation", vec![]))
        .await
        .unwrap();
    let pks: Vec<_> = found.found.iter().map(|f| f.pk).collect();
    let included = door
        .store
        .references(pks, vec![door.param("Observation.subject")])
        .await
        .unwrap();
    let included = door.store.fetch(included).await.unwrap();
    assert_eq!(included.len(), 2);
    let anna = included.iter().find(|one| &*one.id == "anna").unwrap().pk;
    let back = door
        .store
        .referencing(vec![anna], vec![door.param("Observation.subject")], 10)
        .await
        .unwrap();
    assert_eq!(back.len(), 2);
}

#[tokio::test]
async fn dates_ids_and_times_of_change_are_found() {
    let door = hospital().await;
    let born = |prefix, from: i64, to: i64| {
        let test = IntervalTest {
            prefix,
            start_ms: from * 86_400_000,
            end_ms: to * 86_400_000,
        };
        is(&door, "Patient.birthdate", Test::Date(vec![test]))
    };
    check(&door, "Patient", born(Prefix::Eq, 90, 110), &["peter"]).await;
    check(&door, "Patient", born(Prefix::Gt, 100, 101), &["anna"]).await;
    check(
        &door,
        "Patient",
        born(Prefix::Le, 200, 201),
        &["peter", "anna"],
    )
    .await;
    let ids = Criterion::Ids(vec!["anna".into(), "nobody".into()]);
    check(&door, "Patient", ids, &["anna"]).await;
    door.tick(1000);
    door.put("Patient/late", &[]).await;
    let since = IntervalTest {
        prefix: Prefix::Gt,
        start_ms: crate::door::NOON,
        end_ms: crate::door::NOON + 1,
    };
    check(
        &door,
        "Patient",
        Criterion::LastUpdated(vec![since]),
        &["late"],
    )
    .await;
}

#[tokio::test]
async fn words_of_the_full_text_are_found_until_the_text_changes() {
    let door = Door::new();
    let text = |text: &str| IndexValue::FullText(text.to_owned());
    door.put(
        "Patient/a",
        &[
            ("_text", text("Chronic rénal failure")),
            ("_content", text("kidney")),
        ],
    )
    .await;
    door.put("Patient/b", &[("_text", text("renal \"stone\""))])
        .await;
    let find = |param: &str, words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        is(&door, &format!("Patient.{param}"), Test::FullText(words))
    };
    check(&door, "Patient", find("_text", &["renal"]), &["a", "b"]).await;
    check(
        &door,
        "Patient",
        find("_text", &["RENAL", "chronic"]),
        &["a"],
    )
    .await;
    check(&door, "Patient", find("_text", &["kidney"]), &[]).await;
    check(&door, "Patient", find("_content", &["kidney"]), &["a"]).await;
    check(
        &door,
        "Patient",
        find("_text", &["\" OR narrative:stone"]),
        &[],
    )
    .await;
    door.put("Patient/a", &[("_text", text("well"))]).await;
    door.commit(vec![door.delete("Patient/b")]).await.unwrap();
    check(&door, "Patient", find("_text", &["renal"]), &[]).await;
    check(&door, "Patient", find("_text", &["well"]), &["a"]).await;
}

#[tokio::test]
async fn a_long_list_of_matches_is_walked_along_the_order_of_the_page() {
    let door = Door::new();
    let patient = |n: i64| {
        let gender = if n % 5 == 0 { "female" } else { "male" };
        let rows = [
            ("gender", token("", gender)),
            ("birthdate", day(n * 7 % 6000)),
        ];
        door.update(&format!("Patient/p{n}"), &rows)
    };
    door.commit((0..6000).map(patient).collect()).await.unwrap();
    let male = Test::Token(vec![TokenTest::Code("male".into())]);
    let mut query = door.query("Patient", vec![is(&door, "Patient.gender", male)]);
    let by = SortBy::Param(vec![door.param("Patient.birthdate")]);
    query.sort = vec![SortKey {
        by,
        direction: Direction::Descending,
    }];
    query.count = 1000;
    let listed = door.ids(&query).await;
    query.count = 30;
    assert!(
        door.store
            .explain(query.clone())
            .await
            .unwrap()
            .contains("walks")
    );
    assert_eq!(door.ids(&query).await, listed);
    assert_eq!(listed.len(), 4800);
}

#[tokio::test]
async fn a_long_list_is_narrowed_by_frequent_tokens_without_being_fetched() {
    let door = Door::new();
    let observation = |n: i64| {
        let who = if n % 20 < 10 {
            "Patient/peter"
        } else {
            "Patient/anna"
        };
        let code = if n % 3 == 0 { "gluc" } else { "sodium" };
        let rows = [("subject", reference(who)), ("code", token("", code))];
        door.update(&format!("Observation/o{n}"), &rows)
    };
    door.commit((0..5000).map(observation).collect())
        .await
        .unwrap();
    let subject = Test::Reference(vec![ReferenceTest::Local(
        vec![door.of("Patient")],
        "peter".into(),
    )]);
    let code = Test::Token(vec![TokenTest::Code("gluc".into())]);
    let criteria = vec![
        is(&door, "Observation.subject", subject),
        is(&door, "Observation.code", code),
    ];
    let found = door.ids(&door.query("Observation", criteria)).await;
    let expected: Vec<String> = (0..5000)
        .filter(|n| n % 20 < 10 && n % 3 == 0)
        .map(|n| format!("o{n}"))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn one_resource_for_each_different_value_is_listed() {
    let limits = Limits {
        distinct_max: 4,
        ..Limits::default()
    };
    let door = Door::with(limits);
    for (id, system, code) in [
        ("a", "urn:x", "1"),
        ("b", "urn:x", "1"),
        ("c", "urn:y", "1"),
        ("d", "urn:x", "2"),
    ] {
        door.put(
            &format!("Patient/{id}"),
            &[("identifier", token(system, code))],
        )
        .await;
    }
    let profile = IndexValue::Uri("http://a/p/x".into());
    door.put("Patient/e", &[("profile", profile)]).await;
    let params = vec![
        door.param("Patient.identifier"),
        door.param("Patient.profile"),
    ];
    let listed = door.store.one_of_each(params.clone()).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|stored| &*stored.id).collect();
    assert_eq!(ids, ["a", "c", "d", "e"]);
    door.commit(vec![door.delete("Patient/c")]).await.unwrap();
    assert_eq!(
        door.store.one_of_each(params.clone()).await.unwrap().len(),
        3
    );
    for (id, code) in [("f", "3"), ("g", "4")] {
        door.put(&format!("Patient/{id}"), &[("identifier", token("", code))])
            .await;
    }
    let refused = door.store.one_of_each(params).await.unwrap_err();
    let named = StoreError::Limit {
        limit: "distinct_max",
        max: 4,
    };
    assert_eq!(refused.to_string(), named.to_string());
}
