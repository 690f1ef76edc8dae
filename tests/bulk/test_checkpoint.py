"""Checkpoints: what was answered is not asked again, what failed is told, and what could succeed is tried again."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest

import stable_openai
from stable_openai import ConfigurationError, FailedBefore, KeyPool, amap, stable
from stable_openai.bulk.hiding import hider_of


class Refused(Exception):
    """A provider's error, as any library's exception carries it."""

    def __init__(self, status, message, code="trouble"):
        super().__init__(message)
        self.status_code, self.headers = status, {}
        self.body = {"error": {"message": message, "code": code}}


def smap(fn, items, **options):
    return stable_openai.map(fn, items, **{"progress": False, **options})


def lines_of(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.jsonl"


@pytest.fixture
def failures(tmp_path):
    return tmp_path / "out.failures.jsonl"


class Counted:
    """A function that notes what it was called with."""

    def __init__(self, function=lambda item: item):
        self.calls = []
        self._function = function

    def __call__(self, item):
        self.calls.append(item)
        return self._function(item)


# -- what is there already


def test_each_value_is_on_the_disk_before_it_is_handed_out(path):
    """Whoever has got it will find it there."""
    for number, value in enumerate(smap(str, range(50), checkpoint=path, workers=3), 1):
        assert sum(line["value"] is not None for line in lines_of(path)) >= number
        assert value in {line["value"] for line in lines_of(path)}


@pytest.mark.parametrize("order", ["input", "completed"])
@pytest.mark.parametrize("id", [None, str, lambda item: item])
def test_what_was_answered_is_not_asked_again(path, id, order):  # noqa: A002
    """By an id that is given, or by the item's content; its value comes in its place."""
    first = Counted()
    for _ in smap(first, range(100), checkpoint=path, id=id, order=order, buffer=20):
        if len(first.calls) >= 50:
            break
    again = Counted()
    run = smap(again, range(100), checkpoint=path, id=id, order=order)
    found = list(run)
    assert sorted(found) == list(range(100))
    assert order == "completed" or found == sorted(found)
    assert len(again.calls) + run.report.resumed == 100
    assert len({line["id"] for line in lines_of(path)}) == len(lines_of(path)) == 100
    last = Counted()
    run = smap(last, range(100), checkpoint=path, id=id)
    assert list(run) == list(range(100))
    assert (last.calls, run.report.resumed, run.report.answered) == ([], 100, 0)


def test_results_tell_what_was_there(path):
    """``resumed``, and the id."""
    smap(str, ["b"], checkpoint=path).run()
    found = list(smap(str, ["a", "b", "c"], checkpoint=path).results())
    assert [(one.item, one.resumed) for one in found] == [("a", False), ("b", True), ("c", False)]
    assert [len(one.id) for one in found] == [32] * 3


def test_by_the_name_of_a_field(path):
    """Of mappings, and of objects, with dots."""

    @dataclasses.dataclass
    class Row:
        meta: object

    @dataclasses.dataclass
    class Meta:
        name: str

    assert list(smap(lambda item: item["n"], [{"id": "x", "n": 1}, {"id": 7, "n": 2}], checkpoint=path, id="id")) == [
        1,
        2,
    ]
    assert sorted(line["id"] for line in lines_of(path)) == ["7", "x"]
    assert list(smap(lambda _: 3, [Row(Meta("y"))], checkpoint=path, id="meta.name")) == [3]
    assert {line["id"] for line in lines_of(path)} == {"7", "x", "y"}


def test_numbers_of_other_libraries_are_ids(path):
    """Whatever stands for a whole number, as numpy's do."""

    class Int64:
        def __init__(self, value):
            self._value = value

        def __index__(self):
            return self._value

    smap(str, [5], checkpoint=path, id=lambda item: Int64(item)).run()
    assert lines_of(path) == [{"id": "5", "value": "5"}]


def test_the_same_content_again_gets_a_number(path):
    """Without ids, each of several items of the same content has a result of its own; a resumed run knows them."""
    items = ["a", "b", "a", "a", {"x": 1, "y": 2}, {"y": 2, "x": 1}]
    assert list(smap(str, items, checkpoint=path)) == list(map(str, items))
    assert len({line["id"] for line in lines_of(path)}) == 6
    again = Counted(str)
    assert list(smap(again, items, checkpoint=path)) == list(map(str, items))
    assert again.calls == []
    more = Counted(str)
    smap(more, [*items, "a"], checkpoint=path).run()
    assert more.calls == ["a"]


