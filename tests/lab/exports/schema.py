"""Validates standard input, JSON lines, against a JSON Schema, and counts the kinds of line. Knows the keywords that our
schemas have, and refuses a schema with any other."""
import json, re, sys

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float), "null": type(None)}
schema = json.load(open(sys.argv[1], encoding="utf-8"))

def is_a(value, name):
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))

def errors(value, rules, at):
    """What is wrong with a value, by these rules."""
    properties, patterns = rules.get("properties", {}), rules.get("patternProperties", {})
    for key, rule in rules.items():
        wrong = False
        if key in ("$schema", "$defs", "title", "description", "properties", "patternProperties"):
            pass
        elif key == "$ref":
            yield from errors(value, schema["$defs"][rule.removeprefix("#/$defs/")], at)
        elif key == "type":
            wrong = not any(is_a(value, name) for name in ([rule] if isinstance(rule, str) else rule))
        elif key == "const":
            wrong = value != rule or type(value) != type(rule)
        elif key == "enum":
            wrong = value not in rule
        elif key == "oneOf":
            found = [list(errors(value, branch, at)) for branch in rule]
            if found.count([]) != 1:
                yield f"{at}: {found.count([])} of oneOf: {found}"
        elif key == "minimum":
            wrong = is_a(value, "number") and value < rule
        elif key == "pattern":
            wrong = isinstance(value, str) and not re.search(rule, value)
        elif key in ("items", "prefixItems", "minItems", "maxItems"):
            if isinstance(value, list):
                wrong = key == "minItems" and len(value) < rule or key == "maxItems" and len(value) > rule
                each = [rule] * len(value) if key == "items" else rule if key == "prefixItems" else []
                for number, (item, rule) in enumerate(zip(value, each)):
                    yield from errors(item, rule, f"{at}[{number}]")
        elif key in ("required", "minProperties", "maxProperties", "propertyNames", "additionalProperties"):
            if isinstance(value, dict):
                wrong = key == "required" and not set(rule) <= set(value)
                wrong |= key == "minProperties" and len(value) < rule or key == "maxProperties" and len(value) > rule
                for name in value:
                    if key == "propertyNames":
                        yield from errors(name, rule, f"{at}: {name}")
                    others = name not in properties and not any(re.search(pattern, name) for pattern in patterns)
                    if key == "additionalProperties" and others:
                        if rule is False:
                            yield f"{at}: no key {name}"
                        else:
                            yield from errors(value[name], rule, f"{at}.{name}")
        else:
            sys.exit(f"{sys.argv[1]}: this reader does not know the keyword {key}")
        if wrong:
            yield f"{at}: not of {key} {rule}: {value!r}"
    if isinstance(value, dict):
        for name, item in value.items():
            own = [properties[name]] if name in properties else []
            for rule in own + [rule for pattern, rule in patterns.items() if re.search(pattern, name)]:
                yield from errors(item, rule, f"{at}.{name}")

kinds = {}
for number, line in enumerate(sys.stdin, 1):
    found = list(errors(json.loads(line), schema, f"line {number}"))
    if found:
        sys.exit("\n".join(found) + "\n" + line)
    kind = json.loads(line).get("kind", "sockstep")
    kinds[kind] = kinds.get(kind, 0) + 1
print(", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
