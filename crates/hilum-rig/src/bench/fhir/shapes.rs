//! The searches that are measured: what applications ask for, each with values from the data.

/// Name and query; `{…}` is drawn anew for each request.
pub(super) const SHAPES: [(&str, &str); 30] = [
    ("patient by identifier", "Patient?identifier={identifier}"),
    ("patient by name", "Patient?family={family}&_count=20"),
    (
        "patient by name and birth date",
        "Patient?family={family}&birthdate={birth}",
    ),
    (
        "patients by birth date, sex",
        "Patient?birthdate=ge{birth}&gender=female&_count=20",
    ),
    (
        "patients of a city",
        "Patient?address-city={city}&_count=50",
    ),
    (
        "patient with its conditions",
        "Patient?_id={patient}&_revinclude=Condition:patient",
    ),
    (
        "patients with a condition",
        "Patient?_has:Condition:patient:code={condition}&_count=20",
    ),
    ("count of men", "Patient?gender=male&_summary=count"),
    (
        "observations of a patient",
        "Observation?patient={patient}&_count=100",
    ),
    (
        "observations of a patient by code",
        "Observation?patient={patient}&code={observation}",
    ),
    (
        "last observation of a code",
        "Observation?patient={patient}&code={observation}&_sort=-date&_count=1",
    ),
    (
        "vital signs since a day",
        "Observation?patient={patient}&category=vital-signs&date=ge{day}",
    ),
    (
        "observations by patient's identifier",
        "Observation?patient.identifier={identifier}&_count=50",
    ),
    (
        "observations of an encounter",
        "Observation?encounter=Encounter/{encounter}",
    ),
    (
        "values above",
        "Observation?code={observation}&value-quantity=gt100&_count=20",
    ),
    (
        "code and value together",
        "Observation?code-value-quantity={observation}$gt20&patient={patient}",
    ),
    (
        "systolic above",
        "Observation?component-code-value-quantity=http://loinc.org%7C8480-6$gt130&_count=20",
    ),
    (
        "latest laboratory results of all",
        "Observation?status=final&category=laboratory&_sort=-date&_count=20",
    ),
    (
        "active conditions",
        "Condition?patient={patient}&clinical-status=active",
    ),
    (
        "conditions with their patients",
        "Condition?code={condition}&_include=Condition:subject&_count=20",
    ),
    (
        "last encounters",
        "Encounter?patient={patient}&_sort=-date&_count=5",
    ),
    ("encounters of a month", "Encounter?date={month}&_count=50"),
    (
        "encounters of a practitioner",
        "Encounter?participant:Practitioner.identifier={practitioner}&_count=20",
    ),
    (
        "active orders of drugs",
        "MedicationRequest?patient={patient}&status=active",
    ),
    (
        "orders of a drug",
        "MedicationRequest?code={drug}&_count=20",
    ),
    (
        "reports with their results",
        "DiagnosticReport?patient={patient}&_include=DiagnosticReport:result&_count=10",
    ),
    (
        "reports, newest first",
        "DiagnosticReport?patient={patient}&_sort=-date&_count=20",
    ),
    (
        "procedures since a day",
        "Procedure?patient={patient}&date=ge{day}",
    ),
    (
        "doses of a vaccine",
        "Immunization?patient={patient}&vaccine-code={vaccine}",
    ),
    (
        "claims of a patient, counted",
        "Claim?patient={patient}&_summary=count",
    ),
];