def test_items_in_another_order_and_others_among_them(path):
    """An id is found wherever its item stands; what is in the file and not in the input does not matter."""
    smap(str, range(0, 20, 2), checkpoint=path).run()
    again = Counted(str)
    assert list(smap(again, [*range(30, 10, -1)], checkpoint=path)) == [str(item) for item in range(30, 10, -1)]
    assert sorted(again.calls) == [11, 13, 15, 17, 19, *range(20, 31)]


@pytest.mark.parametrize("order", ["input", "completed"])
def test_values_that_nobody_wants_again(path, order):
    """With ``replay=False`` they are passed over, wherever they stand, and are counted."""
    smap(str, [2, 3, 7], checkpoint=path).run()
    run = smap(str, range(10), checkpoint=path, replay=False, order=order, buffer=3)
    assert sorted(run) == ["0", "1", "4", "5", "6", "8", "9"]
    assert (run.report.resumed, run.report.answered, run.report.total) == (3, 7, 10)
    run = smap(str, range(10), checkpoint=path, replay=False, order=order)
    assert list(run) == []
    assert run.report.resumed == 10


async def test_tasks_resume_as_well(path):
    """What threads have written; and values that nobody wants again are passed over."""
    smap(str, [2, 3, 7], checkpoint=path).run()
    calls = []

    async def fn(item):
        calls.append(item)
        await asyncio.sleep(0)
        return str(item)

    run = amap(fn, range(10), checkpoint=path, replay=False, buffer=3, progress=False)
    assert [value async for value in run] == ["0", "1", "4", "5", "6", "8", "9"]
    assert [value async for value in amap(fn, range(10), checkpoint=path, progress=False)] == list(map(str, range(10)))
    assert sorted(calls) == [0, 1, 4, 5, 6, 8, 9]


# -- ids that can't be


def test_duplicate_ids_are_refused_with_both_places(path):
    """All before the second one is done; nothing is asked for twice."""
    again = Counted(str)
    run = smap(again, ["a", "b", "c", "b", "d"], checkpoint=path, id=str, workers=1)
    assert [next(run) for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(ConfigurationError, match=r"items\[3\]: has the id 'b', which items\[1\] has already"):
        next(run)
    assert again.calls == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, "has the id None"),
        ("", "has the id ''"),
        (True, "has the id True"),
        (1.5, "has the id 1.5"),
        (b"raw", "has the id b'raw'"),
        ("half \udcff", r"has the id 'half \\udcff', which is no text that can be written"),
    ],
)
def test_ids_that_are_none(path, found, told):
    """A text that can be written, or a whole number."""
    with pytest.raises(ConfigurationError, match=told):
        next(smap(str, [1], checkpoint=path, id=lambda _: found))
    assert path.read_bytes() == b""


@pytest.mark.parametrize("item", [{"n": 1}, 5, None])
def test_items_without_the_field(path, item):
    """Their place is named."""
    with pytest.raises(ConfigurationError, match=r"items\[0\]: has no id by 'name'"):
        next(smap(str, [item], checkpoint=path, id="name"))


def test_an_item_whose_content_has_no_form(path):
    """No id can be made of it: give one."""
    run = smap(str, ["a", object()], checkpoint=path)
    assert next(run) == "a"
    with pytest.raises(ConfigurationError, match=r"items\[1\]: has no id.*object has no form in JSON\): give id="):
        next(run)
    loop = []
    loop.append(loop)
    with pytest.raises(ConfigurationError, match="give id="):
        next(smap(str, [loop], checkpoint=path))


@pytest.mark.parametrize(
    "name", ["a\0b", "a\nb", 'quoted "', "\\", "Grüße \U0001f600", "x" * 100_000, "\u2028", " ", "7"]
)
def test_ids_of_all_kinds_of_letters(path, name):
    """They come back as they were."""
    smap(lambda _: 1, [0], checkpoint=path, id=lambda _: name).run()
    again = Counted()
    assert list(smap(again, [0], checkpoint=path, id=lambda _: name)) == [1]
    assert again.calls == []
    assert lines_of(path) == [{"id": name, "value": 1}]


# -- values


def test_values_come_back_as_json_has_them(path):
    """A tuple as a list; what has no form is refused, with what was done before kept, and the run stops."""
    assert list(smap(lambda item: (item, {"n": item}), [1], checkpoint=path)) == [(1, {"n": 1})]
    assert list(smap(lambda item: item, [1], checkpoint=path)) == [[1, {"n": 1}]]
    run = smap(lambda item: object() if item == 3 else item, range(1, 9), checkpoint=path, workers=1)
    assert [next(run), next(run)] == [[1, {"n": 1}], 2]
    with pytest.raises(
        ConfigurationError, match="the function's value can't be kept: object has no form.*give encode="
    ):
        next(run)
    assert len(lines_of(path)) == 2


