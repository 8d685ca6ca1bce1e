"""Reads the package of FHIR R4 and writes the files that hilum-fhir embeds.

Called as: tables.py PACKAGE.tgz FOLDER, with terms.py put before it. The layout of the table: magic,
string pool, then lists of records in the order of `write`; numbers are unsigned LEB128, a string is
its number. The profiles are one line of JSON each, with what a validator reads.
"""

import collections
import json
import pathlib
import re
import sys
import tarfile
import zlib

BASE = "http://hl7.org/fhir/StructureDefinition/"
STRENGTHS = ["example", "preferred", "extensible", "required"]
KINDS = {"primitive-type": 0, "complex-type": 1, "resource": 2}
PARAM_KINDS = ["number", "date", "string", "token", "reference", "composite", "quantity", "uri",
               "special"]
BEST_PRACTICE = "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice"


class Writer:
    def __init__(self):
        self.out = bytearray()
        self.pool = {"": 0}

    def number(self, value):
        value = int(value)
        while value >= 0x80:
            self.out.append(value & 0x7F | 0x80)
            value >>= 7
        self.out.append(value)

    def string(self, text):
        self.number(self.pool.setdefault(text or "", len(self.pool)))

    def list(self, items, write):
        items = list(items)
        self.number(len(items))
        for item in items:
            write(item)

    def finish(self):
        body, self.out = self.out, bytearray()
        texts = [text.encode() for text in self.pool]
        self.list(texts, lambda text: self.number(len(text)))
        return b"HLF1" + bytes(self.out) + b"".join(texts) + bytes(body)


# Mistakes of 4.0.1 that the standard has corrected since.
ERRATA = {
    # A rule with its text: "more than one" is not more than two.
    "que-12": "enableWhen.count() > 1 implies enableBehavior.exists()",
    # The extension stands on the type, whose code it replaces.
    BASE + "structuredefinition-fhir-type": "ElementDefinition.type",
    # Units of components need not be among the common ones.
    (BASE + "vitalsigns", "Observation.component.value[x]"): "extensible",
}


def read(path):
    found = {}
    with tarfile.open(path) as package:
        for member in package:
            name = member.name.rsplit("/", 1)[-1]
            kind = name.split("-")[0]
            if member.isfile() and kind in ("StructureDefinition", "ValueSet", "CodeSystem",
                                            "SearchParameter", "CompartmentDefinition",
                                            "OperationDefinition"):
                found.setdefault(kind, {})[name] = json.load(package.extractfile(member))
    return {kind: [of[name] for name in sorted(of)] for kind, of in found.items()}


def is_profile(definition):
    return (definition["kind"] in KINDS and definition.get("derivation") == "constraint"
            and definition["url"].startswith(BASE) and "example" not in definition["id"])


def is_type(definition):
    return definition["kind"] in KINDS and definition.get("derivation") != "constraint"


class Elements:
    """All elements, each type breadth first, so that the children of one are neighbours."""

    def __init__(self, definitions):
        self.rows = []
        self.place = {}
        for definition in definitions:
            by_parent = {}
            for element in definition["snapshot"]["element"]:
                path = element["path"]
                skipped = path.endswith(".value") and definition["kind"] == "primitive-type"
                if not skipped and element["max"] != "0":
                    by_parent.setdefault(path.rpartition(".")[0], []).append(element)
            queue = [(by_parent[""][0], None)]
            while queue:
                element, parent = queue.pop(0)
                self.place[element["path"]] = len(self.rows)
                row = {"def": element, "parent": parent, "of": definition, "children": (0, 0)}
                self.rows.append(row)
                below = by_parent.get(element["path"], [])
                if below:
                    row["children"] = (len(self.rows) + len(queue), len(below))
                queue += [(child, self.place[element["path"]]) for child in below]


def fhir_type(element, use):
    code = use["code"]
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    if element.get("base", {}).get("path") == "Resource.id":
        return "id"
    for extension in use.get("extension", []):
        if extension["url"].endswith("structuredefinition-fhir-type"):
            return extension["valueUrl"]
    return "string"


