"""Lists the codes of value sets as far as the package knows the code systems."""


def concepts(system, nested):
    """Every concept of a code system with the codes of its parents, by hierarchy or property."""
    for concept in nested:
        yield concept
        yield from concepts(system, concept.get("concept", []))


def ancestors(nested, above=frozenset(), into=None):
    into = {} if into is None else into
    for concept in nested:
        own = into.setdefault(concept["code"], set())
        own |= above
        for prop in concept.get("property", []):
            if prop["code"] in ("subsumedBy", "parent"):
                own.add(prop.get("valueCode") or prop["valueCoding"]["code"])
        ancestors(concept.get("concept", []), above | {concept["code"]}, into)
    return into


def closed(direct):
    """The transitive closure: each code with everything above it."""
    done = {}

    def above(code, seen):
        if code in done:
            return done[code]
        found = set()
        for parent in direct.get(code, ()):
            if parent not in seen:
                found |= {parent} | above(parent, seen | {parent})
        done[code] = found
        return found

    for code in sorted(direct):
        above(code, {code})
    return done


class Terms:
    def __init__(self, value_sets, code_systems):
        self.value_sets = value_sets
        self.systems = code_systems
        self.cache = {}
        self.closures = {}

    def complete(self, system):
        found = self.systems.get(system)
        return found if found and found["content"] == "complete" else None

    def closure(self, system):
        if system not in self.closures:
            nested = self.systems[system].get("concept", [])
            self.closures[system] = closed(ancestors(nested))
        return self.closures[system]

    def listed(self, system):
        nested = self.systems[system].get("concept", [])
        return [c for c in concepts(system, nested) if not is_abstract(c)]

    def filtered(self, system, filters):
        """The concepts that pass all filters, or None where a filter is not understood."""
        kept = self.listed(system)
        above = self.closure(system)
        for one in filters:
            if one["property"] != "concept" or one["op"] not in KEEP:
                return None
            keep = KEEP[one["op"]]
            kept = [c for c in kept if keep(c["code"], one["value"], above.get(c["code"], ()))]
        return kept

    def part(self, part):
        """Codes, open systems and whether all is open, of one include or exclude."""
        system = part.get("system")
        if system is None:
            found, open_systems, open_all = None, set(), False
            for url in part.get("valueSet", []):
                codes, systems, is_open = self.expand(url)
                found = codes if found is None else {k: v for k, v in found.items() if k in codes}
                open_systems |= systems
                open_all |= is_open
            return found or {}, open_systems, open_all
        if part.get("valueSet"):
            return {}, {system}, False
        known = self.complete(system)
        if "concept" in part:
            texts = {c["code"]: c.get("display", "") for c in self.listed(system)} if known else {}
            codes = {(c["code"], system): c.get("display") or texts.get(c["code"], "")
                     for c in part["concept"]}
            return codes, set(), False
        if not known:
            return {}, {system}, False
        kept = self.filtered(system, part["filter"]) if "filter" in part else self.listed(system)
        if kept is None:
            return {}, {system}, False
        return {(c["code"], system): c.get("display", "") for c in kept}, set(), False

    def expand(self, url):
        url = url.split("|")[0]
        if url in self.cache:
            return self.cache[url]
        self.cache[url] = ({}, set(), True)
        found = self.value_sets.get(url)
        if found is None or "compose" not in found:
            return self.cache[url]
        codes, systems, is_open = {}, set(), False
        for part in found["compose"]["include"]:
            more, open_systems, open_all = self.part(part)
            codes.update(more)
            systems |= open_systems
            is_open |= open_all
        for part in found["compose"].get("exclude", []):
            less, _, _ = self.part(part)
            codes = {key: text for key, text in codes.items() if key not in less}
        self.cache[url] = (codes, systems, is_open)
        return self.cache[url]


def is_abstract(concept):
    return any(p["code"] in ("notSelectable", "abstract") and p.get("valueBoolean")
               for p in concept.get("property", []))


KEEP = {
    "is-a": lambda code, value, above: code == value or value in above,
    "descendent-of": lambda code, value, above: value in above,
    "is-not-a": lambda code, value, above: code != value and value not in above,
}
