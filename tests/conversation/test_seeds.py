# ruff: noqa: RUF001  # the examples are Chinese
"""Every block of code of the documents that the project grew from, as printed; only the name in the import line differs.

``blocks/`` has the blocks, one file for each document. What a block says that a line prints or returns is compared:
``# >>> 51`` behind a request, ``# 返回:`` and the list below, and the lines below a loop. The model that answers reads
what it is sent, so that it is right only where it is told all that was said.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
from pathlib import Path

import pytest

from stable_openai import InjectionError, KeyManager
from stable_openai.simulator import SimKey, streams

HERE = Path(__file__).parent / "blocks"
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
KEYS = (
    "api_key", "...", "sk-ug8w...", "sk-mf40...", "sk-m6g7...", "sk-affe...", "sk-fam4...", "sk-detg...", "sk-adle...",
    "sk-jg93...", "sk-vb7l...", "sk-d3lv...", "your_api_key1", "your_api_key2",
)  # fmt: skip
KNOWN = {
    "英国的首都是什么": "伦敦", "日本首都是什么": "东京", "意大利的首都是什么": "罗马", "美国的首都是什么": "华盛顿",
    "世界上国土面积最大的国家是哪个": "俄罗斯", "法国的首都叫什么": "巴黎", "青蛙的幼体叫什么": "蝌蚪",
    "世界上最大的海洋是什么": "太平洋", "世界上最大的海洋是哪个": "世界上最大的海洋是太平洋。",
    "哦吼, 你还敢骂我呀": "非常抱歉，我刚才的回答有些不适当。1+1=2, 10+10=20。非常抱歉给你带来困扰！",
}  # fmt: skip
SCENE = """[
    {"speaker": "苏轼", "audiences": "李清照", "remark": "最近我在写一首新的诗，题目是《听雨》"},
    {"speaker": "苏轼", "audiences": "杜甫", "remark": "那首《茅屋为秋风所破歌》已经写好啦，我在信里寄给你了，请查收"}
]"""


def blocks_of(text):
    return FENCED.findall(text)


def blocks(name):
    return blocks_of((HERE / f"{name}.md").read_text("utf-8"))


def seeds_folder():
    named = os.environ.get("STABLE_OPENAI_SEEDS")
    places = [Path(named)] if named else [up / "shared" / "seeds" for up in Path(__file__).resolve().parents]
    return next((place for place in places if place.is_dir()), None)


@pytest.mark.skipif(seeds_folder() is None, reason="the seeds are not here: set STABLE_OPENAI_SEEDS")
@pytest.mark.parametrize("name", ["001", "003", "004"])
def test_the_blocks_are_those_of_the_seeds(name):
    """Nothing was left out, nothing was made to fit."""
    (seed,) = seeds_folder().glob(f"{name}_*.txt")
    assert blocks(name) == blocks_of(seed.read_text("utf-8"))


# -- a model that counts, and knows some capitals


def counting(request):
    """The answer to the last message: from what is known, or one more than was said before."""
    messages = request.payload["messages"]
    question = messages[-1]["content"]
    assert messages[-1]["role"] == "user"
    if "JSON" in question:
        return SCENE
    if question.startswith("Thread"):
        return "你好"
    if question.rstrip("?？") in KNOWN:
        return KNOWN[question.rstrip("?？")]
    asked = re.search(r"自然数(\d+)的后面是几", question)
    before = asked[1] if asked else messages[-2]["content"]
    return str(int(before) + 1)


def bare(told):
    """What stands behind ``# >>>``: a text in quotes, or all of it."""
    return re.match(r"'([^']*)'", told)[1] if told.startswith("'") else told


