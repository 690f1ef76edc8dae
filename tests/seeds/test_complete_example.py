# ruff: noqa: RUF001  # the script is Chinese
"""The complete example that the project grew from, as people have it in their scripts: only its keys are imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from stable_openai.simulator import SimKey

# Its shape, line by line: threads, a function with an `api_key` at its end that is called without one, results printed.
EXAMPLE = """
import threading
import openai
from stable_openai import KeyManager, stable
from my_keys import api_keys

KeyManager(api_keys)


@stable
def completions_with_backoff(model, messages, api_key):
    client = openai.OpenAI(api_key=api_key)

    response = client.chat.completions.create(
            model=model,
            messages=messages
    )
    return response.choices[0].message.content


def thread_function(thread_id):
    for i in range(5):
        try:
            test_prompt = f"Thread {thread_id}, Test {i + 1}: 你好，世界！"
            messages = [{"role": "user", "content": test_prompt}]

            response = completions_with_backoff(
                    model="gpt-3.5-turbo",
                    messages=messages,
            )
            print(f"线程 {thread_id}, 请求 {i + 1}/5: 成功，响应：{response}")
        except Exception as e:
            print(f"线程 {thread_id}, 请求 {i + 1}/5: 失败，错误：{e}")


threads = []
for i in range(10):
    t = threading.Thread(target=thread_function, args=(i + 1,))
    threads.append(t)
    t.start()

for t in threads:
    t.join()
"""


def test_it_runs_as_written(openai_simulator, tmp_path):
    """Ten threads, five requests each, one key of four dead: every request is answered once, and nothing else printed."""
    secrets = [f"sk-example-{number:024d}" for number in range(4)]
    sim = openai_simulator(
        keys=[SimKey(secret, state="dead" if number == 1 else "ok") for number, secret in enumerate(secrets)]
    )
    (tmp_path / "my_keys.py").write_text(f"api_keys = {secrets!r}\n")
    script = tmp_path / "crawl.py"
    script.write_text(EXAMPLE, encoding="utf-8")
    environ = {**os.environ, "OPENAI_BASE_URL": sim.base_url, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    # Threads that print at the same time may share a line.
    answered = re.findall(
        r"线程 (\d+), 请求 (\d)/5: 成功，响应：You said: Thread \1, Test \2: 你好，世界！", done.stdout
    )
    assert sorted(answered) == sorted((str(thread), str(turn)) for thread in range(1, 11) for turn in range(1, 6))
    assert "失败" not in done.stdout
    stats = sim.stats()
    assert stats.total.served == 50
    assert stats.keys["key-2"].attempts >= 1
    assert all(re.fullmatch(r"key-[134]", name) for name, tally in stats.keys.items() if tally.served)
