"""EXPERIMENT.toml: what it gives, and one clear line for whatever is wrong with it, before any call."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmpo_jax.live import configuration
from llmpo_jax.live.configuration import Configuration
from tests.live.fake_server import FakeServer, asked, completion

INPUTS = '{"input": "cat", "output": "cats"}\n{"input": "ox", "output": "oxen"}\n'
KEY = "sk-0123456789abcdef"

TOP = 'inputs = "inputs.jsonl"\n'
ENDPOINT = '[endpoint]\nurl = "http://127.0.0.1:1/v1"\nmodel = "m"\n'
JUDGE = '[judge]\nkind = "exact"\n'
POLICIES = '[[policies]]\ntemplate = ["Say {input}", "{input}"]\n'
GOOD = TOP + ENDPOINT + JUDGE + POLICIES

Read = Callable[..., Configuration]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """The configuration in a text, with these further files beside it."""
    monkeypatch.setattr("sys.path", __import__("sys").path.copy())
    monkeypatch.setenv("SOME_KEY", KEY)

    def from_text(text: str, **files: str) -> Configuration:
        for name, content in {"inputs.jsonl": INPUTS, **files}.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        (tmp_path / "EXPERIMENT.toml").write_text(text, encoding="utf-8")
        return configuration.read(tmp_path / "EXPERIMENT.toml")

    return from_text


def test_the_least_that_is_needed(read: Read, tmp_path: Path) -> None:
    found = read(GOOD)
    assert found.folder == tmp_path / "EXPERIMENT" and found.path == tmp_path / "EXPERIMENT.toml"
    assert [(p.name, p.template, p.model, p.temperature) for p in found.policies] == [
        ("template-1", "Say {input}", "m", 1.0),
        ("template-2", "{input}", "m", 1.0),
    ]
    assert found.inputs == [{"input": "cat", "output": "cats"}, {"input": "ox", "output": "oxen"}]
    assert found.arguments == {
        **{"delta": 0.05, "sampler": "llm-po", "stopping": "e-process", "existence": "assumed", "features": None},
        **{"seed": 0, "epsilon": None, "presentation": "random"},
    }
    assert found.limits == {"in_flight": 8, "max_cost": None, "max_comparisons": None}


def test_all_that_can_be_set(read: Read) -> None:
    text = """
    folder = "kept"
    inputs = "inputs.csv"
    examples = "solved.jsonl"
    [endpoint]
    url = "https://host"
    mode = "completion"
    key = "SOME_KEY"
    timeout = 9
    tries = 2
    prices = { m = { prompt = 1, completion = 2.5 }, n = { prompt = 0, completion = 0 } }
    [judge]
    kind = "llm"
    template = "{question} {first} {second}"
    model = "n"
    max_tokens = 5
    [experiment]
    delta = 1e-3
    sampler = "round-robin"
    existence = "assumed"
    epsilon = 0.1
    presentation = "both"
    features = "features.csv"
    seed = 3
    [limits]
    in_flight = 2
    max_cost = 4
    max_comparisons = 100
    [[policies]]
    name = "short"
    template = { say = "Say {question} {hint}", ask = "{question}?" }
    model = ["m", "n"]
    examples = [0, 1]
    max_tokens = 3
    stop = "."
    [[policies]]
    name = "long"
    template = "Think: {question}"
    model = "m"
    temperature = 2
    """
    names = [f"short {t} {m} {e}-shot" for t in ("say", "ask") for m in "mn" for e in (0, 1)] + ["long"]
    features = "\n".join(f"{name},{i},{i * i}" for i, name in enumerate(reversed(names)))
    found = read(
        text,
        **{"inputs.csv": "question,hint\na?,b\nc,d\n", "features.csv": features},
        **{"solved.jsonl": '{"question": "q", "hint": "h", "output": 7}\n'},
    )
    assert [policy.name for policy in found.policies] == names
    assert found.policies[1].examples == (({"question": "q", "hint": "h"}, "7"),)
    assert found.policies[0].max_tokens == 3 and found.policies[0].stop == (".",)
    assert found.policies[-1].temperature == 2.0 and found.policies[-1].stop == ()
    np.testing.assert_array_equal(found.arguments["features"][:, 0], np.arange(9)[::-1])
    assert found.limits == {"in_flight": 2, "max_cost": 4.0, "max_comparisons": 100}
    assert found.endpoint.address == "https://host/v1/completions" and found.endpoint.tries == 2
    assert found.judge_settings.policy is not None and found.judge_settings.policy.model == "n"
    assert KEY not in repr(found) + json.dumps(found.extra)


def test_names_are_the_parts_that_vary(read: Read) -> None:
    def names(policies: str) -> list[str]:
        return [policy.name for policy in read(TOP + ENDPOINT + JUDGE + policies).policies]

    assert names('[[policies]]\ntemplate = "{input}"\ntemperature = [0, 0.5]') == ["t=0", "t=0.5"]
    two = '[[policies]]\ntemplate = "{input}"\n[[policies]]\ntemplate = "{input}"\nmodel = ["n", "o/p"]'
    assert names(two) == ["m", "n", "o/p"]
    named = '[[policies]]\ntemplate = "{input}"\nname = "bare"\n[[policies]]\ntemplate = "{input}!"\nname = "loud"'
    assert names(named) == ["bare", "loud"]


@pytest.mark.parametrize(
    ("name", "content", "inputs"),
    [
        ("i.jsonl", '"a"\r\n\n{"input": "b", "n": 2}\n', ["a", {"input": "b", "n": 2}]),
        ("i.txt", "\ufeffone two\n\n three\r\n", ["one two", " three"]),
        ("i.csv", 'input,n\n"a, b",1\nc,2\n', [{"input": "a, b", "n": "1"}, {"input": "c", "n": "2"}]),
    ],
)
def test_files_of_inputs(read: Read, name: str, content: str, inputs: list[Any]) -> None:
    text = GOOD.replace("inputs.jsonl", name).replace('"exact"', '"regex"\npattern = "^{input}$"')
    assert read(text, **{name: content}).inputs == inputs


def test_a_python_judge_lies_beside_the_file(read: Read) -> None:
    source = "def best(input, first, second):\n    return 'tie'\n"
    text = GOOD.replace('"exact"', '"python"\nfunction = "judge_of_a_test:best"')
    found = read(text, **{"judge_of_a_test.py": source})
    assert found.judge()("x", "a", "b") == "tie"
    before = found.extra["sha256"]
    after = read(text, **{"judge_of_a_test.py": source + "# changed\n"}).extra["sha256"]
    assert {name for name in before if before[name] != after[name]} == {"judge"}


def test_hashes_tell_what_has_changed(read: Read) -> None:
    def differs(text: str, **files: str) -> set[str]:
        old, new = read(GOOD).extra, read(text, **files).extra
        flat = [{**extra["sha256"], "mode": extra["mode"], "words": extra["judge"]} for extra in (old, new)]
        return {name for name in flat[0] if flat[0][name] != flat[1][name]}

    assert differs(GOOD) == set()
    assert differs(GOOD.replace("Say", "Tell")) == {"policies"}
    assert differs(GOOD, **{"inputs.jsonl": INPUTS.replace("oxen", "oxes")}) == {"inputs"}
    assert differs(GOOD.replace('"exact"', '"regex"\npattern = "{output}"')) == {"judge", "words"}
    assert differs(GOOD.replace("[judge]", 'mode = "completion"\n[judge]')) == {"mode"}
    moved = GOOD.replace("127.0.0.1:1", "127.0.0.1:2").replace("[judge]", 'key = "SOME_KEY"\n[judge]')
    assert differs(moved) == set()


def test_the_example_works_once_url_and_model_are_set(tmp_path: Path) -> None:
    (tmp_path / "example_inputs.jsonl").write_text(configuration.EXAMPLE_INPUTS)
    with FakeServer(lambda body: completion(asked(body).upper() + "s")) as server:
        text = configuration.EXAMPLE.replace("http://127.0.0.1:8000/v1", server.url).replace("my-model", "real")
        (tmp_path / "EXPERIMENT.toml").write_text(text)
        found = configuration.read(tmp_path / "EXPERIMENT.toml")
        generate, judge = found.generate(), found.judge()
        policy = next(policy for policy in found.policies if policy.name == "plain 2-shot")
        answer = asyncio.run(generate(policy, found.inputs[0], 1))
    assert len(found.policies) == 8 and len(found.inputs) == 40
    assert len(server.calls[0].body["messages"]) == 5 and server.calls[0].body["model"] == "real"
    assert judge(found.inputs[0], answer.text, "cat").right == (True, False)


def uncommented(block: str) -> str:
    return block.replace("\n# ", "\n").removeprefix("# ")


def test_whatever_the_example_offers_is_right(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    blocks = configuration.EXAMPLE.split("\n\n")
    offered = [block for block in blocks if block.startswith("# [judge]")]
    at = next(number for number, block in enumerate(blocks) if "\n[judge]\n" in block)
    judges = [blocks[at], *map(uncommented, offered)]
    options = re.compile(r"^# (?=\[endpoint|\"my-model|(?!existence|model)[a-z_]+ = )", re.MULTILINE)
    settings = [options.sub("", block) for block in blocks if block not in offered]
    files = {
        "example_inputs.jsonl": configuration.EXAMPLE_INPUTS,
        "my_module.py": "def my_judge(input, first, second):\n    return 'tie'\n",
        "features.csv": "".join(
            f"{template} {shots}-shot,{i},{shots}\n"
            for i, template in enumerate(("plain", "plural", "word", "role"))
            for shots in (0, 2)
        ),
    }
    kinds = []
    for judge in judges:
        text = "\n\n".join([*settings[:at], judge, *settings[at + 1 :]])
        text = text.replace('"my-model" = {', '"my-judge" = { prompt = 1, completion = 1 }\n"my-model" = {')
        found = read(text, **files)
        kinds.append(found.judge_settings.kind)
        assert found.endpoint.key and found.endpoint.mode == "completion" and found.limits["max_cost"] == 1.0
        assert found.arguments["epsilon"] == 0.05 and found.arguments["features"].shape == (8, 2)
        assert found.policies[0].stop == ("\n",)
    assert kinds == ["exact", "regex", "llm", "python"]


LLM = '[judge]\nkind = "llm"\ntemplate = "{input} {first} {second}"\n'
ONE = '[[policies]]\ntemplate = "{input}"\n'

BAD: list[tuple[str, str]] = [
    ("inputs", "Expected '=' after a key"),
    (GOOD.replace("inputs.jsonl", "none.jsonl"), "inputs = 'none.jsonl': no such file, expected"),
    (
        GOOD.replace("inputs.jsonl", "inputs.json"),
        "inputs = 'inputs.json', expected one of .jsonl, .csv, .txt; did you",
    ),
    (GOOD.replace('"inputs.jsonl"', "3"), "inputs = 3, expected a text or a list"),
    (GOOD.replace('"inputs.jsonl"', '["a", 3]'), "inputs[2] = 3, expected a text or a table"),
    (GOOD.replace(TOP, ""), "inputs is missing, expected a text or a list"),
    (GOOD.replace('"inputs.jsonl"', '["a"]'), "inputs has 1 rows, expected at least 2"),
    (GOOD.replace("inputs.jsonl", "bad.jsonl"), "bad.jsonl, line 2: Expecting value"),
    (GOOD.replace("inputs.jsonl", "number.jsonl"), "number.jsonl, line 1: 3, expected a text or an object in JSON"),
    (GOOD.replace("inputs.jsonl", "bad.csv"), "bad.csv, line 3: 3 columns, expected 2 as in the first row"),
    (
        GOOD.replace("inputs.jsonl", "twice.csv"),
        "twice.csv, line 1: column 'a', expected a header of names that differ",
    ),
    (GOOD.replace("inputs.jsonl", "empty.csv"), "empty.csv: the file is empty"),
    (GOOD.replace("inputs.jsonl", "empty.txt"), "inputs has 0 rows, expected at least 2"),
    ("input = 3\n" + GOOD, "unknown key input, expected one of folder, inputs, examples, endpoint, policies, judge"),
    (GOOD + "modle = 'm'\n", "unknown key policies[1].modle, expected one of name, template, model"),
    (
        GOOD + "[limits]\nmax_cots = 3\n",
        "limits.max_cots, expected one of max_cost, in_flight, max_comparisons; did you",
    ),
    (GOOD.replace("[judge]", "api_key = 'sk-xyz'\n[judge]"), "unknown key endpoint.api_key, expected one of model, "),
    (GOOD.replace("[judge]", "key = 'sk-xyz'\n[judge]"), "endpoint.key = (not shown), expected the name of an env"),
    (GOOD.replace("[judge]", "key = 'NOT_SET_1'\n[judge]"), "endpoint.key = 'NOT_SET_1', expected the name of an env"),
    (GOOD.replace("http://", ""), "endpoint.url = '127.0.0.1:1/v1', expected a base URL"),
    (GOOD.replace(ENDPOINT, ""), "endpoint.url is missing, expected a text"),
    (
        GOOD.replace("[judge]", "mode = 'chats'\n[judge]"),
        "endpoint.mode = 'chats', expected one of chat, completion; did",
    ),
    (GOOD.replace("[judge]", "tries = 2.5\n[judge]"), "endpoint.tries = 2.5, expected a whole number"),
    (GOOD.replace("[judge]", "prices.m = 3\n[judge]"), "endpoint.prices.m = 3, expected a table"),
    (
        GOOD.replace("[judge]", "prices.m = {prompt = 1}\n[judge]"),
        "endpoint.prices.m.completion is missing, expected a n",
    ),
    (GOOD.replace("[judge]", "prices.m = {prompt = -1, completion = 0}\n[judge]"), "endpoint.prices.m is below 0"),
    (GOOD.replace('model = "m"\n', ""), "policies[1].model is missing, expected it there or as endpoint.model"),
    (GOOD.replace(POLICIES, ""), "policies is missing, expected a list"),
    (GOOD.replace(POLICIES, ONE), "policies gives 1 of them, expected at least 2"),
    (TOP + "policies = [3]\n" + ENDPOINT + JUDGE, "policies[1] = 3, expected a table [policies[1]]"),
    (GOOD + ONE, "policies 'template-2' and 'template-2' are the same, expected each one once"),
    (GOOD.replace(POLICIES, (ONE + 'name = "x"\n') * 2), "policies 'x' and 'x' are the same"),
    (GOOD.replace(POLICIES, ONE + "max_tokens = 5\n" + ONE), "policies has two called 'template-1', expected a `name`"),
    (
        GOOD.replace("Say {input}", "Say it"),
        "policies[1].template = 'Say it' asks for no field of the inputs, expected",
    ),
    (GOOD.replace("Say {input}", "{inptu}"), "expected one of {input}, {output}; did you mean '{input}'?"),
    (GOOD.replace('"{input}"]', '"Say {input}"]'), "policies[1].template holds the same text twice"),
    (GOOD.replace('["Say {input}", "{input}"]', "[]"), "policies[1].template is empty, expected at least one text"),
    (GOOD.replace('["Say {input}", "{input}"]', "[3]"), "policies[1].template[1] = 3, expected a text"),
    (GOOD.replace("inputs.jsonl", "mixed.jsonl"), "input 2 has no field 'input', expected it"),
    (GOOD + "temperature = -1\n", "policies[1].temperature = -1, expected a number from 0"),
    (GOOD + "temperature = nan\n", "policies[1].temperature = nan, expected a number"),
    (GOOD + "temperature = true\n", "policies[1].temperature = True, expected a number or a list"),
    (GOOD + "temperature = [1, 1.0]\n", "policies[1].temperature = [1, 1.0], expected at least one value and each one"),
    (GOOD + "temperature = []\n", "policies[1].temperature = [], expected at least one value"),
    (GOOD + "examples = 1\n", "policies[1].examples = 1, expected a number of examples from 0 to 0"),
    (GOOD + "max_tokens = 0\n", "policies[1].max_tokens = 0, expected a whole number from 1"),
    (GOOD + "max_tokens = true\n", "policies[1].max_tokens = True, expected a whole number"),
    (GOOD + "stop = [3]\n", "policies[1].stop = 3, expected a text"),
    ('examples = ["a"]\n' + GOOD, "examples, row 1: 'a', expected the fields of an input and 'output'"),
    ('examples = [{output = "a"}]\n' + GOOD, "examples, row 1: {'output': 'a'}, expected the fields of an input"),
    (
        'examples = [{q = "a", output = "b"}]\n' + GOOD + "examples = 1\n",
        "examples, row 1: no field 'input', expected",
    ),
    (
        GOOD.replace("Say {input}", "{input}: {output}"),
        "policy 'template-1' is shown the right answer, expec",
    ),
    ("folder = 'EXPERIMENT.toml'\n" + GOOD, "folder is this file itself, expected the name of a folder"),
    (GOOD.replace(JUDGE, ""), "judge.kind is missing, expected a text"),
    (
        GOOD.replace('"exact"', '"exactly"'),
        "judge.kind = 'exactly', expected one of exact, regex, llm, python; did you",
    ),
    (GOOD.replace('"exact"', '"exact"\nfield = "outptu"'), "judge, input 1: {'input': 'cat', 'output': 'cats'} has no"),
    (GOOD.replace('"exact"', '"regex"\npattern = "("'), "judge, input 1: pattern = '(': missing )"),
    (GOOD.replace('"exact"', '"regex"'), "judge.pattern is missing, expected a text"),
    (GOOD.replace('"exact"', '"python"\nfunction = "no:no"'), "judge.function = 'no:no' cannot be imported"),
    (
        GOOD.replace(JUDGE, LLM.replace("{second}", "")),
        "judge.template = '{input} {first} ' lacks {second}, expected it",
    ),
    (
        GOOD.replace(JUDGE, LLM.replace("{input}", "")),
        "asks for no field of the inputs, expected one of {input}, {output}",
    ),
    (GOOD.replace(JUDGE, LLM + "temperature = -1\n"), "judge.temperature = -1, expected a number from 0"),
    (GOOD.replace(JUDGE, LLM + "[judge.endpoint]\nurl = 'x'\n"), "judge.endpoint.url = 'x', expected a base URL"),
    (GOOD + "[experiment]\ndelta = 0\n", "experiment.delta = 0, expected a number strictly between 0 and 1"),
    (GOOD + "[experiment]\ndelta = '5 %'\n", "experiment.delta = '5 %', expected a number"),
    (GOOD + "[experiment]\nepsilon = 0.5\n", "experiment.epsilon = 0.5, expected a number between 0 and 1/2"),
    (GOOD + "[experiment]\nsampler = 'llmpo'\n", "experiment.sampler = 'llmpo', expected one of llm-po"),
    (GOOD + "[experiment]\nstopping = 'mixture'\n", "experiment.stopping = 'mixture', expected one of"),
    (GOOD + "[experiment]\nexistence = 'sure'\n", "experiment.existence = 'sure', expected one of assumed, certify"),
    (GOOD + "[experiment]\npresentation = 'left'\n", "experiment.presentation = 'left', expected one of random, both"),
    (GOOD + "[experiment]\nseed = -1\n", "experiment.seed = -1"),
    (GOOD + "[experiment]\nfeatures = 'none.csv'\n", "experiment.features: "),
    (GOOD + "experiment = 3\n", "unknown key policies[1].experiment"),
    ("experiment = 3\n" + GOOD, "experiment = 3, expected a table [experiment]"),
    (GOOD + "[limits]\nin_flight = 0\n", "limits.in_flight = 0, expected a whole number from 1"),
    (GOOD + "[limits]\nmax_cost = 0\n", "limits.max_cost = 0, expected a number above 0"),
    (
        GOOD + "[limits]\nmax_cost = 1\n",
        "limits.max_cost = 1 needs the price of 'm' in endpoint.prices, expected it there",
    ),
    (GOOD + "[limits]\nmax_comparisons = 0\n", "limits.max_comparisons = 0, expected a whole number from 1"),
]

FILES = {
    "bad.jsonl": '"a"\nb\n',
    "number.jsonl": "3\n",
    "bad.csv": "input,output\na,b\nc,d,e\n",
    "twice.csv": "a,a\nb,c\n",
    "empty.csv": "",
    "empty.txt": "\n",
    "inputs.json": "[]",
    "mixed.jsonl": '{"input": "cat", "output": "cats"}\n{"q": "ox", "output": "oxen"}\n',
}


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_configurations_are_refused_in_one_line(read: Read, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        read(text, **FILES)
    line = str(error.value)
    assert line.startswith(str(tmp_path / "EXPERIMENT.toml")) and message in line and "\n" not in line
    assert "xyz" not in line


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x.toml: no such file, expected a configuration in TOML"):
        configuration.read(tmp_path / "x.toml")