def test_a_value_that_holds_itself(path):
    """It has no end, and is refused like others without a form."""

    def fn(item):
        made = [item]
        made.append(made)
        return made

    with pytest.raises(ConfigurationError, match="can't be kept"):
        next(smap(fn, [1], checkpoint=path))


def test_encode_and_decode(path):
    """The file holds what ``encode`` makes of a value, and later runs give what ``decode`` makes of that."""
    options = {"checkpoint": path, "encode": lambda value: value.decode("latin-1"), "decode": str.encode}
    assert list(smap(lambda item: item * 2, [b"a", b"b"], **options)) == [b"aa", b"bb"]
    assert sorted(line["value"] for line in lines_of(path)) == ["aa", "bb"]
    assert list(smap(len, [b"b", b"a"], **options)) == [b"bb", b"aa"]


def test_a_decode_that_fails_ends_the_run(path):
    """With its own error."""
    smap(str, [1], checkpoint=path).run()
    with pytest.raises(ZeroDivisionError):
        next(smap(str, [1], checkpoint=path, decode=lambda _: 1 / 0))


def test_half_characters_are_kept(path):
    """UTF-8 has no room for them; JSON has."""
    assert list(smap(lambda _: "half \ud800", [1], checkpoint=path)) == ["half \ud800"]
    assert list(smap(str, [1], checkpoint=path)) == ["half \ud800"]


def test_a_line_of_20_mb(path):
    """Is written, found and read like any other."""
    long = "ü" * 10_000_000
    assert next(smap(lambda _: long, ["long"], checkpoint=path, id=str)) == long
    smap(str, ["short"], checkpoint=path, id=str).run()
    again = Counted()
    assert [len(value) for value in smap(again, ["long", "short"], checkpoint=path, id=str)] == [10_000_000, 5]
    assert again.calls == []


# -- failures


def fails(item):
    if item == "final":
        raise Refused(400, "the prompt is bad", "invalid_value")
    if item == "later":
        raise Refused(503, "not now")
    if item == "mine":
        raise ZeroDivisionError("by nothing")
    return item


ITEMS = ["good", "final", "later", "mine"]


def test_failures_are_in_a_file_of_their_own(path, failures):
    """By reason, and whether they can succeed; the output holds none of them."""
    run = smap(fails, ITEMS, checkpoint=path, id=str, errors="return")
    run.run()
    found = {line.pop("id"): line for line in lines_of(failures)}
    assert found["final"] == {"reason": "bad_request", "error": "the prompt is bad", "status": 400, "retriable": False}
    assert found["mine"] == {
        "reason": "ZeroDivisionError",
        "error": "ZeroDivisionError: by nothing",
        "retriable": True,
    }
    assert (found["later"]["status"], found["later"]["retriable"]) == (503, True)
    assert [line["id"] for line in lines_of(path)] == ["good"]
    assert run.report.failures == str(failures)
    assert run.report.failed["bad_request"] == 1


@pytest.mark.parametrize(
    ("choice", "asked"),
    [("retriable", ["later", "mine"]), ("all", ["final", "later", "mine"]), ("none", [])],
)
def test_which_failures_are_asked_again(path, failures, choice, asked):
    """Those that can succeed; or all; or none: the others come as ``FailedBefore``, with their reason."""
    smap(fails, ITEMS, checkpoint=path, id=str, errors="return").run()
    again = Counted()
    found = list(smap(again, ITEMS, checkpoint=path, id=str, errors="return", retry_failed=choice).results())
    assert sorted(again.calls) == asked
    assert [one.ok for one in found] == [item == "good" or item in asked for item in ITEMS]
    for one in found:
        if not one.ok:
            assert isinstance(one.error, FailedBefore)
            assert one.resumed
            reasons = {"final": "bad_request", "mine": "ZeroDivisionError", "later": "overloaded"}
            assert one.reason == one.error.reason == reasons[one.item]
    left = [line["id"] for line in lines_of(failures)] if failures.exists() else []
    assert sorted(left) == sorted(set(ITEMS) - {"good", *asked})


