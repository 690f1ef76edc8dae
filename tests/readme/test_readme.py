"""Both READMEs: every block of code in them runs, every command exists, and the two say the same in the same order."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import importlib.util
import re
import shlex
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import click
import pytest

import stable_openai
from stable_openai import KeyPool, Reason
from stable_openai.cli.group import group
from stable_openai.cli.serve.settings import Settings
from stable_openai.simulator import Simulator
from stable_openai.simulator.bodies import echo

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
FENCED = re.compile(r"^(<!-- frameworks -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET = re.compile(r'"(sk-[\w-]+)"')
DEPLOYED = ("dockerfile", "yaml", "ini")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, the line of the file at which that begins, whether it is marked."""

    language: str
    text: str
    line: int
    framework: bool

    @property
    def missing(self) -> set[str]:
        """What a block marked ``<!-- frameworks -->`` imports and this environment lacks."""
        nodes = list(ast.walk(ast.parse(self.text))) if self.framework else []
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        return {top for top in {name.partition(".")[0] for name in names} if importlib.util.find_spec(top) is None}


@dataclass
class Page:
    """One README, and what its Python blocks have defined so far."""

    name: str
    text: str
    blocks: list[Block]
    defined: dict[str, object] = field(default_factory=lambda: {"__name__": "readme"})
    ran: int = 0

    @classmethod
    def read(cls, name: str) -> Page:
        text = (ROOT / name).read_text(encoding="utf-8")
        found = [Block(m[2], m[3], text.count("\n", 0, m.start(3)) + 1, bool(m[1])) for m in FENCED.finditer(text)]
        return cls(name, text, found)

    def of(self, *languages: str) -> list[Block]:
        return [block for block in self.blocks if block.language in languages]

    @property
    def prose(self) -> str:
        return FENCED.sub("", self.text)

    def run_to(self, number: int, request: pytest.FixtureRequest) -> None:
        """Run the Python blocks up to this one that have not run yet; a traceback shows the README's own lines."""
        for block in self.of("python")[self.ran : number + 1]:
            self.ran += 1
            if block.missing:
                continue
            before = set(self.defined)
            code = compile("\n" * (block.line - 1) + block.text, str(ROOT / self.name), "exec")
            with framework_loop() if block.framework else contextlib.nullcontext():
                exec(code, self.defined)
            for name in sorted(set(self.defined) - before):
                if name.startswith("test_"):
                    test = self.defined[name]
                    code = test.__code__
                    test(*map(request.getfixturevalue, code.co_varnames[: code.co_argcount]))


@contextlib.contextmanager
def framework_loop():
    """A loop for what frameworks run outside of tasks: else they make one, and leave it and its connections open."""

    def clients():
        return [found for found in gc.get_objects() if type(found) is stable_openai.AsyncOpenAI]

    known = clients()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
        for client in clients():
            if all(client is not other for other in known):
                loop.run_until_complete(client.close())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


PAGES = {name: Page.read(name) for name in (ENGLISH, CHINESE)}
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def each(*languages):
    """Run a test on each block of these languages, under the name of the file and the line where the block begins."""
    found = [
        pytest.param(page, number, id=f"{page.name}:{block.line}" + ":frameworks" * block.framework)
        for page in PAGES.values()
        for number, block in enumerate(page.of(*languages))
    ]
    return pytest.mark.parametrize(("page", "number"), found)


@pytest.fixture(scope="module")
def provider():
    """A provider that knows the keys which the READMEs use, all of them good."""
    secrets = sorted({secret for page in PAGES.values() for secret in SECRET.findall(page.text)})
    with Simulator(keys=secrets, script=answer) as simulator:
        yield simulator


def answer(request):
    """A person where JSON is asked for, else the prompt."""
    return '{"name": "Anna", "age": 41}' if "response_format" in request.payload else echo(request)


@pytest.fixture
def workplace(tmp_path, monkeypatch, provider):
    """A directory with the READMEs' keys.toml, and an environment in which the provider is the simulated one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEYS", "sk-aaa,sk-bbb")
    monkeypatch.setenv("SECOND_KEY", "sk-bbb")
    for name in ("server.pem", "server.key"):
        Path(name).touch()
    write_keys(next(block for block in PAGES[ENGLISH].of("toml") if "[[keys]]" in block.text))


def write_keys(block):
    path = Path("keys.toml")
    path.write_text(block.text, encoding="utf-8")
    path.chmod(0o600)
    return path


# -- what is shown works


@each("python")
def test_python_runs(page, number, workplace, request):
    """A block runs after those above it, against the simulator, and raises nothing; the tests in it pass."""
    if missing := page.of("python")[number].missing:
        pytest.skip(f"needs {' and '.join(sorted(missing))}")
    page.run_to(number, request)


@each("toml")
def test_toml_is_read(page, number, workplace, monkeypatch):
    """A file of keys is one that the library takes, and one of a server's options is one that `serve` takes."""
    block = page.of("toml")[number]
    if "[[keys]]" in block.text:
        assert len(KeyPool.from_file(write_keys(block))) > 0
        return
    path = Path("serve.toml")
    path.write_text(block.text, encoding="utf-8")
    path.chmod(0o600)
    for variable in re.findall(r'secret_env = "(\w+)"', block.text):
        monkeypatch.setenv(variable, f"a-long-random-text-for-{variable}")
    assert Settings.of(path, {}).all_tokens().names == ["ops", "crawler"]


