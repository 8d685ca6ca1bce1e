"""Reads the dictionary packages and prints one JSON document.

Called by `cargo xtask codegen` with the folder of downloaded packages. Only turns each package's own
tables into one shape; judging and merging is done in Rust.

Shapes: a field is [position, name, type, table, min, max, length, optionality] with null for what the
package does not say; a structure node is [name, min, max] or [name, min, max, kind, children];
max -1 means unbounded.
"""

import atexit
import importlib
import json
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile

FOLDER, HL7APY, HL7TYPES, HL7DICT = sys.argv[1:5]


def version_of(module_name):
    return module_name[1:].replace("_", ".")


def table_number(text):
    if isinstance(text, int):
        return text
    found = re.fullmatch(r"HL7(\d{4})", text or "")
    return int(found.group(1)) if found else None


def hl7apy_leaf(position, entry, cardinality):
    # ('leaf' | 'sequence', components, type, name, table, length); one 2.1 entry repeats the type.
    entry = list(entry)
    if len(entry) == 7:
        del entry[2]
    low, high = cardinality
    length = entry[5] if isinstance(entry[5], int) and entry[5] > 0 else None
    return [position, entry[3] or "", entry[2] or "WD", table_number(entry[4]), low, high, length, None]


def position_of(name):
    return int(name.rsplit("_", 1)[1])


def hl7apy_fields(rows, problems, owner):
    fields = []
    for row in rows:
        if len(row) < 3 or not isinstance(row[2], tuple) or not re.search(r"_[0-9]+$", row[0]):
            problems.append(f"{owner}: malformed row {str(row)[:60]}")
            continue
        fields.append(hl7apy_leaf(position_of(row[0]), row[1], row[2]))
    return fields


def hl7apy_nodes(owner, content, groups):
    kind, rows = content[0], content[1]
    nodes = []
    for name, child, (low, high), what in rows:
        if what == "SEG":
            nodes.append([name, low, high])
        else:
            inner = hl7apy_nodes(owner, groups[name], groups)
            nodes.append([name.removeprefix(owner + "_"), low, high, groups[name][0], inner])
    return nodes


def read_hl7apy(path):
    # The package lists its own folder when imported, so it cannot be read from inside the wheel.
    unpacked = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, unpacked, ignore_errors=True)
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(unpacked)
        modules = sorted({n.split("/")[1] for n in wheel.namelist() if re.match(r"hl7apy/v2_", n)})
    sys.path.insert(0, unpacked)
    out = {}
    for module in modules:
        lib = importlib.import_module("hl7apy." + module)
        problems = []
        segments = {}
        for name, content in lib.SEGMENTS.items():
            rows = content[1] if len(content) == 2 else ()
            if len(content) > 2:
                problems.append(f"{name}: malformed segment")
            segments[name] = hl7apy_fields(rows, problems, name)
        types = {name: hl7apy_fields(rows, problems, name) for name, rows in lib.DATATYPES_STRUCTS.items()}
        out[version_of(module)] = {
            "structures": {
                name: hl7apy_nodes(name, content, lib.GROUPS) for name, content in lib.MESSAGES.items()
            },
            "segments": segments,
            "types": types,
            "tables": {
                str(table_number(key)): [value[0] or "", [code for code in value[1] or () if code]]
                for key, value in getattr(lib, "TABLES", {}).items()
                if table_number(key)
            },
            "problems": problems,
        }
    return out


FIELD_LINE = re.compile(
    r"^ +[A-Z0-9]{3}\.(\d+) - (.*) \(([A-Za-z_0-9*]+)\) ([A-Z]+)( rep)?(?: S\S+)?(?: \| (\d{4}) - .*)?$", re.M
)
COMPONENT_LINE = re.compile(r"^ +[A-Z0-9_]+\.(\d+) \((opt|req)\w*\) - (.*) \(([A-Za-z_0-9*]+)\)(?: \| (\d{4}) - .*)?$", re.M)


def read_hl7types(path):
    out = {}
    with zipfile.ZipFile(path) as wheel:
        for name in sorted(wheel.namelist()):
            found = re.fullmatch(r"hl7types/hl7/(v2_[0-9_]+)/(messages|segments|datatypes)/(\w+)\.py", name)
            if not found or found.group(3) == "__init__":
                continue
            version = out.setdefault(version_of(found.group(1)), {"aliases": {}, "segments": {}, "types": {}})
            text = wheel.read(name).decode()
            if found.group(2) == "messages":
                for child, parent in re.findall(r"^class ([A-Z0-9]{3}_\w+)\(([A-Z0-9]{3}_\w+)\):", text, re.M):
                    version["aliases"][child] = parent
            elif found.group(2) == "segments":
                version["segments"][found.group(3)] = [
                    [int(n), label, kind, int(table) if table else None, int(opt == "R"), -1 if rep else 1, None, opt]
                    for n, label, kind, opt, rep, table in FIELD_LINE.findall(text)
                ]
            else:
                version["types"][found.group(3)] = [
                    [int(n), label, kind, int(table) if table else None, int(opt == "req"), 1, None, None]
                    for n, opt, label, kind, table in COMPONENT_LINE.findall(text)
                ]
    return out


def js_object(text):
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


DICT_OPTIONALITY = {1: "O", 2: "R", 3: "C", 4: "W"}


def dict_fields(rows):
    fields = []
    for position, row in enumerate(rows, 1):
        high = -1 if row.get("rep", 1) == 0 else row.get("rep", 1)
        opt = DICT_OPTIONALITY.get(row.get("opt"))
        fields.append(
            [position, row["desc"].strip(), row["datatype"], row.get("table"), int(opt == "R"), high, row.get("len"), opt]
        )
    return fields


def dict_nodes(rows):
    nodes = []
    for row in rows:
        high = -1 if row["max"] == 0 else row["max"]
        inner = row.get("children") or row.get("compounds")
        name = row["name"] or "?"
        if inner:
            kind = "choice" if row.get("compounds") else "sequence"
            nodes.append([name, row["min"], high, kind, dict_nodes(inner)])
        else:
            nodes.append([name, row["min"], high])
    return nodes


def read_hl7_dictionary(path):
    out = {"versions": {}}
    with tarfile.open(path) as archive:
        def text(name):
            return archive.extractfile("package/lib/" + name).read().decode("utf-8")

        tables = js_object(text("tables.js"))
        out["tables"] = {key: [value["desc"] or "", {code: text or "" for code, text in (value.get("values") or {}).items()}] for key, value in tables.items()}
        for version in ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1"]:
            segments = js_object(text(version + "/segments.js"))
            types = js_object(text(version + "/fields.js"))
            messages = js_object(text(version + "/messages.js"))
            out["versions"][version] = {
                "segments": {name: [value["desc"], dict_fields(value["fields"])] for name, value in segments.items()},
                "types": {name: [value["desc"], dict_fields(value.get("subfields") or [])] for name, value in types.items()},
                "structures": {
                    name: [value["desc"], dict_nodes(value["segments"]["segments"])] for name, value in messages.items()
                },
            }
    return out


json.dump(
    {
        "hl7apy": read_hl7apy(f"{FOLDER}/{HL7APY}"),
        "hl7types": read_hl7types(f"{FOLDER}/{HL7TYPES}"),
        "hl7_dictionary": read_hl7_dictionary(f"{FOLDER}/{HL7DICT}"),
    },
    sys.stdout,
)
