"""`stable-openai batch`: a file of requests in, a file of answers out, whatever happens between."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from stable_openai.simulator import SimKey
from tests.cli.conftest import KEYS

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
ALL_ANSWERED, SOME_FAILED, BAD_INPUT, OVER_BUDGET, NO_KEYS, NOT_WRITTEN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


def line(number, content=None, url=CHAT, **body):
    """A line of a Batch file."""
    if url == CHAT:
        body["messages"] = [{"role": "user", "content": content or f"prompt {number}"}]
    else:
        body["input"] = content or f"prompt {number}"
    return {"custom_id": f"r{number}", "method": "POST", "url": url, "body": {"model": "gpt-4o-mini", **body}}


@pytest.fixture
def written(tmp_path):
    """``written([…])``: a file of requests, and where its answers go."""

    def written(lines, name="in.jsonl"):
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(one)}\n" if isinstance(one, dict) else f"{one}\n" for one in lines))
        return str(path), str(tmp_path / "out.jsonl")

    return written


def read(path):
    return [json.loads(one) for one in Path(path).read_text().splitlines()]


def failures_of(output):
    return read(output.replace("out.jsonl", "out.failures.jsonl"))


def asked(simulator):
    return simulator.stats().total.attempts


def test_a_file_is_answered(provider, run, written):
    """Each request once, in lines as OpenAI's Batch API writes them, with the provider's body untouched."""
    simulator = provider()
    source, output = written([line(number) for number in range(30)])
    result = run("batch", source, "-o", output, "--workers", "5")
    assert result.exit_code == ALL_ANSWERED
    assert "30 of 30" in result.stdout
    found = {one["custom_id"]: one for one in read(output)}
    assert set(found) == {f"r{number}" for number in range(30)}
    assert asked(simulator) == 30
    for name, one in found.items():
        assert one["id"].startswith("batch_req_")
        assert one["error"] is None
        assert one["response"]["status_code"] == 200
        assert one["response"]["request_id"].startswith("req_")
        said = one["response"]["body"]["choices"][0]["message"]["content"]
        assert said.endswith(f"prompt {name[1:]}")


def test_again_asks_nothing(provider, run, written):
    """What is in the output is not asked a second time; what is new in the input is."""
    simulator = provider()
    source, output = written([line(number) for number in range(10)])
    run("batch", source, "-o", output)
    result = run("batch", source, "-o", output)
    assert result.exit_code == ALL_ANSWERED
    assert asked(simulator) == 10
    written([line(number) for number in range(12)])
    assert run("batch", source, "-o", output).exit_code == ALL_ANSWERED
    assert asked(simulator) == 12
    assert len(read(output)) == 12
    assert run("batch", source, "-o", output, "--no-resume").exit_code == BAD_INPUT


def test_chat_responses_and_embeddings_in_one_file(provider, run, written):
    """Each goes where its line says."""
    provider()
    source, output = written([line(1), line(2, url=RESPONSES), line(3, url=EMBEDDINGS)])
    assert run("batch", source, "-o", output).exit_code == ALL_ANSWERED
    kinds = {one["custom_id"]: one["response"]["body"]["object"] for one in read(output)}
    assert kinds == {"r1": "chat.completion", "r2": "response", "r3": "list"}


def test_bad_lines_are_all_told_before_anything_is_sent(provider, run, written):
    """By number, each; with --skip-bad the rest goes on."""
    simulator = provider()
    lines = [line(0), "nonsense", line(1), {**line(2), "method": "GET"}, line(0), line(3)]
    source, output = written(lines)
    result = run("batch", source, "-o", output)
    assert result.exit_code == BAD_INPUT
    for number in (2, 4, 5):
        assert f"in.jsonl, line {number}: " in result.stderr
    assert "3 lines are bad, 3 good. Nothing was sent." in result.stderr
    assert asked(simulator) == 0
    assert not Path(output).exists()
    result = run("batch", source, "-o", output, "--skip-bad")
    assert result.exit_code == ALL_ANSWERED
    assert {one["custom_id"] for one in read(output)} == {"r0", "r1", "r3"}


def test_a_dry_run_sends_nothing(provider, run, written):
    """It says how many requests and tokens there are, what they cost, and how long they take at least."""
    simulator = provider()
    source, _ = written([line(number, max_tokens=100) for number in range(50)])
    result = run("batch", source, "--dry-run", "--rpm", "10", "--price", "gpt-4o-mini=1/2", "--json")
    assert result.exit_code == ALL_ANSWERED
    about = json.loads(result.stdout)
    assert (about["requests"], about["to_send"], about["answer_tokens"]) == (50, 50, 5_000)
    assert about["seconds"] == pytest.approx(120, abs=2)  # 2 keys: 20 at once, 20 a minute
    assert about["cost"] == pytest.approx(1e-6 * about["prompt_tokens"] + 2e-6 * 5_000, abs=1e-6)
    assert asked(simulator) == 0
    assert "50 requests (gpt-4o-mini 50)" in run("batch", source, "--dry-run").stdout


def test_dead_unpaid_and_faulty(provider, run, written):
    """A dead key, one out of money half-way, errors and resets: everything is answered nevertheless."""
    keys = [
        SimKey("sk-sim-" + "d" * 20, "dead", state="dead"),
        SimKey("sk-sim-" + "u" * 20, "ends", quota_requests=10),
        SimKey("sk-sim-" + "g" * 20, "good"),
        SimKey("sk-sim-" + "h" * 20, "fine"),
    ]
    simulator = provider(keys=keys, server_error_rate=0.05, reset_rate=0.02, garbage_rate=0.02, minute=0.5, seed=3)
    source, output = written([line(number) for number in range(100)])
    result = run("batch", source, "-o", output, "--workers", "8", "--minute", "0.5")
    assert result.exit_code == ALL_ANSWERED, result.output
    assert Counter(one["custom_id"] for one in read(output)) == Counter(f"r{number}" for number in range(100))
    outcomes = simulator.stats().total.outcomes
    assert outcomes["dead"] <= 8  # of 8 at once, each may meet it before it is known
    assert outcomes["unpaid"] <= 10, "".join(a.outcome[0] for a in simulator.stats().arrivals if a.key == "ends")


def test_failures_are_kept_apart(provider, run, written):
    """By reason, with the provider's own words; what can't succeed is not asked again, unless one says so."""
    simulator = provider(context_length=50)
    lines = [line(0), line(1, "word " * 500), line(2)]
    source, output = written(lines)
    result = run("batch", source, "-o", output)
    assert result.exit_code == SOME_FAILED
    assert "context length" in result.stdout
    (failure,) = failures_of(output)
    assert (failure["custom_id"], failure["reason"], failure["retriable"]) == ("r1", "context_length", False)
    assert failure["response"]["status_code"] == 400
    assert failure["response"]["body"]["error"]["code"] == "context_length_exceeded"
    before = asked(simulator)
    assert run("batch", source, "-o", output).exit_code == SOME_FAILED
    assert asked(simulator) == before
    assert run("batch", source, "-o", output, "--retry-failed", "all").exit_code == SOME_FAILED
    assert asked(simulator) == before + 1
    assert len(failures_of(output)) == 1


def test_what_may_succeed_another_day_is_asked_again(provider, run, written):
    """Six errors in a row, and a request counts as failed; the same command asks it once more."""
    simulator = provider(poison="broken", minute=0.2)
    source, output = written([line(0), line(1, "a broken one")])
    assert run("batch", source, "-o", output, "--minute", "0.2").exit_code == SOME_FAILED
    (failure,) = failures_of(output)
    assert (failure["reason"], failure["retriable"]) == ("server_error", True)
    simulator.provider.tune(poison="other")
    assert run("batch", source, "-o", output, "--minute", "0.2").exit_code == ALL_ANSWERED
    assert len(read(output)) == 2
    assert not Path(output.replace("out.jsonl", "out.failures.jsonl")).exists()


def test_a_budget_of_tokens(provider, run, written):
    """Nothing is begun that it might not hold; a higher one goes on, and counts what was spent before."""
    provider()
    source, output = written([line(number, max_tokens=20) for number in range(40)])
    result = run("batch", source, "-o", output, "--budget", "500")
    assert result.exit_code == OVER_BUDGET
    assert "budget" in result.stdout

    def spent():
        return sum(one["response"]["body"]["usage"]["total_tokens"] for one in read(output))

    assert 300 < spent() <= 500
    first = len(read(output))
    assert run("batch", source, "-o", output, "--budget", "500").exit_code == OVER_BUDGET
    assert spent() <= 500
    assert run("batch", source, "-o", output, "--budget", "1M").exit_code == ALL_ANSWERED
    assert first < len(read(output)) == 40
    assert run("batch", source, "-o", output, "--budget", "$1").exit_code == BAD_INPUT


def test_no_key_is_left(provider, run, written):
    """The run ends and says so; what was answered is kept, and nothing counts as failed for good."""
    simulator = provider(keys=[SimKey(KEYS[0], "only", quota_requests=5)])
    source, output = written([line(number) for number in range(30)])
    result = run("batch", source, "-o", output, "--max-wait", "1", "--workers", "2")
    assert result.exit_code == NO_KEYS
    assert "Stopped early" in result.stdout
    assert len(read(output)) == 5
    simulator.provider.change_key("only", quota_requests=1_000)
    simulator.provider.pay("only")
    assert run("batch", source, "-o", output).exit_code == ALL_ANSWERED
    assert len(read(output)) == 30


def test_rows_with_a_template(provider, run, tmp_path):
    """CSV in, CSV out: the input's own columns in its order, and the answer beside them."""
    provider(latency_s=(0.0, 0.02))
    source, output = tmp_path / "words.csv", tmp_path / "words.fr.csv"
    source.write_text('word,note\nhouse,"with, comma"\ncat,\ndog,"two\nlines"\n')
    template = "Translate {word}"
    told = ["batch", str(source), "-o", str(output), "--model", "gpt-4o-mini", "--template", template, "-q"]
    result = run(*told)
    assert (result.exit_code, result.stdout) == (ALL_ANSWERED, "")
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["word"] for row in rows] == ["house", "cat", "dog"]
    assert [row["note"] for row in rows] == ["with, comma", "", "two\nlines"]
    assert all(row["answer"].endswith(f"Translate {row['word']}") for row in rows)
    assert (
        run("batch", str(source), "-o", str(output), "--template", "{nothing}", "--model", "m").exit_code == BAD_INPUT
    )


