//! What is asked: what applications ask for, each with values from the data.

use hilum_fhir_store::{
    Chain, Criterion, Direction, Has, IntervalTest, NumberTest, ParamKey, Prefix, QuantityTest,
    Query, ReferenceTest, SortBy, SortKey, Store, StringMode, Test, TokenTest, Total, UnitTest,
};
use serde_json::Value;

use crate::data::Data;

/// Where values come from.
pub(crate) struct Draw<'a> {
    pub(crate) store: &'a Store,
    pub(crate) data: &'a Data,
    pub(crate) rounds: usize,
    pub(crate) n: usize,
}

/// What comes with the matches.
pub(crate) enum Include {
    None,
    Forward(ParamKey),
    Reverse(ParamKey),
}

pub(crate) type Shape = fn(&Draw<'_>) -> (Query, Include);

impl<'a> Draw<'a> {
    fn param(&self, name: &str) -> ParamKey {
        let (of, code) = name.split_once('.').unwrap();
        let catalog = self.store.catalog();
        catalog
            .param(catalog.resource_type(of).unwrap(), code)
            .unwrap()
            .key
    }

    fn pick(&self, of: &str, take: impl Fn(&'a Value) -> Option<&'a str>) -> &'a str {
        let values = &self.data.values;
        let (before, from) = values.split_at(self.n * 7919 % values.len());
        let mut turned = from.iter().chain(before);
        turned
            .find_map(|value| {
                if value["resourceType"] == of {
                    take(value)
                } else {
                    None
                }
            })
            .unwrap()
    }

    fn is(&self, param: &str, test: Test) -> Criterion {
        Criterion::Param {
            params: vec![self.param(param)],
            test,
        }
    }

    fn token(&self, param: &str, code: &str) -> Criterion {
        self.is(param, code_test(code))
    }

    fn code(&self, param: &str, of: &str, element: &'static str) -> Criterion {
        self.token(
            param,
            self.pick(of, |value| value[element]["coding"][0]["code"].as_str()),
        )
    }

    fn observation(&self) -> &'a str {
        self.pick("Observation", |value| {
            value["code"]["coding"][0]["code"].as_str()
        })
    }

    fn patient(&self, param: &str) -> Criterion {
        let id = self
            .data
            .patient_id(self.n * 7 % self.data.patients(), self.n * 13 % self.rounds);
        self.local(param, "Patient", id)
    }

    fn local(&self, param: &str, of: &str, id: String) -> Criterion {
        let of = self.store.catalog().resource_type(of).unwrap();
        self.is(
            param,
            Test::Reference(vec![ReferenceTest::Local(vec![of], id)]),
        )
    }

    fn day(&self, param: &str, prefix: Prefix, days: i64) -> Criterion {
        let start_ms = 1_500_000_000_000 / 86_400_000 * 86_400_000 + self.n as i64 * 86_400_000;
        let end_ms = start_ms + days * 86_400_000;
        self.is(
            param,
            Test::Date(vec![IntervalTest {
                prefix,
                start_ms,
                end_ms,
            }]),
        )
    }

    fn family(&self) -> Criterion {
        let family = self.pick("Patient", |value| value["name"][0]["family"].as_str());
        self.is(
            "Patient.family",
            Test::String(StringMode::Prefix, vec![family.to_owned()]),
        )
    }

    fn query(&self, of: &str, criteria: Vec<Criterion>, count: u32) -> Query {
        Query {
            types: vec![self.store.catalog().resource_type(of).unwrap()],
            criteria,
            count,
            ..Query::default()
        }
    }

    fn newest(&self, param: &str, mut query: Query) -> Query {
        let by = SortBy::Param(vec![self.param(param)]);
        query.sort.push(SortKey {
            by,
            direction: Direction::Descending,
        });
        query
    }

    fn plain(&self, of: &str, criteria: Vec<Criterion>, count: u32) -> (Query, Include) {
        (self.query(of, criteria, count), Include::None)
    }
}

fn code_test(code: &str) -> Test {
    Test::Token(vec![TokenTest::Code(code.to_owned())])
}

fn above(value: &str) -> Test {
    let number = NumberTest {
        prefix: Prefix::Gt,
        value: value.to_owned(),
    };
    Test::Quantity(vec![QuantityTest {
        number,
        unit: UnitTest::Any,
    }])
}

