"""The report as one HTML file: well formed, self-contained, bounded, legible, and safe from what it shows."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stable_openai.bulk.page import document, scales, write_page
from stable_openai.bulk.page.document import page_of
from stable_openai.bulk.page.style import DARK, LIGHT, STYLE
from stable_openai.bulk.record import KeyRecord, Latencies, RunRecord, Stretch
from tests.bulk.made import crawl

VOID = {"meta", "br", "link"}
EMPTY = RunRecord(started_at=1_767_225_600.0, seconds=0.0)


class Page(HTMLParser):
    """What is on a page: its elements with their attributes, and its words. Fails on what is not nested."""

    def __init__(self, content):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def pictures(content):
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", content, re.DOTALL)]


@pytest.fixture(scope="module")
def record():
    return crawl(keys=6, every=1.0)


@pytest.fixture(scope="module")
def content(record):
    return page_of(record)


def test_it_is_all_there(content, record):
    """Headline, figures, both files, each key, each reason."""
    page = Page(content)
    answered = f"{record.answered + 2_000:,} of {record.total:,} items answered"
    assert page.text.count(answered) == 2, "in the title and the heading"
    for words in (
        "12 min 34 s",
        f"{record.share:.1%}",
        f"{record.tokens:,}",
        f"{record.cost:.2f}",
        "2,000 by an earlier one",
    ):
        assert words in page.text
    for words in ("context length", "ValueError", "out/answers.jsonl", "out/answers.failures.jsonl"):
        assert words in page.text
    for words in ("key-1", "key-6", "parked: quota exhausted", "retired: invalid key", "p90", "The provider's answers"):
        assert words in page.text
    assert "dashed: what the limits of the keys allow, 2,000 a minute" in page.text
    assert "Stopped early" not in page.text
    assert [attrs["datetime"][:10] for attrs in page.all("time")] != []


def test_it_is_well_formed_and_needs_nothing_else(content):
    """Tags are nested, pictures are XML; no script, and nothing is fetched from anywhere."""
    page = Page(content)
    assert len(pictures(content)) == len(page.all("svg"))
    assert not {"script", "link", "img", "iframe", "a", "use", "object", "base"} & {name for name, _ in page.elements}
    assert not re.search(r"https?:|url\(|@import|javascript:|data:", content)
    assert not [
        name for _, attrs in page.elements for name in attrs if name.startswith("on") or name in ("src", "href")
    ]
    assert {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; style-src 'unsafe-inline'",
    } in page.all("meta")
    assert content.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_those_who_cannot_see_are_told(content):
    """Landmarks, named sections and pictures, tables with captions and headings; each id once."""
    page = Page(content)
    names = [name for name, _ in page.elements]
    assert [names.count(landmark) for landmark in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    referred = [name for _, attrs in page.elements for name in attrs.get("aria-labelledby", "").split()]
    assert set(referred) <= set(ids)
    assert all("aria-labelledby" in attrs for attrs in page.all("section"))
    for picture in pictures(content):
        if picture.get("aria-hidden") is None:
            assert picture.get("role") == "img"
            assert [child.tag for child in picture[:2]] == ["title", "desc"]
            assert all(child.text for child in picture[:2])
    assert len(page.all("caption")) == len(page.all("table")) == 2
    assert {attrs.get("scope") for attrs in page.all("th")} == {"col", "row"}


def test_rests_have_shapes_and_reasons(content):
    """Not colour alone: each standing has its own kind of line, and says what it was and why."""
    titles = [
        (path.get("class"), path[0].text) for picture in pictures(content) for path in picture.iter("path") if len(path)
    ]
    assert ("retired", "retired from 38 s to 12 min 34 s: invalid key") in titles
    assert any(kind == "parked" and "quota exhausted" in words for kind, words in titles)
    assert any(kind == "cooling" and "rate limit: requests per minute" in words for kind, words in titles)
    shapes = re.findall(r"^\.(cooling|parked|barred|retired)\{stroke:var\(--\w+\);(.*)\}$", STYLE, re.MULTILINE)
    assert len({shape for _, shape in shapes}) == len(shapes) == 4


NASTY = "</title></svg><script>alert('x')</script><img src=x onerror=\"y\">&amp;\x00\x0b\ud800\u202e"


def test_nothing_that_is_shown_gets_out_of_its_place(tmp_path, content):
    """Names, owners, reasons, paths and messages are words and nothing else, whatever they hold."""
    key = KeyRecord(
        NASTY,
        NASTY,
        NASTY,
        9,
        1,
        NASTY,
        NASTY,
        (9,),
        (Stretch(0.0, 1.0, NASTY, NASTY), Stretch(1.5, 2.0, "parked", NASTY)),
    )
    record = RunRecord(
        started_at=0.0, seconds=2.0, answered=1, failed={NASTY: 1}, stopped=NASTY, keys=(key,), bin_s=2.0,
        answered_counts=(1,), output=NASTY, failures=NASTY,
    )  # fmt: skip
    write_page(record, tmp_path / "page.html")
    found = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(found)
    assert {name for name, _ in page.elements} <= {name for name, _ in Page(content).elements} | {"strong"}
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on") or name == "src"]
    assert page.text.count("<script>alert('x')</script>") >= 8
    assert len(pictures(found)) == len(page.all("svg"))
    assert not set("\x00\x0b\u202e") & set(found)


def test_a_crowd_of_keys_stays_bounded(tmp_path):
    """A thousand keys with long names that rest all the time: the busiest and the troubled, and the rest in a line."""
    stretches = tuple(
        Stretch(n * 18.0, n * 18.0 + 9.0, "cooling down", "rate_limited_tokens_minute") for n in range(200)
    )
    keys = tuple(
        KeyRecord(
            f"{'<&>' * 40}{n}",
            "",
            f"owner-{n}",
            n,
            1_000 - n,
            "open",
            "",
            tuple((n + i * 7919) % 97 for i in range(600)),
            stretches,
        )
        for n in range(1_000)
    )
    record = RunRecord(started_at=0.0, seconds=3_600.0, bin_s=6.0, answered_counts=(7,) * 600, keys=keys)
    write_page(record, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 300_000
    page = Page((tmp_path / "page.html").read_text())
    assert len([attrs for attrs in page.all("svg") if attrs.get("role") == "img"]) == 80 + 1
    assert "920 others" in page.text
    titles = {
        title.text for picture in pictures((tmp_path / "page.html").read_text()) for title in picture.iter("title")
    }
    assert "cooling down 200 times, for 30 min in all: rate limit: tokens per minute" in titles


@pytest.mark.parametrize(
    "record",
    [
        EMPTY,
        replace(EMPTY, seconds=0.001, answered=1, answered_counts=(1,), bin_s=0.1),
        replace(EMPTY, seconds=9.0, keys=(KeyRecord("a", "", None, 0, 0, "open", ""),)),
        replace(EMPTY, seconds=9.0, possible_per_minute=10**9, answered=5, answered_counts=(5,), bin_s=10.0, total=0),
        replace(EMPTY, latencies=Latencies((1.0,), (3,)), attempt_latencies=Latencies((1.0, 2.0), (0, 5))),
        replace(EMPTY, seconds=1e7, answered=1, bin_s=20_000.0, answered_counts=(0,) * 499 + (1,), minute=4.0),
        replace(EMPTY, stopped="no key is left", failed={"x": 1}),
    ],
)
def test_runs_of_which_little_is_known(record):
    """What is not known is left out."""
    found = page_of(record)
    page = Page(found)
    pictures(found)
    assert ("Stopped early:" in page.text) == bool(record.stopped)
    assert ("Tokens" in page.text, "Cost" in page.text, "Files" in page.text) == (False, False, False)
    assert not re.search(r"\b(nan|inf|None)\b", found)


def test_colours_have_contrast():
    """Words 4.5 to 1 against what is behind them and lines 3 to 1, on light and on dark; the page uses no others."""

    def light(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one, other):
        dark, bright = sorted((light(one), light(other)))
        return (bright + 0.05) / (dark + 0.05)

    for colours in (LIGHT, DARK):
        for behind in ("page", "card"):
            assert all(contrast(colours[name], colours[behind]) >= 4.5 for name in ("text", "soft"))
        assert all(contrast(colours[name], colours["card"]) >= 3 for name in ("bar", "cooling", "parked", "gone"))
    assert set(re.findall(r"#[0-9a-f]{6}", STYLE)) == {*LIGHT.values(), *DARK.values()}
    assert "@media screen and (prefers-color-scheme:dark)" in STYLE, "paper is light"


def test_whole_or_not_at_all(tmp_path, record, monkeypatch):
    """A page that was there stays until the new one is complete; nothing is left lying about."""
    path = tmp_path / "deep" / "page.html"
    write_page(EMPTY, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            write_page(record, path)
        patch.setattr(document, "draw_timeline", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_page(record, path)
    assert path.read_bytes() == before
    write_page(record, str(path))
    assert path.read_bytes() != before
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]


def test_scales():
    """Marks at round places, few enough for a phone; outlines and means."""
    assert [words for _, words in scales.time_marks(754.0)] == ["0", "5 min", "10 min"]
    assert [words for _, words in scales.time_marks(3.0)] == ["0", "1 s", "2 s", "3 s"]
    assert len(scales.time_marks(86_400.0 * 400)) <= 6
    assert [words for _, words in scales.number_marks(2_240.0)] == ["0", "500", "1,000", "1,500", "2,000"]
    assert [words for _, words in scales.number_marks(1.12)] == ["0", "0.5", "1"]
    assert scales.log_marks(0.08, 80.0) == [0.1, 1, 10, 60]
    assert scales.log_marks(0.8, 4.0) == [1, 2]
    assert scales.fewer([1, 2, 3, 4, 5], 2) == [3, 7, 5]
    assert scales.mean_over([2, 4, 0, 0], 2) == [1, 3, 2, 0]
    assert scales.outline([0, 10, 10, 0.01, 5], 10, 20) == "M0 20h1V0h2V19h1V10h1V20Z"