def test_plain_text_to_parquet(provider, run, tmp_path):
    """A prompt a line."""
    parquet = pytest.importorskip("pyarrow.parquet")
    provider()
    source, output = tmp_path / "prompts.txt", tmp_path / "answers.parquet"
    source.write_text("One?\n\nTwo?\n")
    assert run("batch", str(source), "-o", str(output), "--model", "gpt-4o-mini").exit_code == ALL_ANSWERED
    rows = parquet.read_table(output).to_pylist()
    assert [row["answer"].endswith(row["prompt"]) for row in rows] == [True, True]


def test_a_pipe_and_an_empty_one(provider, run, tmp_path):
    """The standard input is read to its end, and checked like a file."""
    provider()
    output = str(tmp_path / "out.jsonl")
    text = "".join(json.dumps(line(number)) + "\n" for number in range(3))
    assert run("batch", "-", "-o", output, input=text).exit_code == ALL_ANSWERED
    assert len(read(output)) == 3
    result = run("batch", "-", "-o", str(tmp_path / "none.jsonl"), input="\n")
    assert result.exit_code == ALL_ANSWERED
    assert "holds no requests: nothing to do" in result.stderr


def test_what_can_not_be_written(provider, run, written, tmp_path):
    """A folder that is not there, a folder, a file of another kind: told before anything is sent, and left alone."""
    simulator = provider()
    source, output = written([line(0)])
    (tmp_path / "folder.jsonl").mkdir()
    other = tmp_path / "other.jsonl"
    other.write_text('{"name": "value"}\n')
    for place in (tmp_path / "no" / "out.jsonl", tmp_path / "folder.jsonl", other, tmp_path / "out.doc"):
        result = run("batch", source, "-o", str(place))
        assert result.exit_code in {BAD_INPUT, NOT_WRITTEN}
        assert "Error: " in result.stderr
        assert "Traceback" not in result.output
    assert other.read_text() == '{"name": "value"}\n'
    assert run("batch", source).exit_code == BAD_INPUT
    assert run("batch", str(tmp_path / "none.jsonl"), "-o", output).exit_code == BAD_INPUT
    assert asked(simulator) == 0