@each("bash")
def test_commands_exist(page, number, workplace):
    """Each ``stable-openai`` names a command that there is, with options that it has."""
    block = page.of("bash")[number]
    known = click.Context(group)
    for arguments in commands_in(block.text):
        command = group.get_command(known, arguments[0])
        assert command is not None, arguments
        command.make_context(arguments[0], arguments[1:])


@each(*DEPLOYED)
def test_deployed_commands_exist(page, number, workplace):
    """What a container, a compose file and a unit start is a command with options that there are."""
    text = page.of(*DEPLOYED)[number].text
    found = re.findall(
        r'^CMD (\[.*\])$|^    command: (\["--.*\])$|^ExecStart=\S+/stable-openai serve (.*)$', text, re.MULTILINE
    )
    assert len(found) == 1
    as_json, in_yaml, in_unit = found[0]
    arguments = shlex.split(in_unit) if in_unit else ast.literal_eval(as_json or in_yaml)
    Path("serve.toml").touch()
    arguments = ["serve.toml" if word.startswith("/etc/") else word for word in arguments]
    command = group.get_command(click.Context(group), "serve")
    command.make_context("serve", arguments)


@each_page
def test_commands_in_prose_exist(page):
    """So does what is named between the blocks; an option by itself belongs to one of the commands."""
    known = click.Context(group)
    commands = {name: group.get_command(known, name) for name in group.list_commands(known)}
    options = {name for command in commands.values() for option in command.params for name in option.opts}
    named = re.findall(r"`([^`\n]+)`", page.prose)
    for span in named:
        if span.startswith("stable-openai "):
            assert span.split()[1] in commands, span
        used = {word for word in span.split() if word.startswith("--")}
        assert used <= options | {"--help", "--python"}, span


def commands_in(text):
    """The arguments of each ``stable-openai`` in a shell's lines."""
    for line in text.splitlines():
        for is_separator, words in groupby(shlex.split(line, comments=True), key=lambda word: word in {"&&", "|", ";"}):
            program, *arguments = words
            if not is_separator and program.rpartition("/")[2] == "stable-openai":
                yield arguments


@each_page
def test_code_comes_early(page):
    """The first block is the library in at most eight lines of code, all by line 25."""
    first = page.blocks[0]
    code = [line for line in first.text.splitlines() if line.partition("#")[0].strip()]
    assert first.language == "python"
    assert len(code) <= 8
    assert first.line + len(first.text.splitlines()) <= 25


@each_page
def test_two_commands_set_up_everything(page):
    """The demo and the tests are one line each, in blocks of their own; the second stands under its marker."""
    lone = [block.text.strip() for block in page.of("bash") if block.text.count("\n") == 1]
    demo, tests = (line for line in lone if ".venv" in line)
    assert "stable-openai demo" in demo
    assert "pytest" in tests
    assert f"<!-- tests -->\n```bash\n{tests}\n```" in page.text


@each_page
def test_every_reason_is_explained(page):
    """The table of what happens on each error leaves no reason out."""
    named = set(re.findall(r"`([a-z_]+)(…?)`", page.prose))
    words = {word for word, cut in named if not cut}
    beginnings = tuple(word for word, cut in named if cut)
    for reason in set(Reason) - {Reason.OK}:
        assert reason.value in words or reason.value.startswith(beginnings), reason


@each_page
def test_links_lead_somewhere(page):
    """A relative link names a file that is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.prose):
        assert target.startswith("https://") or (ROOT / target).is_file(), target


# -- the two say the same


def skeleton(block):
    """A block without its comments and its texts."""
    if block.language == "python":
        tree = ast.parse(block.text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = ""
        return ast.dump(tree)
    if block.language == "text":
        return block.text
    return re.sub(r"(?m)\s*#.*$", "", block.text)


def test_same_blocks():
    """Both show the same code in the same order; only comments and texts are translated."""
    english, chinese = PAGES.values()
    assert [block.language for block in english.blocks] == [block.language for block in chinese.blocks]
    for one, other in zip(english.blocks, chinese.blocks, strict=True):
        assert skeleton(one) == skeleton(other), (one.line, other.line)


def test_same_shape():
    """Both have the same headings, table rows and list items, by level and number, in the same order."""
    mark = re.compile(r"^(#+(?= )|\|(?=.)|-(?= ))", re.MULTILINE)
    english, chinese = (mark.findall(page.prose) for page in PAGES.values())
    assert english == chinese
    assert english.count("##") > 5


def test_same_words_of_code():
    """What the one sets in code type outside the blocks, the other does too."""
    english, chinese = (set(re.findall(r"`([^`\n]+)`", page.prose)) for page in PAGES.values())
    assert english == chinese


def test_blocks_were_found():
    """These tests see the blocks: were the pattern wrong, all of them would pass."""
    for page in PAGES.values():
        assert len(page.of("python")) > 8
        assert page.text.count("\n```\n") == len(page.blocks)
        assert {block.language for block in page.blocks} == {"python", "toml", "bash", "text", *DEPLOYED}
