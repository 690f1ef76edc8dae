"""As much of JSON Schema as the OpenAPI document uses: what fits a schema, and examples that do."""

from __future__ import annotations

import re

from hypothesis import strategies

NAMES = {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}
KNOWN = {
    "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "format", "items", "maxLength", "minLength",
    "minimum", "pattern", "properties", "required", "type",
}  # fmt: skip
JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(max_size=20),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def resolved(schema, document):
    """What a reference leads to."""
    while "$ref" in schema:
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    assert set(schema) <= KNOWN, f"this test knows nothing of {set(schema) - KNOWN}"
    return schema


def types_of(schema):
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def is_of(kind, value):
    if kind == "integer":
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and not isinstance(value, bool)
    return isinstance(value, NAMES[kind])


def fits(schema, value, document):
    """Whether a value fits a schema."""
    schema = resolved(schema, document)
    wrong = value not in schema.get("enum", [schema.get("const", value)])
    wrong = wrong or (types_of(schema) and not any(is_of(kind, value) for kind in types_of(schema)))
    if wrong or ("anyOf" in schema and not any(fits(one, value, document) for one in schema["anyOf"])):
        return False
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None and schema.get("minLength", 0) <= len(
            value
        ) <= schema.get("maxLength", len(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value >= schema.get("minimum", value)
    if isinstance(value, list):
        return all(fits(schema.get("items", {}), item, document) for item in value)
    return not isinstance(value, dict) or object_fits(schema, value, document)


def object_fits(schema, value, document):
    properties = schema.get("properties", {})
    if not set(schema.get("required", ())) <= set(value):
        return False
    if schema.get("additionalProperties") is False and set(value) - set(properties):
        return False
    return all(fits(properties[name], item, document) for name, item in value.items() if name in properties)


def examples_of(schema, document):
    """Values that fit a schema."""
    schema = resolved(schema, document)
    return strategies.one_of([of_type(kind, schema, document) for kind in types_of(schema)])


def of_type(kind, schema, document):
    if kind == "string":
        if "pattern" in schema:
            return strategies.from_regex(schema["pattern"], fullmatch=True)
        least, most = schema.get("minLength", 0), schema.get("maxLength", 20)
        return strategies.text(min_size=least, max_size=min(most, 20)) | strategies.just("x" * most)
    if kind == "object":
        return objects(schema, document)
    return {"integer": strategies.integers(schema.get("minimum", 0)), "boolean": strategies.booleans(), "null": strategies.none()}[kind]  # fmt: skip


def objects(schema, document):
    fields = {name: examples_of(one, document) for name, one in schema["properties"].items()}
    needed = [set(schema.get("required", ())) | set(one["required"]) for one in schema.get("anyOf", [{"required": ()}])]
    return strategies.one_of(
        [
            strategies.fixed_dictionaries(
                {name: fields[name] for name in sorted(names)},
                optional={name: field for name, field in fields.items() if name not in names},
            )
            for names in needed
        ]
    )


def nearly(schema, document):
    """Values that fit, values that do not, and such as have one thing wrong."""

    def spoilt(value):
        names = strategies.sampled_from(sorted(value)) if value else strategies.just("x")
        return strategies.builds(lambda name, other: {**value, name: other}, names | strategies.text(max_size=8), JSON)

    good = examples_of(schema, document)
    return good | good.flatmap(spoilt) | JSON
