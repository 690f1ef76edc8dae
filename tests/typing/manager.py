"""``ChatManager`` as type checkers see it. Checked by mypy (and pyright), never run."""

from __future__ import annotations

from typing_extensions import assert_type

from stable_openai import ChatManager, ChatMessage, ChatResponse, ChatSetup, KeyPool


def settings() -> None:
    ChatSetup.api_base = "https://example.org/v1"
    assert_type(ChatSetup.timeout, float | None)
    ChatSetup.model = 5  # type: ignore[assignment]
    ChatSetup.modle = "gpt-4o"  # type: ignore[attr-defined]
    ChatManager(KeyPool(["sk-a"]), model="gpt-4o", thread_num=9)


def conversation(cm: ChatManager) -> None:
    cm.add_key("lab", "sk-a", owner="org-1")
    cm.keys.set_strategy("rest-time")
    assert_type(cm.keys.get_key(), str)
    assert_type(cm.keys.get_key_name("sk-a"), str | None)
    message = ChatMessage().push_system("Be brief.").push_user("hello", b"\x89PNG")
    assert_type(message, ChatMessage)
    assert_type(message.token_usage(), int)
    response = cm.send(message)
    assert_type(response, ChatResponse | None)
    if response:
        message.push_msg(message.drain()).push_assistant(response.get_msg())
    assert_type(cm.send([message] * 3, thread_num=10, temperature=0), list[ChatResponse | None])
    assert_type(cm.send(iter([message]), progress=lambda done, total: None), list[ChatResponse | None])
    assert_type(cm.response_errors, dict[int, Exception])
    assert_type(cm.export_session("s", lambda prompt, answer: [len(prompt), answer.model], format="jsonl"), str)
    cm.send("hello")  # type: ignore[arg-type]
    response.get_msg()  # type: ignore[union-attr]