fn counted((mut query, include): (Query, Include)) -> (Query, Include) {
    (query.count, query.total) = (0, Total::Accurate);
    (query, include)
}

fn identifier(d: &Draw<'_>) -> Criterion {
    let found = d.pick("Patient", |value| value["identifier"][1]["value"].as_str());
    d.token("Patient.identifier", found)
}

/// Name and query.
pub(crate) const SHAPES: [(&str, Shape); 33] = [
    ("patient by identifier", |d| {
        d.plain("Patient", vec![identifier(d)], 20)
    }),
    ("patient by name", |d| {
        d.plain("Patient", vec![d.family()], 20)
    }),
    ("patient by part of a name", |d| {
        let part = d.is(
            "Patient.name",
            Test::String(StringMode::Contains, vec!["ann".into()]),
        );
        d.plain("Patient", vec![part], 20)
    }),
    ("patient by name and birth date", |d| {
        let birth = d.day("Patient.birthdate", Prefix::Lt, 1);
        d.plain("Patient", vec![d.family(), birth], 20)
    }),
    ("patients by birth date, sex", |d| {
        let birth = d.day("Patient.birthdate", Prefix::Lt, 1);
        d.plain(
            "Patient",
            vec![birth, d.token("Patient.gender", "female")],
            20,
        )
    }),
    ("patients of a city", |d| {
        let city = d.pick("Patient", |value| value["address"][0]["city"].as_str());
        let test = Test::String(StringMode::Prefix, vec![city.to_owned()]);
        d.plain("Patient", vec![d.is("Patient.address-city", test)], 50)
    }),
    ("patients by name, sorted", |d| {
        let mut query = d.query("Patient", vec![d.token("Patient.gender", "male")], 20);
        let by = |name| SortKey {
            by: SortBy::Param(vec![d.param(name)]),
            direction: Direction::Ascending,
        };
        query.sort = vec![by("Patient.family"), by("Patient.birthdate")];
        (query, Include::None)
    }),
    ("patient with its conditions", |d| {
        let id = d.data.patient_id(d.n % d.data.patients(), d.n % d.rounds);
        let query = d.query("Patient", vec![Criterion::Ids(vec![id])], 20);
        (query, Include::Reverse(d.param("Condition.patient")))
    }),
    ("patients with a condition", |d| {
        let has = Has {
            resource_type: d.store.catalog().resource_type("Condition").unwrap(),
            params: vec![d.param("Condition.patient")],
            criteria: vec![d.code("Condition.code", "Condition", "code")],
        };
        d.plain("Patient", vec![Criterion::Has(Box::new(has))], 20)
    }),
    ("count of men", |d| {
        counted(d.plain("Patient", vec![d.token("Patient.gender", "male")], 0))
    }),
    ("observations of a patient", |d| {
        d.plain("Observation", vec![d.patient("Observation.patient")], 100)
    }),
    ("observations of a patient by code", |d| {
        let code = d.token("Observation.code", d.observation());
        d.plain(
            "Observation",
            vec![d.patient("Observation.patient"), code],
            20,
        )
    }),
    ("last observation of a code", |d| {
        let code = d.token("Observation.code", d.observation());
        let query = d.query(
            "Observation",
            vec![d.patient("Observation.patient"), code],
            1,
        );
        (d.newest("Observation.date", query), Include::None)
    }),
    ("vital signs since a day", |d| {
        let category = d.token("Observation.category", "vital-signs");
        let day = d.day("Observation.date", Prefix::Ge, 1);
        d.plain(
            "Observation",
            vec![d.patient("Observation.patient"), category, day],
            20,
        )
    }),
    ("observations by patient's identifier", |d| {
        let chain = Chain {
            params: vec![d.param("Observation.patient")],
            types: vec![d.store.catalog().resource_type("Patient").unwrap()],
            criteria: vec![identifier(d)],
        };
        d.plain("Observation", vec![Criterion::Chain(Box::new(chain))], 50)
    }),
    ("observations of men, newest first", |d| {
        let chain = Chain {
            params: vec![d.param("Observation.patient")],
            types: vec![d.store.catalog().resource_type("Patient").unwrap()],
            criteria: vec![d.token("Patient.gender", "male")],
        };
        let code = d.token("Observation.code", d.observation());
        let query = d.query(
            "Observation",
            vec![Criterion::Chain(Box::new(chain)), code],
            20,
        );
        (d.newest("Observation.date", query), Include::None)
    }),
    ("observations of an encounter", |d| {
        let patient = d.n * 7 % d.data.patients();
        let at = d.data.first(patient, "Encounter").unwrap_or(0);
        let id = d.data.id(patient, at, d.n * 13 % d.rounds);
        d.plain(
            "Observation",
            vec![d.local("Observation.encounter", "Encounter", id)],
            20,
        )
    }),
    ("values above", |d| {
        let code = d.token("Observation.code", d.observation());
        d.plain(
            "Observation",
            vec![code, d.is("Observation.value-quantity", above("100"))],
            20,
        )
    }),
    ("code and value together", |d| {
        let both = Test::Composite(vec![vec![code_test(d.observation()), above("20")]]);
        let both = d.is("Observation.code-value-quantity", both);
        d.plain(
            "Observation",
            vec![both, d.patient("Observation.patient")],
            20,
        )
    }),
    ("systolic above", |d| {
        let both = Test::Composite(vec![vec![code_test("8480-6"), above("130")]]);
        d.plain(
            "Observation",
            vec![d.is("Observation.component-code-value-quantity", both)],
            20,
        )
    }),
    ("latest laboratory results of all", |d| {
        let status = d.token("Observation.status", "final");
        let category = d.token("Observation.category", "laboratory");
        let query = d.query("Observation", vec![status, category], 20);
        (d.newest("Observation.date", query), Include::None)
    }),
    ("laboratory results, counted", |d| {
        let category = d.token("Observation.category", "laboratory");
        counted(d.plain("Observation", vec![category], 0))
    }),
    ("active conditions", |d| {
        let active = d.token("Condition.clinical-status", "active");
        d.plain(
            "Condition",
            vec![d.patient("Condition.patient"), active],
            20,
        )
    }),
    ("conditions with their patients", |d| {
        let query = d.query(
            "Condition",
            vec![d.code("Condition.code", "Condition", "code")],
            20,
        );
        (query, Include::Forward(d.param("Condition.subject")))
    }),
    ("last encounters", |d| {
        let query = d.query("Encounter", vec![d.patient("Encounter.patient")], 5);
        (d.newest("Encounter.date", query), Include::None)
    }),
    ("encounters of a month", |d| {
        d.plain(
            "Encounter",
            vec![d.day("Encounter.date", Prefix::Eq, 30)],
            50,
        )
    }),
    ("orders of a drug", |d| {
        let code = d.code(
            "MedicationRequest.code",
            "MedicationRequest",
            "medicationCodeableConcept",
        );
        d.plain("MedicationRequest", vec![code], 20)
    }),
    ("active orders of drugs", |d| {
        let status = d.token("MedicationRequest.status", "active");
        d.plain(
            "MedicationRequest",
            vec![d.patient("MedicationRequest.patient"), status],
            20,
        )
    }),
    ("reports with their results", |d| {
        let query = d.query(
            "DiagnosticReport",
            vec![d.patient("DiagnosticReport.patient")],
            10,
        );
        (query, Include::Forward(d.param("DiagnosticReport.result")))
    }),
    ("reports, newest first", |d| {
        let query = d.query(
            "DiagnosticReport",
            vec![d.patient("DiagnosticReport.patient")],
            20,
        );
        (d.newest("DiagnosticReport.date", query), Include::None)
    }),
    ("procedures since a day", |d| {
        let day = d.day("Procedure.date", Prefix::Ge, 1);
        d.plain("Procedure", vec![d.patient("Procedure.patient"), day], 20)
    }),
    ("doses of a vaccine", |d| {
        let code = d.code("Immunization.vaccine-code", "Immunization", "vaccineCode");
        d.plain(
            "Immunization",
            vec![d.patient("Immunization.patient"), code],
            20,
        )
    }),
    ("claims of a patient, counted", |d| {
        counted(d.plain("Claim", vec![d.patient("Claim.patient")], 0))
    }),
];