def test_a_final_failure_is_raised_again_in_its_place(path):
    """With ``errors="raise"`` as with any other error; the message says how it can be asked all the same."""
    smap(fails, ITEMS, checkpoint=path, id=str, errors="return").run()
    run = smap(str, ITEMS, checkpoint=path, id=str)
    assert next(run) == "good"
    with pytest.raises(FailedBefore, match="bad_request: the prompt is bad .*retry_failed='all' asks again"):
        next(run)
    assert list(run) == ["later", "mine"]


def test_a_failure_of_what_has_succeeded_since_vanishes(path, failures):
    """Whichever run has noted it; and an empty file of failures is taken away."""
    smap(fails, ITEMS, checkpoint=path, id=str, errors="return").run()
    smap(str, ["final"], checkpoint=path, id=str, retry_failed="all").run()
    assert not failures.exists()
    smap(fails, ["a", "mine"], checkpoint=path, id=str, errors="return").run()
    with path.open("ab") as file:
        file.write(b'{"id":"mine","value":1}\n')
    smap(str, [], checkpoint=path, id=str, retry_failed="none").run()
    assert not failures.exists()


def test_failures_that_are_left_for_another_run_stay(path, failures):
    """A run that stops half-way loses none that it was not to ask again."""
    smap(fails, ITEMS, checkpoint=path, id=str, errors="return").run()
    before = failures.read_bytes()
    with smap(str, ITEMS, checkpoint=path, id=str, retry_failed="none") as run:
        next(run)
    assert failures.read_bytes() == before


def test_a_file_of_failures_is_no_output(path, failures):
    """To name it as the checkpoint is an error that says so, and changes nothing."""
    smap(fails, ITEMS, checkpoint=path, id=str, errors="return").run()
    before = failures.read_bytes()
    with pytest.raises(ConfigurationError, match="is a file of failures: results need one of their own"):
        smap(str, ITEMS, checkpoint=failures, id=str).run()
    assert failures.read_bytes() == before


def test_many_failures_take_no_memory_to_resume(path, failures):
    """Where each of them is stands in a table on the disk."""
    failures.write_text(
        "".join(f'{{"id":"{n}","reason":"bad_request","error":"e","retriable":false}}\n' for n in range(5000))
    )
    run = smap(str, map(str, range(5000)), checkpoint=path, id=str, errors="return")
    assert sum(isinstance(error, FailedBefore) for error in run) == 5000
    assert run.report.failed == {"bad_request": 5000}


# -- secrets

PLAIN_SECRET = "acme.internal.gateway.token"  # nothing about it looks like a key


@pytest.mark.parametrize("before", ["", "x " * 10, "x " * 80, "x " * 90, "word " * 37, "word " * 38, "word " * 250])
@pytest.mark.parametrize("secret", [PLAIN_SECRET, "sk-proj-aaaaaaaaaaaaaaaaaaaaaaaa"])
def test_no_secret_reaches_the_file_of_failures(path, failures, before, secret):
    """Providers repeat keys in their errors: not one is written, whole or cut, whether it looks like one or not."""
    with KeyPool([secret]) as pool:

        @stable(pool=pool)
        def ask(item, api_key):
            raise Refused(400, f"{before}the key {api_key} may not do that, said {api_key}", "invalid_value")

        smap(ask, ["a"], checkpoint=path, id=str, errors="return").run()
    (line,) = lines_of(failures)
    assert line["reason"] == "bad_request"
    assert secret[8:14] not in line["error"]
    assert secret[:7] not in line["error"].replace("sk-proj", "")


def test_no_secret_is_in_what_a_run_was_stopped_by(tmp_path):
    """The report and the log say why, without them."""
    with KeyPool([PLAIN_SECRET]) as pool, pytest.raises(Refused), smap(str, [1, 2], pool=pool) as run:
        next(run)
        raise Refused(401, f"bad key {PLAIN_SECRET} and sk-other-aaaaaaaaaaaaaaaaaaaaaaaa")
    assert run.report.stopped.startswith("bad key …oken and sk-…aaaa: ")


def test_hiding():
    """A whole secret, the beginning of one at the end of a cut text, and nothing else."""
    with KeyPool([PLAIN_SECRET]) as pool:
        hide = hider_of(pool)
        assert hide(f"<{PLAIN_SECRET}>") == "<…oken>"
        assert hide("key acme.internal.g…") == "key …"
        assert hide("key acme.internal.g") == "key …"
        assert hide("made by acme") == "made by acme"
        assert hide("acme.inside") == "acme.inside"
        assert hide("acme.internal.x and acme.internal.ga…") == "acme.internal.x and …"
        assert hide("") == ""
    assert hider_of(None)("sk-other-aaaaaaaaaaaaaaaaaaaaaaaa") == "sk-…aaaa"
