"""Where in a TOML file things stand, and errors that say so."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stable_openai.errors import ConfigurationError
from stable_openai.near_names import is_unknown
from stable_openai.toml import read_toml
from stable_openai.toml.lines import lines_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMS = '''\
# tokens[1].rpm = 3
gateway = "rpm = 2" # rpm = 2
"quoted name".'b.c' . d = """
rpm = 3
[[tokens]]
\\"""""
inline = [
  {name = "a", rpm = 3}, # ]
  # }
  {name = "]", limits . rpm = 4, 'it"s' = {x = 1}},
  [1, "]", [
   2]], 1979-05-27 07:32:00,
]
[[tokens]]
name = 'a' # [[tokens]]
[[tokens]]
  "rpm" = 0
[tokens.limits]
tpm = 4
[[tokens.more]]
[[tokens.more]]
x.y=1
[ owners . "org\\u002d1" ]
d = """"""
e = \'\'\'it's
[f]
\'\'\'\'\'
\tf={}
[owners]
g=[]'''


def test_every_form():
    """Tables, lists of tables, inline ones, dotted and quoted names; what stands in texts and comments is nothing."""
    assert lines_of(FORMS) == {
        ("gateway",): 2,
        ("quoted name",): 3,
        ("quoted name", "b.c"): 3,
        ("quoted name", "b.c", "d"): 3,
        ("inline",): 7,
        ("inline", 0): 8,
        ("inline", 0, "name"): 8,
        ("inline", 0, "rpm"): 8,
        ("inline", 1): 10,
        ("inline", 1, "name"): 10,
        ("inline", 1, "limits"): 10,
        ("inline", 1, "limits", "rpm"): 10,
        ("inline", 1, 'it"s'): 10,
        ("inline", 1, 'it"s', "x"): 10,
        ("inline", 2): 11,
        ("inline", 2, 0): 11,
        ("inline", 2, 1): 11,
        ("inline", 2, 2): 11,
        ("inline", 2, 2, 0): 12,
        ("inline", 3): 12,
        ("tokens",): 14,
        ("tokens", 0): 14,
        ("tokens", 0, "name"): 15,
        ("tokens", 1): 16,
        ("tokens", 1, "rpm"): 17,
        ("tokens", 1, "limits"): 18,
        ("tokens", 1, "limits", "tpm"): 19,
        ("tokens", 1, "more"): 20,
        ("tokens", 1, "more", 0): 20,
        ("tokens", 1, "more", 1): 21,
        ("tokens", 1, "more", 1, "x"): 22,
        ("tokens", 1, "more", 1, "x", "y"): 22,
        ("owners",): 29,
        ("owners", "org-1"): 23,
        ("owners", "org-1", "d"): 24,
        ("owners", "org-1", "e"): 25,
        ("owners", "org-1", "f"): 28,
        ("owners", "g"): 30,
    }


def paths(data, path=()):
    """All paths of what was read."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, value in entries:
        yield (*path, name)
        yield from paths(value, (*path, name))


def test_no_more_and_no_less():
    """What is found is what ``tomllib`` finds."""
    assert set(lines_of(FORMS)) == set(paths(tomllib.loads(FORMS)))


NASTY = st.text(st.sampled_from("ab01.=[]{}#,\"'\\\n\t é"), max_size=8)
NAMES = st.one_of(st.sampled_from(["rpm", "a", "b-c", "1"]), NASTY)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 9), NASTY),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


def spelled(draw, text):
    """A text in one of the forms that can hold it."""
    forms = [json.dumps(text, ensure_ascii=False)]
    if "'" not in text and not set(text) & set("\n"):
        forms.append(f"'{text}'")
    if "''" not in text and not text.endswith("'"):
        forms.append(f"'''\n{text}'''")
    if "\\" not in text and '""' not in text and not text.endswith('"'):
        forms.append(f'"""{text}"""')
    return draw(st.sampled_from(forms))


def name_of(draw, name):
    is_bare = name and name.isascii() and all(each.isalnum() or each in "-_" for each in name)
    return name if is_bare and draw(st.booleans()) else json.dumps(name, ensure_ascii=False)


