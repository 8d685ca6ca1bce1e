"""Packs the definitions of two packages into the table that hilum-terminology embeds.

Called by `cargo xtask codegen` with the package of HL7 Terminology, the package of FHIR R4 and the
file to write. A definition keeps what answers questions about codes and loses what is for people who
read about it (narrative, contacts, copyright, history); the packages have all of that.

The file: the length of the packed index (u32, little-endian), the index, then the packed chunks.
A line of the index is KIND, URL, VERSION, CHUNK, OFFSET, LENGTH, OID with tabs between, sorted; the
first lines are `#`, the chunk's place behind the index, its packed length and its length.
"""

import json
import re
import struct
import sys
import tarfile
import zlib

NEWER, STANDARD, OUT = sys.argv[1:4]
KINDS = ("CodeSystem", "ValueSet", "ConceptMap", "NamingSystem")
CHUNK = 128 * 1024

KEPT = {
    "CodeSystem": """resourceType url version name title status experimental language caseSensitive
        hierarchyMeaning versionNeeded content supplements property extension concept""",
    "ValueSet": """resourceType url version name title status experimental language immutable
        extension compose expansion""",
    "ConceptMap": """resourceType url version name title status experimental sourceUri
        sourceCanonical targetUri targetCanonical group""",
    "NamingSystem": "resourceType name status kind uniqueId",
}
EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
KEPT_EXTENSIONS = {
    EXTENSION + name
    for name in (
        "structuredefinition-standards-status",
        "valueset-supplement",
        "valueset-expansion-parameter",
        "valueset-deprecated",
        "valueset-label",
        "valueset-conceptOrder",
        "codesystem-label",
        "codesystem-conceptOrder",
        "itemWeight",
    )
}


def read(path):
    with tarfile.open(path) as archive:
        for entry in archive:
            found = re.fullmatch(r"package/(\w+)-[^/]*\.json", entry.name)
            if found and found.group(1) in KINDS:
                yield json.load(archive.extractfile(entry))


def lean(node):
    """Without ids of elements and without extensions that answer nothing."""
    if isinstance(node, list):
        return [lean(one) for one in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for name, value in node.items():
        if name == "extension":
            value = [one for one in value if one["url"] in KEPT_EXTENSIONS]
        if name == "id" or name.startswith("_") or value == []:
            continue
        out[name] = lean(value)
    return out


def stripped(resource):
    kept = KEPT[resource["resourceType"]].split()
    out = lean({name: value for name, value in resource.items() if name in kept})
    if out["resourceType"] == "NamingSystem":
        out["uniqueId"] = [
            {name: value for name, value in one.items() if name in ("type", "value", "preferred")}
            for one in out["uniqueId"]
        ]
    for one in out.get("property", []):
        one.pop("description", None)
    return out


def is_wanted(resource, is_older):
    """Examples of the standard are no definitions; a value set goes by its newest version."""
    url = resource.get("url", "")
    example = re.match(r"https?://([^/]*\.)?(example|acme)\b|urn:", url)
    kinds = ("CodeSystem",) if is_older else ("CodeSystem", "ValueSet", "ConceptMap")
    return resource["resourceType"] in kinds and not example


def without_definitions(concepts):
    """Of an older version of a system: the newest one has them."""
    for concept in concepts:
        concept.pop("definition", None)
        without_definitions(concept.get("concept", []))


def oid(resource):
    """The OID of a code system."""
    ids = resource.get("identifier", []) if resource["resourceType"] == "CodeSystem" else []
    oids = [one["value"][8:] for one in ids if one.get("value", "").startswith("urn:oid:")]
    return oids[0] if oids else ""


def main():
    newer = {}
    for resource in read(NEWER):
        key = (resource["resourceType"], resource.get("url") or resource["name"])
        newer[key, resource.get("version", "")] = resource
    known = {key for key, _ in newer}
    older = {}
    for resource in read(STANDARD):
        url = resource.get("url") or resource["name"]
        key = ((resource["resourceType"], url), resource.get("version", ""))
        if key in newer or not is_wanted(resource, key[0] in known):
            continue
        if key[0] in known:
            without_definitions(resource.get("concept", []))
        older[key] = resource
    both = {**older, **newer}
    chunks, lines, open_chunk = [], [], b""
    counts = dict.fromkeys(KINDS, 0)
    for (kind, url), version in sorted(both):
        resource = both[(kind, url), version]
        found = stripped(resource)
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
        if open_chunk and len(open_chunk) + len(text) > CHUNK:
            chunks.append(open_chunk)
            open_chunk = b""
        place = f"{len(chunks)}\t{len(open_chunk)}\t{len(text)}"
        lines.append(f"{kind}\t{url}\t{version}\t{place}\t{oid(resource)}")
        open_chunk += text
        counts[kind] += 1
    chunks.append(open_chunk)
    packed = [zlib.compress(chunk, 9) for chunk in chunks]
    places, at = [], 0
    for chunk, small in zip(chunks, packed):
        places.append(f"#\t{at}\t{len(small)}\t{len(chunk)}")
        at += len(small)
    index = zlib.compress("\n".join(places + lines).encode(), 9)
    with open(OUT, "wb") as out:
        out.write(struct.pack("<I", len(index)))
        out.write(index)
        for small in packed:
            out.write(small)
    both_versions = sum(1 for key, _ in older if key in known)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    print(f"{told}; {both_versions} in an older version beside the newest")


main()
