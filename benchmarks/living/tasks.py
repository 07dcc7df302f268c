"""Tasks and prompt policies.

Tasks are those of Instruction Induction (Honovich et al., 2022): inputs with one right answer each, and instructions
that people wrote. A policy is an instruction, with or without an example, at a temperature.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass

import common
import numpy as np

from llmpo_jax.live.protocol import Policy

FOLDER = common.DATA / "tasks"
NAMES = ("singular_to_plural", "first_word_letter", "larger_animal", "sentiment")
LIVE = ("first_word_letter", "singular_to_plural", "sentiment")
"""Those in whose table one policy beats all others."""
INSTRUCTIONS = 4
SHOTS = (0, 1)
TEMPERATURES = (0.0, 1.0)
USED = 40
"""Inputs of a task that experiments draw from; the others are held out."""
MODEL = "SmolLM2-135M-Instruct"
MAX_TOKENS = 12


@dataclass(frozen=True)
class Task:
    """A task with its K policies.

    Attributes:
        name: of the task.
        policies: the K of them; the temperature varies fastest, then the shots, then the instruction.
        factors: (instruction, shots, temperature) of each policy.
        used, held_out: (input, right answer) pairs.
        source: where the task comes from, its commit and licence, and the hash of the file.
    """

    name: str
    policies: tuple[Policy, ...]
    factors: tuple[tuple[int, int, float], ...]
    used: tuple[tuple[str, str], ...]
    held_out: tuple[tuple[str, str], ...]
    source: dict[str, str]


def load(name: str) -> Task:
    """A task from the data folder beside the project; FileNotFoundError where that is missing."""
    path = FOLDER / f"ii_{name}.json"
    content = json.loads(path.read_text())
    shuffled = random.Random(0).sample(content["test"], len(content["test"]))
    pairs = [(row["input"], row["output"]) for row in shuffled]
    examples = [(row["input"], row["output"]) for row in random.Random(0).sample(content["train"], max(SHOTS))]
    # Spread over the list: who wrote them is not told, and neighbours are often alike.
    chosen = np.linspace(0, len(content["prompts"]) - 1, INSTRUCTIONS).round().astype(int).tolist()
    factors = tuple((i, shots, t) for i in range(INSTRUCTIONS) for shots in SHOTS for t in TEMPERATURES)
    policies = tuple(
        _policy(i, content["prompts"][chosen[i]], tuple(examples[:shots]), temperature)
        for i, shots, temperature in factors
    )
    source = {key: content[key] for key in ("source", "commit", "licence")}
    source["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return Task(name, policies, factors, tuple(pairs[:USED]), tuple(pairs[USED:]), source)


def _policy(number: int, instruction: str, examples: tuple[tuple[str, str], ...], temperature: float) -> Policy:
    shown = "".join(f"Input: {given}\nOutput: {answer}\n\n" for given, answer in examples)
    return Policy(
        name=f"instruction {number}, {len(examples)} shots, T = {temperature:g}",
        template=f"{instruction.strip()}\n\n{shown}Input: {{input}}\nOutput:",
        model=MODEL,
        temperature=temperature,
        max_tokens=MAX_TOKENS,
        stop=("\n",),
    )
