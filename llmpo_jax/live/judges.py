"""Judges of two answers: exact match, regular expression, an LLM, any Python function.

A judge is called with the input and the two answers in the order in which it is to see them. The first two kinds know
whether an answer is right; two answers that are both right or both wrong are a tie.
"""

from __future__ import annotations

import importlib
import re
import string
import sys
import unicodedata
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from llmpo_jax.live.endpoint import Endpoint
from llmpo_jax.live.protocol import CallFailed, Judgement, Policy, Usage
from llmpo_jax.live.templates import fields, filled

RuleJudge = Callable[[Any, str, str], Judgement]

WORDS = {
    **dict.fromkeys(("a", "1", "first"), "first"),
    **dict.fromkeys(("b", "2", "second"), "second"),
    **dict.fromkeys(("c", "tie", "draw", "equal", "both", "neither"), "tie"),
}
"""What an LLM calls the verdicts."""

_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)
_MARK = re.compile(r"\[\[\s*(\w+)\s*\]\]")
_COMPARISON = re.compile(r"\[\[\s*([ab])\s*(>>?|<<?|=)\s*([ab])\s*\]\]")
_LEAD = re.compile(
    r"(?:(?:(?:my|the|final|overall|better|best)\s+)*(?:verdict|answer|response|winner|choice|judge?ment|decision)"
    r"(?:\s+is|\s*:)?\s+)?(?:(?:answer|response|assistant|option|model)\s+)?"
)


def normalised(text: str) -> str:
    """The first line, of it what comes before the first ".", in lower case, "-" as a space, without punctuation.

    This is how Instruction Induction (Honovich et al. 2023) compares short answers. It does not tell 2.5 from 2.7 or
    5 from -5; a regular expression does.
    """
    line = text.strip().split("\n")[0].split(".")[0].lower().replace("-", " ")
    kept = (c for c in line if c not in string.punctuation and not unicodedata.category(c).startswith("P"))
    return " ".join("".join(kept).split())


def exact_match(field: str = "output") -> RuleJudge:
    """Right is what equals that field of the input, or one of its entries where it holds a list, once `normalised`.

    The judge raises ValueError for an input without the field, or where nothing is left of it.
    """

    def judge(input: Any, first: str, second: str) -> Judgement:
        wanted = references(input, field)
        return ruled(normalised(first) in wanted, normalised(second) in wanted)

    return judge


def references(input: Any, field: str) -> set[str]:
    """What `exact_match` takes to be right.

    Raises:
        ValueError: nothing is.
    """
    if not isinstance(input, Mapping) or field not in input:
        raise ValueError(f"{input!r} has no field {field!r}, expected it to hold the right answer")
    values = input[field] if isinstance(input[field], list) else [input[field]]
    wanted = {normalised(text) for value in values for text in fields({field: value}).values()}
    if not wanted or "" in wanted:
        raise ValueError(f"{field} = {input[field]!r}, expected more than punctuation in an answer to be matched")
    return wanted


def regular_expression(pattern: str) -> RuleJudge:
    """Right is where the pattern is found (`re.search`); `{field}` in it stands for that field's text, escaped.

    The judge raises ValueError where the pattern cannot be compiled.
    """

    def judge(input: Any, first: str, second: str) -> Judgement:
        compiled = pattern_for(pattern, input)
        return ruled(compiled.search(first) is not None, compiled.search(second) is not None)

    return judge


def pattern_for(pattern: str, input: Any) -> re.Pattern[str]:
    """The pattern with the fields of `input` filled in.

    Raises:
        ValueError: it cannot be compiled.
    """
    escaped = {name: re.escape(value) for name, value in fields(input).items()}
    try:
        return re.compile(filled(pattern, escaped))
    except re.error as error:
        raise ValueError(f"pattern = {pattern!r}: {error}, expected a regular expression of Python") from None


def ruled(first: bool, second: bool) -> Judgement:
    """The judgement where it is known which answers are right."""
    verdict = "tie" if first == second else "first" if first else "second"
    return Judgement(verdict, right=(first, second))


def verdict_in(text: str) -> str | None:
    """The verdict that an LLM's reply holds: "first" for A, "second" for B, "tie"; None where there is any doubt.

    Marks count wherever they stand: [[A]], [[B]], [[C]] or [[tie]], and [[A>B]], [[A>>B]], [[A=B]]. Without any, the
    first or the last line must be nothing but a verdict ("B", "**Verdict:** tie", "The better answer is A."). Where
    these contradict each other there is none.
    """
    text = _THOUGHTS.sub("", text).lower()
    marks = {WORDS.get(mark) for mark in _MARK.findall(text)}
    marks |= {_compared(*found) for found in _COMPARISON.findall(text)}
    if marks:
        return marks.pop() if len(marks) == 1 else None
    lines = [line for line in text.splitlines() if line.strip()]
    verdicts = {_worded(line) for line in lines[:1] + lines[-1:]} - {None}
    return verdicts.pop() if len(verdicts) == 1 else None


def _compared(left: str, sign: str, right: str) -> str | None:
    if left == right:
        return None
    if sign == "=":
        return "tie"
    return "first" if (left == "a") == (sign[0] == ">") else "second"


def _worded(line: str) -> str | None:
    """The verdict of a line that holds nothing else."""
    words = " ".join(re.sub(r"[^\w\s:]", " ", line).split())
    return WORDS.get(words[match.end() :]) if (match := _LEAD.match(words)) else None


def llm(endpoint: Endpoint, policy: Policy) -> Callable[[Any, str, str, int], Coroutine[Any, Any, Judgement]]:
    """An LLM that is asked with `policy.template`: the fields of the input, `{first}` (A) and `{second}` (B).

    The judge asks once more, with another seed, where the reply holds no verdict, and then raises CallFailed.
    """

    async def judge(input: Any, first: str, second: str, seed: int) -> Judgement:
        prompt = filled(policy.template, {**fields(input), "first": first, "second": second})
        usage, reply = Usage(), ""
        for number in (seed, seed ^ 1):
            answer = await endpoint.complete(policy, prompt, number)
            usage, reply = usage + answer.usage, answer.text
            verdict = verdict_in(reply)
            if verdict is not None:
                return Judgement(verdict, usage=usage, detail={"reply": reply})
        raise CallFailed(f"the judge's reply holds no verdict, expected A, B or tie: {reply.strip()[-200:]!r}", usage)

    return judge


def python_function(name: str, folder: Path) -> Callable[..., Any]:
    """The function `module:name`, its module looked for in `folder`, too.

    Raises:
        ValueError: no such module or function; the message says why.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"function = {name!r}, expected module:name")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the user's module raises
        raise ValueError(f"function = {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise ValueError(f"function = {name!r} is {type(found).__name__}, expected a function")
    return found