def test_a_full_disk(provider, run, written, monkeypatch):
    """The run ends and says so; the output ends in a whole line, and the same command goes on."""
    provider()
    source, output = written([line(number) for number in range(20)])
    room = [4_000]
    write = os.write

    def limited(descriptor, data):
        if room[0] < len(data) and len(data) > 300:
            write(descriptor, data[: room[0]])
            raise OSError(28, "No space left on device", output)
        room[0] -= len(data)
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr("stable_openai.bulk.files.os.write", limited)
        result = run("batch", source, "-o", output, "--workers", "1")
    assert result.exit_code == NOT_WRITTEN
    assert "No space left" in result.output
    kept = len(read(output))
    assert 0 < kept < 20
    assert run("batch", source, "-o", output).exit_code == ALL_ANSWERED
    assert sorted(one["custom_id"] for one in read(output)) == sorted(f"r{number}" for number in range(20))


def test_a_report(provider, run, written, tmp_path):
    """A page that needs nothing else; and JSON for programs."""
    provider()
    source, output = written([line(number) for number in range(5)])
    page = tmp_path / "report.html"
    result = run("batch", source, "-o", output, "--report", str(page), "--json")
    assert json.loads(result.stdout)["answered"] == 5
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert not any(key in text for key in KEYS)