class Runner:
    """Runs blocks one after the other, in one namespace."""

    def __init__(self):
        self.names = {}
        self.checked = 0

    def run(self, block):
        code, printed = self._with_checks(block.replace("from openai2 import", "from stable_openai import"))
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            compiled = compile(code, "seed", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            self.names.update(check=self.check, shows=self.shows(out))
            running = eval(compiled, self.names)
            if inspect.isawaitable(running):
                asyncio.run(running)
        if printed is not None:
            self.check(out.getvalue().splitlines(), printed)
        return out.getvalue()

    def _with_checks(self, block):
        """The block with each ``# >>>`` made a check; and what it prints in the end, where it says so."""
        block, _, returned = block.partition("\n# 返回:\n")
        lines, printed = [], None
        for line in block.splitlines():
            told = re.fullmatch(r"(\w+\.request\(.*\)) +# >>> (.*)", line)
            shown = re.fullmatch(r"((?:\w+\.rollback|asyncio\.run|print)\(.*\)) +# >>> (.*)", line)
            if told:
                lines.append(f"check(str({told[1]}), {bare(told[2])!r})")
            elif shown:
                lines.append(f"with shows({bare(shown[2])!r}): {shown[1]}")
            elif len(line) == 1 and not line.isascii():
                printed = [*(printed or []), line]
            else:
                lines.append(line)
        if returned:
            expected = ast.literal_eval(re.sub("^# ", "", returned, flags=re.MULTILINE))
            while not lines[-1].strip():
                lines.pop()
            value = lines.pop() if lines[-1].endswith(".fetch_messages()") else "json.loads(answer)"
            lines.append(f"check({value}, {expected!r})")
        return "\n".join(lines), printed

    def check(self, got, expected):
        assert got == expected
        self.checked += 1

    def shows(self, out):
        @contextlib.contextmanager
        def shows(expected):
            before = len(out.getvalue())
            yield
            self.check(out.getvalue()[before:], expected + "\n")

        return shows


@pytest.fixture
def runner(openai_simulator, monkeypatch, tmp_path):
    """A provider that knows the keys of the documents, in a folder of its own; words come sign by sign."""
    monkeypatch.setattr(streams, "pieces", list)
    sim = openai_simulator(keys=[SimKey(secret) for secret in KEYS], script=counting)
    monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
    monkeypatch.chdir(tmp_path)
    return Runner()


def test_001(runner):
    """Conversations, streams, tasks, rolling back, pools, files, forged dialogs, group chat, trimming and pins."""
    for block in blocks("001"):
        runner.run(block)
    assert runner.checked == 43
    assert Path("record.json").is_file()
    messages = [message["content"] for message in runner.names["Jenny"].fetch_messages()]
    assert messages[-2:] == ["再往后呢?", "4"]
    assert runner.names["Ariel"]._history.pinned() == [1, 2, 3]
    assert runner.names["Carl"].request("自然数7的后面是几?") == "8"
    for name in ("Duke", "Denny", "Chris"):
        assert runner.names[name].request("自然数1的后面是几?") == "2"


def test_003(runner):
    """The same by other names: dump and load, forge, pin and unpin."""
    for block in blocks("003"):
        runner.run(block)
    assert runner.checked == 39
    assert Path("talk_record.json").is_file()
    assert runner.names["Jenny"].fetch_messages()[-1]["content"] == "54"
    assert runner.names["Ariel"]._history.pinned() == [0, 1, 2, 3, 4, 5]
    for name in ("Duke", "Carl", "Denny", "Chris", "Dick"):
        assert runner.names[name].request("自然数1的后面是几?") == "2"


def test_004(runner):
    """The key manager and the decorator; a function that has nowhere to put a key is refused, with the mend."""
    first, without_a_key, with_one, whole = blocks("004")
    runner.run(first)
    assert len(KeyManager()) == 2
    with pytest.raises(InjectionError, match="api_key"):
        runner.run(without_a_key)
    runner.run(with_one)
    asked = [{"role": "user", "content": "自然数50的后面是几?"}]
    assert runner.names["completions_with_backoff"](model="gpt-3.5-turbo", messages=asked) == "51"
    printed = runner.run(whole)
    assert len(re.findall(r"成功，响应：你好", printed)) == 50
    assert "失败" not in printed
