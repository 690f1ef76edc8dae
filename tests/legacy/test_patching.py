"""`stable.patch`: functions decorated where they stand, before or after the import, and undone exactly."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading

import pytest

from stable_openai import ConfigurationError, InjectionError, KeyManager, KeyPool, stable

KEYS = ["sk-legacy-aaaaaaaaaaaaaaaaaaaa", "sk-legacy-bbbbbbbbbbbbbbbbbbbb"]
SOURCE = """
    from functools import partial

    def ask(prompt, api_key=None):
        return prompt, api_key

    async def aask(prompt, *, api_key=None):
        return prompt, api_key

    def stream(prompt, api_key=None):
        yield prompt
        yield api_key

    def nothing(prompt):
        return prompt

    class Crawler:
        token = "t"

        def ask(self, prompt, api_key=None):
            return prompt, api_key, type(self).__name__

        @classmethod
        def of(cls, prompt, api_key=None):
            return prompt, api_key, cls.__name__

        @staticmethod
        def plain(prompt, api_key=None):
            return prompt, api_key

        class Inner:
            def ask(self, api_key=None):
                return api_key

    class Special(Crawler):
        pass

    crawler = Crawler()
"""


@pytest.fixture(autouse=True)
def _pool():
    KeyManager(KEYS)


@pytest.fixture
def module(legacy):
    legacy("legacy_code", SOURCE)
    return legacy.load("legacy_code")


NAMES = ["ask", "Crawler.ask", "Crawler.of", "Crawler.plain", "Special.ask", "Special.of", "Special.plain"]
NAMES += ["Crawler.Inner.ask", "crawler.ask"]


def snapshot(module):
    places = [module, module.Crawler, module.Special, module.Crawler.Inner, module.crawler]
    return [dict(vars(place)) for place in places]


def call(module, name):
    *path, last = name.split(".")
    parent = module
    for part in path:
        parent = getattr(parent, part)
    if name == "Crawler.Inner.ask":
        return (parent().ask(),)
    return getattr(parent() if last == "ask" and isinstance(parent, type) else parent, last)("p")[1:]


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_place_is_undone_exactly(module, name):
    """Functions, methods, classmethods, staticmethods, inherited or not, nested, and those of an object."""
    before = snapshot(module)
    plain = call(module, name)
    with stable.patch(f"legacy_code:{name}") as patch:
        assert call(module, name)[0] in KEYS
        assert call(module, name)[1:] == plain[1:]
        assert name in repr(patch) and "in force" in repr(patch)
    after = snapshot(module)
    assert [list(d) for d in after] == [list(d) for d in before]
    assert all(after[i][k] is before[i][k] for i in range(len(before)) for k in before[i])
    assert call(module, name) == plain
    assert "undone" in repr(patch)
    patch.undo()


def test_coroutines_and_generators(module):
    with stable.patch("legacy_code:aask", "legacy_code:stream"):
        assert asyncio.run(module.aask("p"))[1] in KEYS
        assert list(module.stream("p"))[1] in KEYS
        assert inspect.iscoroutinefunction(module.aask)
    assert asyncio.run(module.aask("p"))[1] is None


def test_only_the_named_class(module):
    """A method that a class inherits is patched in that class alone."""
    with stable.patch("legacy_code:Special.ask"):
        assert module.Special().ask("p")[1] in KEYS
        assert module.Crawler().ask("p")[1] is None


def test_before_the_import(legacy):
    """The import decorates it."""
    legacy("legacy_later", SOURCE)
    patch = stable.patch("legacy_later:ask", "legacy_later:Crawler.ask")
    assert "legacy_later" not in sys.modules
    module = legacy.load("legacy_later")
    assert module.ask("p")[1] in KEYS
    assert module.Crawler().ask("p")[1] in KEYS
    patch.undo()
    assert module.ask("p")[1] is None
    assert module.Crawler().ask("p")[1] is None


def test_a_module_in_a_package_that_fetches_the_function(legacy):
    """`from pkg.inner import ask` elsewhere gets the decorated one, if it was patched before."""
    legacy("legacy_pkg.__init__", "from legacy_pkg.inner import ask\n")
    legacy("legacy_pkg.inner", SOURCE)
    with stable.patch("legacy_pkg.inner:ask"):
        package = legacy.load("legacy_pkg")
        assert package.ask("p")[1] in KEYS
    sys.modules.pop("legacy_pkg.__init__", None)


def test_undone_before_the_import(legacy):
    """A hook that has not fired never does."""
    legacy("legacy_never", SOURCE)
    with stable.patch("legacy_never:ask"):
        pass
    assert legacy.load("legacy_never").ask("p")[1] is None


def test_one_upon_another(module):
    """In whatever order they are undone, what is left is what is still in force, and in the end the function itself."""
    own = module.ask
    a, b = KeyPool(["sk-first-aaaaaaaaaaaaaaaa"]), KeyPool(["sk-second-bbbbbbbbbbbbbbbb"])
    first, second = stable.patch("legacy_code:ask", pool=a), stable.patch("legacy_code:ask", pool=b)
    assert module.ask("p")[1] == "sk-second-bbbbbbbbbbbbbbbb"
    second.undo()
    assert module.ask("p")[1] == "sk-first-aaaaaaaaaaaaaaaa"
    second = stable.patch("legacy_code:ask", pool=b)
    first.undo()
    assert module.ask("p")[1] == "sk-second-bbbbbbbbbbbbbbbb"
    second.undo()
    assert module.ask is own


def test_what_somebody_else_put_there_is_left_alone(module, monkeypatch):
    patch = stable.patch("legacy_code:ask")
    monkeypatch.setattr(module, "ask", print)
    patch.undo()
    assert module.ask is print


def test_options(module):
    """They are those of @stable, and are checked at once, whether the module is there or not."""
    with stable.patch("legacy_code:ask", pool=KeyPool(["sk-own-cccccccccccccccccccc"]), max_wait=1, model=None):
        assert module.ask("p") == ("p", "sk-own-cccccccccccccccccccc")
    for name in ("legacy_code:ask", "not.imported.yet:ask"):
        with pytest.raises(ConfigurationError, match="max_wiat: is no option of @stable"):
            stable.patch(name, max_wiat=1)


@pytest.mark.parametrize("text", ["", "legacy_code", "legacy_code:", ":ask", "a b:c", "legacy_code:ask()", None, print])
def test_texts_that_name_nothing(text):
    with pytest.raises(ConfigurationError, match="'pkg.module:Class.method', not"):
        stable.patch(text)


def test_no_text():
    with pytest.raises(ConfigurationError, match="at least one function"):
        stable.patch()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("aks", "legacy_code:aks: there is no 'aks' there"),
        ("Crwaler.ask", "legacy_code:Crwaler.ask: there is no 'Crwaler' there"),
        ("nothing", "nothing: has no parameter that .* could fill"),
        ("Crawler.token", "legacy_code:Crawler.token: that is no function but str"),
    ],
)
def test_what_can_be_known_at_once_is_said_at_once(legacy, module, name, problem):
    """And nothing of the whole is done; where the module comes later, its import says it."""
    before = module.ask
    with pytest.raises(InjectionError, match=problem):
        stable.patch("legacy_code:ask", f"legacy_code:{name}")
    assert module.ask is before
    legacy("legacy_wrong", SOURCE)
    patch = stable.patch(f"legacy_wrong:{name}")
    with pytest.raises(InjectionError, match=problem.replace("legacy_code", "legacy_wrong")):
        legacy.load("legacy_wrong")
    patch.undo()
    assert legacy.load("legacy_wrong").ask("p")[1] is None


def test_threads_patch_and_undo_while_others_call(module):
    """Whatever the order, calls go on, and in the end all is as it was."""
    own, over, wrong = module.Crawler.__dict__["of"], threading.Event(), []

    def call():
        while not over.is_set():
            if module.Crawler.of("p")[1] not in (None, *KEYS):
                wrong.append(True)

    def patch():
        for _ in range(30):
            stable.patch("legacy_code:Crawler.of").undo()

    callers = [threading.Thread(target=call) for _ in range(2)]
    patchers = [threading.Thread(target=patch) for _ in range(4)]
    for thread in callers + patchers:
        thread.start()
    for thread in patchers:
        thread.join(30)
    over.set()
    for thread in callers:
        thread.join(30)
    assert not wrong
    assert module.Crawler.__dict__["of"] is own


def test_patching_loads_no_client():
    code = "import sys; from stable_openai import stable; stable.patch('legacy:ask'); print('openai' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
