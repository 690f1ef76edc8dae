"""What a model is told of a scene, in Chinese where the roles are told in Chinese, else in English."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stable_openai.conversation.content import Message

    from .dialogs import Line

__all__ = ["repair", "scene", "schema"]

_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_KANA: Final = re.compile(r"[\u3040-\u30ff]")
_LETTERS: Final = re.compile(r"[^\W\d_]")
_SHARE: Final = 0.3  # of the letters: names in another script do not make another language


class _Words(NamedTuple):
    rules: str
    nobody: str
    to: str
    joint: str
    so_far: str
    nothing: str
    next: str
    form: str
    repair: str


_ENGLISH: Final = _Words(
    rules=(
        "You write the dialogue of a scene. Stay true to each role; let each speak in a voice of its own, in the "
        "language of the roles and of what was said. Write only what is spoken: no names, no stage directions."
        "\n\nRoles:"
    ),
    nobody="(no description)",
    to="{speaker} to {audiences}",
    joint=", ",
    so_far="What was said so far:",
    nothing="(nothing yet)",
    next="Write the next remarks, in this order:",
    form="Answer with one JSON object and nothing else, with a text for each number: {example}",
    repair="That answer can't be used: {problem}. Answer once more, with the JSON object alone: {example}",
)
_CHINESE: Final = _Words(
    rules=(
        "你为一场对话撰写台词。请忠于每个角色, 让每个人有自己的口吻。"
        "只写说出口的话: 不写名字, 不写动作和旁白。\n\n角色:"
    ),
    nobody="(没有介绍)",
    to="{speaker}对{audiences}",
    joint="、",
    so_far="到目前为止的对话:",
    nothing="(还没有人说话)",
    next="请按以下顺序写出接下来的发言:",
    form="只回答一个 JSON 对象, 每个编号对应一段发言, 不要有其它文字: {example}",
    repair="上面的回答无法使用: {problem}。请重新回答, 只给出 JSON 对象: {example}",
)


def _words_for(texts: Iterable[str]) -> _Words:
    whole = "".join(texts)
    letters = len(_LETTERS.findall(whole))
    chinese = len(_HAN.findall(whole)) >= _SHARE * letters > 0 and not _KANA.search(whole)
    return _CHINESE if chinese else _ENGLISH


def scene(
    roles: Mapping[str, str], said: Sequence[tuple[Line, str]], wanted: Sequence[Line]
) -> tuple[list[Message], _Words]:
    """The messages that ask for remarks, and the words that they are in.

    Args:
        roles: Names and descriptions.
        said: What was said so far, oldest first.
        wanted: Who is to speak to whom.
    """
    words = _words_for([*roles, *roles.values(), *(remark for _, remark in said)])
    described = "\n".join(f"- {name}: {text or words.nobody}" for name, text in roles.items())
    before = "\n".join(f"{_direction(line, words)}: {remark}" for line, remark in said) or words.nothing
    after = "\n".join(f"{number}. {_direction(line, words)}" for number, line in enumerate(wanted, 1))
    task = f"{words.so_far}\n{before}\n\n{words.next}\n{after}\n\n{words.form.format(example=_example(len(wanted)))}"
    return [{"role": "system", "content": f"{words.rules}\n{described}"}, {"role": "user", "content": task}], words


def repair(answer: str, problem: str, wanted: int, words: _Words) -> list[Message]:
    """The messages that ask once more, after an answer that can't be used."""
    asked = words.repair.format(problem=problem, example=_example(wanted))
    return [{"role": "assistant", "content": answer}, {"role": "user", "content": asked}]


def _direction(line: Line, words: _Words) -> str:
    return words.to.format(speaker=line.speaker, audiences=words.joint.join(line.audiences))


def _example(count: int) -> str:
    return "{" + ", ".join(f'"{number}": "…"' for number in range(1, count + 1)) + "}"


def schema(wanted: Sequence[Line]) -> dict[str, Any]:
    """The ``response_format`` by which a model can't but answer with a text for each remark.

    OpenAI's structured outputs: in strict schemas each property is required, and no others are allowed.
    """
    numbers = {str(number): line for number, line in enumerate(wanted, 1)}
    properties = {
        number: {"type": "string", "description": f"{line.speaker} → {', '.join(line.audiences)}"}
        for number, line in numbers.items()
    }
    return {
        "type": "json_schema",
        "json_schema": {
            "name": "remarks",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": properties,
                "required": list(numbers),
                "additionalProperties": False,
            },
        },
    }