class Tables:
    def __init__(self, found):
        self.w = Writer()
        types = [d for d in found["StructureDefinition"] if is_type(d)]
        self.types = sorted(types, key=lambda d: d["name"].encode())
        self.type_ids = {d["name"]: at for at, d in enumerate(self.types)}
        self.elements = Elements(self.types)
        self.rules = {}
        self.value_sets = set()
        self.profiles = [d for d in found["StructureDefinition"] if is_profile(d)]
        for profile in self.profiles:
            for element in profile["differential"]["element"]:
                self.need(element.get("binding"))
        self.terms = Terms({d["url"]: d for d in found["ValueSet"]},
                           {d["url"]: d for d in found["CodeSystem"]})
        self.found = found

    def targets(self, urls):
        names = [url[len(BASE):] for url in urls if url.startswith(BASE)]
        if "Resource" in names:
            return []
        return [self.type_ids[name] for name in names if name in self.type_ids]

    def type_def(self, definition):
        self.w.string(definition["url"])
        self.w.number(KINDS[definition["kind"]])
        base = definition.get("baseDefinition", "")[len(BASE):]
        self.w.number(self.type_ids.get(base, -1) + 1)
        self.w.number(definition["abstract"])
        self.w.number(self.elements.place[definition["name"]])

    def element(self, row):
        element, parent = row["def"], row["parent"]
        name = element["path"].rpartition(".")[2]
        choice = name.endswith("[x]")
        name = name.removesuffix("[x]")
        content = element.get("contentReference")
        content = self.elements.place[content[1:]] if content else None
        binding = element.get("binding")
        flags = [choice, element.get("isSummary", False), element.get("isModifier", False),
                 "xmlAttr" in element.get("representation", []), binding is not None]
        self.w.string(name)
        self.w.number(sum(bool(flag) << at for at, flag in enumerate(flags)))
        self.w.number(element["min"])
        self.w.number(0 if element["max"] == "*" else int(element["max"]) + 1)
        self.w.number(0 if parent is None else parent + 1)
        self.w.number(row["children"][0])
        self.w.number(row["children"][1])
        self.w.list(self.uses(row, content), lambda use: self.type_use(use, choice, name))
        self.w.number(0 if content is None else content + 1)
        if binding is not None:
            self.w.number(STRENGTHS.index(binding["strength"]))
            self.w.string(binding.get("valueSet"))
            self.need(binding)
        self.w.list(self.own_rules(row), self.w.number)
        self.w.number(element.get("maxLength", 0))

    def uses(self, row, content):
        element = row["def"]
        if row["parent"] is None:
            return [(row["of"]["name"], [], [])]
        if content is not None:
            element = self.elements.rows[content]["def"]
        return [(fhir_type(element, use), use.get("targetProfile", []), use.get("profile", []))
                for use in element["type"]]

    def type_use(self, use, choice, name):
        ty, targets, profiles = use
        self.w.number(self.type_ids[ty])
        if choice:
            self.w.string(name + ty[0].upper() + ty[1:])
        self.w.list(self.targets(targets), self.w.number)
        self.w.list(profiles, self.w.string)

    def need(self, binding):
        if binding and binding["strength"] in ("required", "extensible") and "valueSet" in binding:
            self.value_sets.add(binding["valueSet"].split("|")[0])

    def own_rules(self, row):
        """Below a root those of the type itself only; what its base or a data type says is at theirs."""
        own = row["of"]["url"]
        for rule in row["def"].get("constraint", []):
            if row["parent"] is None or rule.get("source", own) in (own, row["of"]["name"]):
                best = any(e["url"] == BEST_PRACTICE and e.get("valueBoolean")
                           for e in rule.get("extension", []))
                expression = ERRATA.get(rule["key"], rule.get("expression"))
                text = (rule["key"], rule["human"], expression,
                        rule["severity"] == "warning", best)
                if rule.get("expression"):
                    yield self.rules.setdefault(text, len(self.rules))

    def rule(self, rule):
        for text in rule[:3]:
            self.w.string(text)
        self.w.number(rule[3])
        self.w.number(rule[4])

    def value_set(self, url):
        codes, systems, is_open = self.terms.expand(url)
        self.w.string(url)

        def concept(item):
            (code, system), display = item
            self.w.string(code)
            self.w.string(system)
            self.w.string(display)

        ordered = sorted(codes.items(), key=lambda item: tuple(p.encode() for p in item[0]))
        self.w.list(ordered, concept)
        self.w.list(sorted(systems), self.w.string)
        self.w.number(is_open)

    def params(self):
        """One row per parameter and type; what only extensions, examples or servers define is out."""
        rows = []
        for param in self.found["SearchParameter"]:
            extra = re.search("example|extensions-|-genetic-", param["id"])
            named = param.get("expression") or param["code"] in ("_text", "_content")
            if extra or not named or not param["url"].startswith("http://hl7.org/fhir/SearchParameter/"):
                continue
            rows += [(base, param["code"], param) for base in param.get("base", [])]
        return sorted(rows, key=lambda row: (self.type_ids[row[0]], row[1].encode()))

    def param(self, row, places):
        base, code, param = row
        self.w.string(code)
        self.w.string(param["url"])
        self.w.number(PARAM_KINDS.index(param["type"]))
        self.w.number(self.type_ids[base])
        self.w.string(cut(param.get("expression", ""), base))
        targets = [] if "Resource" in param.get("target", []) else param.get("target", [])
        self.w.list([self.type_ids[t] for t in targets], self.w.number)

        def component(part):
            url = part["definition"]
            bases = (base, "Resource", "DomainResource")
            self.w.number(next(places[url, b] for b in bases if (url, b) in places))
            self.w.string(part["expression"])

        self.w.list(param.get("component", []), component)
        self.w.number(param.get("xpathUsage") == "phonetic")

    def compartment(self, definition):
        self.w.number(self.type_ids[definition["code"]])

        def member(resource):
            self.w.number(self.type_ids[resource["code"]])
            self.w.list(resource["param"], self.w.string)

        self.w.list([r for r in definition["resource"] if r.get("param")], member)

    def operation(self, definition):
        self.w.string(definition["code"])
        self.w.string(definition["url"])
        self.w.list([self.type_ids[t] for t in definition.get("resource", [])], self.w.number)
        for flag in ("system", "type", "instance", "affectsState"):
            self.w.number(definition.get(flag, False))

    def write(self):
        w = self.w
        w.list(self.types, self.type_def)
        w.list(self.elements.rows, self.element)
        w.list(list(self.rules), self.rule)
        w.list(sorted(self.value_sets), self.value_set)
        params = self.params()
        places = {(row[2]["url"], row[0]): at for at, row in enumerate(params)}
        w.list(params, lambda row: self.param(row, places))
        compartments = [c for c in self.found["CompartmentDefinition"]
                        if c["url"].startswith("http://hl7.org/fhir/CompartmentDefinition/")
                        and "example" not in c["id"]]
        w.list(sorted(compartments, key=lambda c: c["code"]), self.compartment)
        operations = [o for o in self.found["OperationDefinition"]
                      if o["url"].startswith("http://hl7.org/fhir/OperationDefinition/")
                      and "example" not in o["id"]]
        w.list(operations, self.operation)
        return w.finish()

    def counts(self):
        return (f"{len(self.types)} types, {len(self.elements.rows)} elements, "
                f"{len(self.rules)} rules, {len(self.value_sets)} value sets, "
                f"{len(self.params())} search parameters, {len(self.profiles)} profiles")