def value_of(draw, value):
    if isinstance(value, str):
        return spelled(draw, value)
    if isinstance(value, list):
        between = draw(st.sampled_from([",", " , ", ",\n", ", # ]\n"]))
        return f"[{draw(st.sampled_from(['', chr(10)]))}{between.join(value_of(draw, each) for each in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name_of(draw, name)} = {value_of(draw, each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


@st.composite
def documents(draw):
    """A file of lists of tables with nasty texts all about, and the line of each name that begins a line of its own."""
    lines, known = [], {}

    def put(text):
        lines.extend(text.split("\n"))

    for number, table in enumerate(draw(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=4))):
        put(draw(st.sampled_from(["", "# [[tokens]]", "  # rpm = 1"])))
        known["tokens", number] = len(lines) + 1
        put(draw(st.sampled_from(["[[tokens]]", '[[ "tokens" ]] # rpm'])))
        for name, value in table.items():
            known["tokens", number, name] = len(lines) + 1
            put(f"{name_of(draw, name)} = {value_of(draw, value)}")
    return "\n".join(lines), known


@given(documents())
def test_any_file(document):
    """Whatever a file holds: each thing that ``tomllib`` finds has a line, nothing else, and it is the right one."""
    text, known = document
    lines = lines_of(text)
    assert set(lines) == set(paths(tomllib.loads(text)))
    assert {path: lines[path] for path in known} == known
    assert lines_of(text.replace("\n", "\r\n")) == lines


@given(st.text(st.sampled_from("a.=[]{}#,\"'\\\n \t"), max_size=30))
def test_what_is_no_toml(text):
    """It ends, and raises nothing."""
    assert all(1 <= line <= text.count("\n") + 1 for line in lines_of(text).values())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(FORMS, newline="")
    return read_toml(path)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("tokens[1].rpm", "some.toml, line 17: tokens[1].rpm"),
        ("tokens[1].more[1].x.y", "some.toml, line 22: tokens[1].more[1].x.y"),
        ("owners['org-1'].d", "some.toml, line 24: owners['org-1'].d"),
        ("quoted name.b.c.d", "some.toml, line 3: quoted name.b.c.d"),
        ("tokens[0].secret", "some.toml, line 14: tokens[0].secret"),
        ("tokens[7].rpm", "some.toml, line 14: tokens[7].rpm"),
        ("gateways", "some.toml: gateways"),
        ("inline[1].limits.rpm", "some.toml, line 10: inline[1].limits.rpm"),
    ],
)
def test_places_of_messages(file, place, told):
    """As messages spell them; where the file does not say it, the line is that of what it would be in."""
    assert file.where(place) == told
    assert str(file.placed(ConfigurationError(place, "is wrong"))) == f"{told}: is wrong"


def test_no_secret_where_none_belongs(tmp_path):
    """One in the place of a name or of a number is masked."""
    secret = "sk-" + "recognisable" * 3
    path = tmp_path / "some.toml"
    path.write_text(f'{secret} = 1\nrpm = "{secret}"\n')
    file = read_toml(path)
    for place in (secret, "rpm"):
        told = str(file.placed(ConfigurationError(place, f"must be a number, not '{secret}'" * (place == "rpm"))))
        assert f"some.toml, line {1 + (place == 'rpm')}: " in told
        assert "recognisable" not in told
    assert "recognisable" not in repr(file)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"a = 1\nb = \xff\n", "line 2 is not UTF-8"),
        (b"a = 1\na = 2\n", "line 2, column 6"),
        (b'a = "sk-one', "see its quoting"),
        (b"a = " + b"[" * 100_000, "too many brackets within brackets"),
    ],
)
def test_files_that_are_no_toml(tmp_path, raw, problem):
    """The line, and nothing of what is in them."""
    path = tmp_path / "some.toml"
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        read_toml(path)
    assert "sk-one" not in str(caught.value)


def test_near_names():
    """A name that was nearly right is told; so is one with the option's dashes."""
    known = ("workers", "token_file", "http")
    assert is_unknown("workes", known) == "is unknown: did you mean workers? Known are workers, token_file, http"
    assert is_unknown("token-file", known).startswith("is unknown: did you mean token_file? ")
    assert is_unknown("colour", known) == "is unknown; known are workers, token_file, http"
    assert is_unknown("colour", ["x"]) == "is unknown; known is x"
