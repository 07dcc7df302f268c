"""Who is right: exact match after normalising, as Instruction Induction (Honovich et al., 2022) has it."""

from __future__ import annotations

import string

from llmpo_jax.live.protocol import Judgement


def normalised(text: str) -> str:
    """First line, up to the first full stop, in lower case, hyphens as spaces, without punctuation."""
    line = text.strip().partition("\n")[0].partition(".")[0].lower().replace("-", " ")
    return " ".join(line.translate(str.maketrans("", "", string.punctuation)).split())


def is_right(answer: str, expected: str) -> bool:
    """Whether an answer is the expected one, both normalised."""
    return normalised(answer) == normalised(expected)


def judge(given: dict[str, str], first: str, second: str) -> Judgement:
    """Who is right, where exactly one is."""
    right = is_right(first, given["right"]), is_right(second, given["right"])
    return Judgement("tie" if right[0] == right[1] else "first" if right[0] else "second", right)