def cut(expression, base):
    """The alternatives of a union that start at this type."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(expression):
        depth += (char == "(") - (char == ")")
        if char == "|" and depth == 0:
            parts.append(expression[start:at].strip())
            start = at + 1
    parts.append(expression[start:].strip())
    own = [part for part in parts if re.match(rf"\(*{base}\b", part)]
    return " | ".join(own or parts)


PROFILE_KEYS = ["resourceType", "url", "version", "name", "status", "kind", "abstract", "context",
                "contextInvariant", "type", "baseDefinition", "derivation"]
ELEMENT_KEYS = re.compile("(id|path|sliceName|slicing|min|max|maxLength|mustSupport|isModifier"
                          "|contentReference|type|binding|constraint|(fixed|pattern|minValue"
                          "|maxValue)[A-Z].*)$")
RULE_KEYS = ["key", "severity", "human", "expression"]
SLICING_KEYS = ["discriminator", "ordered", "rules"]
TYPE_KEYS = ["code", "profile", "targetProfile", "aggregation"]


def only(keys, of):
    return {key: of[key] for key in keys if key in of}


def slim(profile):
    """What a validator reads of a profile: its own differential, without texts and mappings."""
    elements = []
    for element in profile["differential"]["element"]:
        kept = {key: value for key, value in element.items() if ELEMENT_KEYS.match(key)}
        kept["constraint"] = [only(RULE_KEYS, rule) for rule in element.get("constraint", [])]
        kept["type"] = [only(TYPE_KEYS, use) for use in element.get("type", [])]
        binding = element.get("binding", {})
        checked = binding.get("strength") in ("required", "extensible")
        kept["binding"] = only(["strength", "valueSet"], binding) if checked else {}
        if (profile["url"], element["path"]) in ERRATA:
            kept["binding"]["strength"] = ERRATA[profile["url"], element["path"]]
        kept["slicing"] = only(SLICING_KEYS, element.get("slicing", {}))
        elements.append({key: value for key, value in kept.items() if value not in ({}, [])})
    kept = only(PROFILE_KEYS, profile)
    if kept["url"] in ERRATA:
        kept["context"] = [{"type": "element", "expression": ERRATA[kept["url"]]}]
    kept["differential"] = {"element": elements}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def elements(types):
    """The snapshots of the types with their texts: what occurs more than once stands once, in front.

    A line of text each, an empty line, then for each type its URL, a tab and its elements; a byte 1
    and a number stand for a text. Everything is deflated.
    """
    def dump(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    rows = [(t["url"], [{k: dump(v) for k, v in e.items()} for e in t["snapshot"]["element"]])
            for t in types]
    counts = collections.Counter(text for _, row in rows for e in row for text in e.values())
    shared = sorted((text for text, count in counts.items() if count > 1 and len(text) > 12),
                    key=lambda text: (-counts[text], text))
    places = {text: at for at, text in enumerate(shared)}

    def write(element):
        members = (f'"{key}":' + (f"\1{places[text]}" if text in places else text)
                   for key, text in element.items())
        return "{" + ",".join(members) + "}"

    lines = (url + "\t" + ",".join(map(write, row)) for url, row in sorted(rows))
    text = "\n".join(shared) + "\n\n" + "\n".join(lines)
    return zlib.compress(text.encode(), 9)


def systems(found):
    """The codes of the code systems that the package has whole, deflated.

    A line with the URL of each, then a line for each code: a tab for each level, the code, and, each
    after a byte 1, codes that a property names as its children as well.
    """
    lines = []

    def write(concepts, level):
        for concept in concepts:
            named = [p["valueCode"] for p in concept.get("property", []) if p["code"] == "child"]
            lines.append("\t" * level + "\1".join([concept["code"], *named]))
            write(concept.get("concept", []), level + 1)

    for system in sorted(found, key=lambda d: d["url"].encode()):
        meaning = system.get("hierarchyMeaning", "is-a")
        if system["content"] == "complete" and meaning == "is-a":
            lines.append(system["url"])
            write(system.get("concept", []), 1)
    return zlib.compress("\n".join(lines).encode(), 9)


def main():
    folder = pathlib.Path(sys.argv[2])
    tables = Tables(read(sys.argv[1]))
    (folder / "r4.bin").write_bytes(tables.write())
    profiles = sorted(tables.profiles, key=lambda d: d["url"].encode())
    lines = "".join(slim(profile) + "\n" for profile in profiles)
    (folder / "r4-profiles.ndjson").write_bytes(lines.encode())
    (folder / "r4-base.bin").write_bytes(elements(tables.types))
    (folder / "r4-systems.bin").write_bytes(systems(tables.found["CodeSystem"]))
    print(tables.counts())


main()
