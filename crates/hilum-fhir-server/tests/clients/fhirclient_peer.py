"""Talks to a FHIR server with fhirclient, whose generated models refuse what is no R4.

Started with the base of the server. Each step prints its name; a failure ends with a traceback.
"""

import sys

from fhirclient import client
from fhirclient.models import (
    bundle,
    capabilitystatement,
    codeableconcept,
    coding,
    fhirdate,
    fhirreference,
    humanname,
    identifier,
    observation,
    patient,
    quantity,
)

SYSTEM = "http://example.org/fhirclient"


def server(base):
    smart = client.FHIRClient(settings={"app_id": "hilum_tests", "api_base": base})
    return smart.server


def new_patient(number, family="Lindqvist"):
    one = patient.Patient()
    one.identifier = [identifier.Identifier({"system": SYSTEM, "value": str(number)})]
    one.name = [humanname.HumanName({"family": family, "given": ["Ada"]})]
    one.birthDate = fhirdate.FHIRDate("1952-02-29")
    one.gender = "female"
    return one


def step(name):
    print(name, flush=True)


def capabilities(to):
    step("capabilities")
    found = capabilitystatement.CapabilityStatement.read_from("metadata", to)
    assert found.fhirVersion == "4.0.1"
    assert found.rest[0].mode == "server"


def life(to):
    step("create, read, update, delete")
    one = new_patient(1)
    created = one.create(to)
    assert created["resourceType"] == "Patient"
    read = patient.Patient.read(created["id"], to)
    assert read.name[0].family == "Lindqvist"
    assert read.birthDate.isostring == "1952-02-29"
    assert read.meta.versionId == "1"
    read.name[0].family = "Berg"
    updated = read.update(to)
    assert updated["meta"]["versionId"] == "2", updated["meta"]
    read.delete(to)
    try:
        patient.Patient.read(created["id"], to)
    except Exception as error:  # the client has no class for 410
        assert "410" in str(error) or "Gone" in str(error), error
    else:
        raise AssertionError("a deleted patient was read")


def searches(to):
    step("searches and pages")
    for number in range(10, 25):
        new_patient(number, family="Pagesson").create(to)
    search = patient.Patient.where({"family": "Pagesson", "_count": "4", "_sort": "_id"})
    seen = [one.id for one in search.perform_resources_iter(to)]
    assert len(seen) == 15 and len(set(seen)) == 15, seen
    found = patient.Patient.where({"identifier": f"{SYSTEM}|17"}).perform_resources(to)
    assert len(found) == 1 and found[0].identifier[0].value == "17"


def transaction(to):
    step("transaction")
    of_patient, of_value = bundle.BundleEntry(), bundle.BundleEntry()
    of_patient.fullUrl = "urn:uuid:6f1dd6a4-6d0c-4b6e-9e5b-1c6cf4e7b0a1"
    of_patient.resource = new_patient(99)
    of_patient.request = bundle.BundleEntryRequest({"method": "POST", "url": "Patient"})
    value = observation.Observation()
    value.status = "final"
    value.code = codeableconcept.CodeableConcept()
    value.code.coding = [coding.Coding({"system": "http://loinc.org", "code": "2823-3"})]
    value.subject = fhirreference.FHIRReference({"reference": of_patient.fullUrl})
    value.valueQuantity = quantity.Quantity(
        {"value": 4.1, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}
    )
    of_value.resource = value
    of_value.request = bundle.BundleEntryRequest({"method": "POST", "url": "Observation"})
    both = bundle.Bundle()
    both.type = "transaction"
    both.entry = [of_patient, of_value]
    answer = bundle.Bundle(to.post_json("", both.as_json()).json())
    assert [entry.response.status[:3] for entry in answer.entry] == ["201", "201"]
    chained = {"patient.identifier": f"{SYSTEM}|99", "_include": "Observation:subject"}
    found = observation.Observation.where(chained).perform(to)
    kinds = sorted(entry.resource.resource_type for entry in found.entry)
    assert kinds == ["Observation", "Patient"], kinds


if __name__ == "__main__":
    TO = server(sys.argv[1])
    for part in (capabilities, life, searches, transaction):
        part(TO)
    print("done")