def test_no_key_shows_anywhere(provider, run, written, tmp_path):
    """Not even where the provider repeats it in its error."""
    secret = "private-" + "zq" * 8
    provider(keys=[SimKey(secret, "one", state="dead")])
    source, output = written([line(0)])
    result = run("batch", source, "-o", output, "--report", str(tmp_path / "r.html"))
    assert result.exit_code != ALL_ANSWERED
    shown = (
        result.output + "".join(path.read_text() for path in tmp_path.glob("out*")) + (tmp_path / "r.html").read_text()
    )
    assert secret not in shown


def test_another_run_at_the_same_file(provider, run, written):
    """Refused at once; the first one goes on."""
    reached, go_on = threading.Event(), threading.Event()

    def script(request):
        reached.set()
        go_on.wait(20)
        return "yes"

    provider(script=script)
    source, output = written([line(0)])
    first = threading.Thread(target=run, args=("batch", source, "-o", output))
    first.start()
    assert reached.wait(20)
    result = run("batch", source, "-o", output)
    go_on.set()
    first.join()
    assert result.exit_code == BAD_INPUT
    assert "another run is writing" in result.stderr
    assert len(read(output)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_midst(provider, run, written, how):
    """By Ctrl-C, which says how to go on, or for good: the next run asks what is not in the output, and nothing else."""
    served, gone = threading.Event(), threading.Event()
    prompts = Counter()

    def script(request):
        prompts[request.prompt] += 1
        if len(prompts) == 40:
            served.set()
        if len(prompts) >= 40:
            gone.wait(20)
        return "yes"

    provider(script=script)
    source, output = written([line(number) for number in range(200)])
    command = [sys.executable, "-m", "stable_openai", "batch", source, "-o", output, "--workers", "4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        assert served.wait(40)
        child.send_signal(how)
        said, _ = child.communicate(timeout=40)
    gone.set()
    if how == signal.SIGINT:
        assert child.returncode == INTERRUPTED
        assert "the same call again goes on from there" in said
        assert "Traceback" not in said
    done = read(output)
    assert 30 <= len(done) < 60
    before = Counter(prompts)
    assert run("batch", source, "-o", output).exit_code == ALL_ANSWERED
    assert sorted(one["custom_id"] for one in read(output)) == sorted(f"r{number}" for number in range(200))
    for one in done:
        prompt = f"prompt {one['custom_id'][1:]}"
        assert prompts[prompt] == before[prompt]
