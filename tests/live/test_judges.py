"""Judges: what is right, what a reply says, what a function may be."""

from __future__ import annotations

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from llmpo_jax.live import judges
from llmpo_jax.live.endpoint import Endpoint
from llmpo_jax.live.protocol import CallFailed, Judgement, Policy
from llmpo_jax.live.settings import EndpointSettings, Price
from tests.live.fake_server import FakeServer, Reply, asked, completion


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Cats", "cats"),
        ("\n  The Cats!  \nare many", "the cats"),
        ("cats. They purr.", "cats"),
        ("twenty-one", "twenty one"),
        ("\u201cdog\u2019s\u201d", "dogs"),
        ("a,b;  c", "ab c"),
        ("...", ""),
    ],
)
def test_normalised(text: str, left: str) -> None:
    assert judges.normalised(text) == left


@pytest.mark.parametrize(
    ("first", "second", "verdict", "right"),
    [
        ("Cats.", "cat", "first", (True, False)),
        ("cat", "cats\nor so", "second", (False, True)),
        ("cats", "CATS", "tie", (True, True)),
        ("", "dogs", "tie", (False, False)),
    ],
)
def test_rules(first: str, second: str, verdict: str, right: tuple[bool, bool]) -> None:
    expected = Judgement(verdict, right=right)
    assert judges.exact_match()({"input": "cat", "output": "cats"}, first, second) == expected
    assert judges.exact_match("many")({"input": "cat", "many": ["cats", "felines"]}, first, second) == expected
    judge = judges.regular_expression(r"(?i)^\s*{output}\b")
    assert judge({"input": "cat", "output": "cats"}, first, second) == expected


def test_a_pattern_takes_a_field_literally() -> None:
    judge = judges.regular_expression(r"^{n}{2}$")
    assert judge({"n": "a.b"}, "a.bb", "axbb").right == (True, False)
    assert judges.pattern_for("^{input}$", "{x}(").pattern == r"^\{x\}\($"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judges.exact_match()("cat", "", ""), "'cat' has no field 'output', expected"),
        (lambda: judges.exact_match()({"input": "x"}, "", ""), "has no field 'output', expected"),
        (lambda: judges.exact_match()({"output": "?!"}, "", ""), "output = '?!', expected more than punctuation"),
        (lambda: judges.exact_match()({"output": []}, "", ""), "output = [], expected more than punctuation"),
        (lambda: judges.regular_expression("(")("x", "", ""), "pattern = '(': missing ), unterminated"),
        (lambda: judges.python_function("module", Path()), "function = 'module', expected module:name"),
        (lambda: judges.python_function("no_such:f", Path()), "function = 'no_such:f' cannot be imported: ModuleNot"),
        (lambda: judges.python_function("json:dumpz", Path()), "function = 'json:dumpz' cannot be imported: Attribute"),
        (lambda: judges.python_function("sys:path", Path()), "function = 'sys:path' is list, expected a function"),
    ],
)
def test_what_judges_refuse(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        call()
    assert "\n" not in str(error.value)


REPLIES = {
    "first": [
        *("A", "a", " A.\n", "**A**", "[[A]]", "I think [[A]] is fine.", "Both are good.\n\n[[A]]", "1", "First"),
        *("Verdict: A", "The better answer is A.", "**Final verdict:** A", "Answer A", "Response A", "Assistant A"),
        *("A\n\nBecause it is longer.", "It is short.\nWinner: A", "[[A>B]]", "[[A>>B]]", "[[B<A]]", '{"winner": "A"}'),
        *("<think>[[B]] or\nB</think>A", "My answer is: [[A]], yes [[A]]", "better answer: answer a", "answer: first"),
    ],
    "second": ["B", "[[b]]", "[[B>>A]]", "[[A<B]]", "Second", "2", "Winner: **B**", "The final answer is B"],
    "tie": ["tie", "Tie.", "[[C]]", "[[tie]]", "[[A=B]]", "C", "draw", "Verdict: tie", "equal", "Neither."],
    None: [
        *("", "   ", "I cannot say.", "A or B", "A and B", "[[A]] or [[B]]", "[[D]]", "[[A>A]]", "A\nB", "not A"),
        *("A good question", "I can't say whether the better answer is A", "Answer A is better than answer B", "AB"),
        *("Both answers are about a", "<think>A", "[[A]] [[x]]", "The winner is not A", "I'd not say: A is B"),
    ],
}


@pytest.mark.parametrize(("reply", "verdict"), [(reply, v) for v, replies in REPLIES.items() for reply in replies])
def test_what_a_reply_says(reply: str, verdict: str | None) -> None:
    assert judges.verdict_in(reply) == verdict


def ask(reply: Any, input: Any = "2 + 2") -> tuple[Judgement, FakeServer]:
    """What an LLM judge on a server with this `reply` makes of "four" and "{first}"."""
    template = "Q: {input}\nA: {first}\nB: {second}\nBetter?"
    with FakeServer(reply) as server:
        endpoint = Endpoint(EndpointSettings(url=server.url, tries=1, prices={"j": Price(prompt=1e6)}))
        judge = judges.llm(endpoint, Policy(name="judge", template=template, model="j", temperature=0.0))
        return asyncio.run(judge(input, "four", "{first}", 6)), server


def test_an_llm_sees_all_three_and_is_paid() -> None:
    judgement, server = ask(lambda body: completion("[[B]]"))
    assert judgement.verdict == "second" and judgement.right is None and judgement.detail == {"reply": "[[B]]"}
    assert judgement.usage.calls == 1 and judgement.usage.cost == 7
    (call,) = server.calls
    assert asked(call.body) == "Q: 2 + 2\nA: four\nB: {first}\nBetter?" and call.body["seed"] == 6


def test_a_reply_without_a_verdict_is_asked_for_once_more() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        return completion("Hm." if body["seed"] == 6 else "tie")

    judgement, server = ask(reply)
    assert judgement.verdict == "tie" and judgement.usage.calls == 2 and judgement.usage.cost == 14
    assert len({call.body["seed"] for call in server.calls}) == 2
    with pytest.raises(CallFailed, match=r"holds no verdict, expected A, B or tie: 'Hm\.'$") as failed:
        ask(lambda body: completion("Hm.\n"))
    assert failed.value.usage is not None and failed.value.usage.cost == 14


def test_a_function_beside_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", __import__("sys").path.copy())
    (tmp_path / "shorter_of_two.py").write_text(
        textwrap.dedent("""
        def judge(input, first, second):
            return "first" if len(first) < len(second) else "second"
        """)
    )
    assert judges.python_function("shorter_of_two:judge", tmp_path)("x", "a", "bb") == "first"
