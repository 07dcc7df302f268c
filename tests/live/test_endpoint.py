"""The client of an endpoint: what it sends, what it bears, what it refuses, and that no key gets out."""

from __future__ import annotations

import asyncio
import email.utils
import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from llmpo_jax.live.endpoint import Endpoint
from llmpo_jax.live.protocol import Answer, CallFailed, Policy
from llmpo_jax.live.settings import EndpointSettings, Price
from tests.live.fake_server import CUT, FakeServer, Reply, asked, completion, refusal

KEY = "sk-Geheim/7" + "x" * 20
POLICY = Policy(name="p", template="Say {input}", model="m", temperature=0.5, max_tokens=9, stop=("\n",))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)


def settings(server: FakeServer, **changes: Any) -> EndpointSettings:
    return EndpointSettings(**{"url": server.url, "backoff": 0.001, "timeout": 10, "tries": 3, **changes})


def generate(
    server: FakeServer, policy: Policy = POLICY, input: Any = "hello", seed: int = 5, **changes: Any
) -> Answer:
    return asyncio.run(Endpoint(settings(server, **changes)).generate(policy, input, seed))


def in_turn(*replies: Reply) -> Any:
    """A server that gives these replies, one after the other, and the last one for ever."""
    left = list(replies)
    return lambda body: left.pop(0) if len(left) > 1 else left[0]


def test_a_chat_and_its_cost() -> None:
    with FakeServer() as server:
        policy = Policy(**{**vars(POLICY), "examples": (("cat", "CAT"), ({"input": "dog"}, "DOG"))})
        answer = generate(server, policy, key="SOME_KEY", prices={"m": Price(prompt=2.0, completion=10.0)})
    assert answer.text == "Say hello"
    assert (answer.usage.calls, answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 7, 3)
    assert answer.usage.cost == pytest.approx((7 * 2 + 3 * 10) / 1e6) and answer.usage.seconds > 0
    (call,) = server.calls
    assert call.path == "/v1/chat/completions" and call.headers["Authorization"] == f"Bearer {KEY}"
    solved = [("user", "Say cat"), ("assistant", "CAT"), ("user", "Say dog"), ("assistant", "DOG")]
    assert call.body == {
        **{"model": "m", "temperature": 0.5, "max_tokens": 9, "seed": 5, "stop": ["\n"]},
        "messages": [{"role": role, "content": content} for role, content in [*solved, ("user", "Say hello")]],
    }


def test_a_completion() -> None:
    with FakeServer() as server:
        policy = Policy(name="p", template="{input} ->", examples=(("cat", "cats"), ("dog", "dogs")))
        generate(server, policy, "ox", mode="completion", url=server.url.removesuffix("/v1"))
    (call,) = server.calls
    assert call.path == "/v1/completions" and "Authorization" not in call.headers
    assert call.body["prompt"] == "cat -> cats\n\ndog -> dogs\n\nox ->" and "stop" not in call.body


def test_other_braces_stay() -> None:
    template = 'Answer {"q": "{question}", "n": {n}, "x": {}} in {style}'
    with FakeServer() as server:
        answer = generate(server, Policy(name="p", template=template), {"question": "{n}?", "n": 3})
    assert answer.text == 'Answer {"q": "{n}?", "n": 3, "x": {}} in {style}'


def test_a_refusal_is_an_answer() -> None:
    said = {"choices": [{"message": {"content": None, "refusal": "I will not."}}]}
    with FakeServer(lambda body: (200, {}, json.dumps(said))) as server:
        answer = generate(server)
    assert answer.text == "I will not." and answer.usage.prompt_tokens == 0


TROUBLES = {
    "429": refusal(429, "slow down"),
    "500": refusal(500, "oops"),
    "no JSON": (503, {}, "<html>busy</html>"),
    "cut": CUT,
    "no choice": (200, {}, '{"error": {"message": "upstream"}}'),
    "nonsense": (200, {}, "[]"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_troubles_that_pass(trouble: str) -> None:
    with FakeServer(in_turn(TROUBLES[trouble], TROUBLES[trouble], completion("yes"))) as server:
        assert generate(server).text == "yes"
        assert len(server.calls) == 3 and server.calls[0] == server.calls[1] == server.calls[2]
    with FakeServer(in_turn(TROUBLES[trouble])) as server:
        with pytest.raises(CallFailed, match=r"127.0.0.1.*\(the last of 3 tries\)$") as failed:
            generate(server)
        assert len(server.calls) == 3 and "\n" not in str(failed.value)


def test_slow_answers_are_given_up_and_tried_again() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        if len(server.calls) == 1:
            time.sleep(0.5)
        return completion("yes")

    with FakeServer(reply) as server:
        assert generate(server, timeout=0.2).text == "yes"
        assert len(server.calls) == 2


ASKED_TO_WAIT = [("7", 7), ("1e9", 60), ("date", 60), ("soon", 0), ("nan", 0), ("-5", 0)]


@pytest.mark.parametrize(("header", "seconds"), ASKED_TO_WAIT)
def test_a_server_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch, header: str, seconds: float) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("llmpo_jax.live.endpoint.asyncio.sleep", sleep)
    value = email.utils.formatdate(time.time() + 3600, usegmt=True) if header == "date" else header
    with FakeServer(in_turn(refusal(429, "", headers={"Retry-After": value}), completion("yes"))) as server:
        generate(server)
    assert len(waited) == 1 and seconds < waited[0] < seconds + 0.1


def test_waits_double_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("llmpo_jax.live.endpoint.asyncio.sleep", sleep)
    with FakeServer(in_turn(refusal(500, ""))) as server, pytest.raises(CallFailed):
        generate(server, tries=10, backoff=1.0)
    longest = [min(2.0**k, 60.0) for k in range(9)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waited, longest, strict=True))
    assert len({wait / most for wait, most in zip(waited, longest, strict=True)}) > 1


FINAL = [
    (
        refusal(401, f"Incorrect API key provided: {KEY}."),
        r"401 .* provided: \*\*\*\.; .* in the variable SOME_KEY$",
    ),
    (refusal(403, "no"), "403 Forbidden for model 'm': no; expected a valid API key in the variable SOME_KEY$"),
    (refusal(404, "The model `m` does not exist"), "404 .*'m': The model `m` does not exist; expected an OpenAI-com"),
    (refusal(400, "temperature\n too high"), "400 Bad Request for model 'm': temperature too high$"),
    ((422, {}, '{"detail": [{"msg": "seed"}]}'), r'422 .*: \[{"msg": "seed"}\]$'),
    ((404, {}, ""), r"404 Not Found for model 'm': \(nothing\); expected"),
    (refusal(429, "pay first", "insufficient_quota"), "429 .*: pay first$"),
    ((401, {}, "x" * 290 + KEY), r"401 .*: x{290}\*\*\*; expected"),
    ((301, {"Location": "/"}, ""), "301"),
]


@pytest.mark.parametrize(("reply", "message"), FINAL, ids=[message for _, message in FINAL])
def test_what_no_retry_mends_ends_the_run_in_one_line_without_the_key(reply: Reply, message: str) -> None:
    with FakeServer(in_turn(reply)) as server, pytest.raises(ValueError, match=message) as error:
        generate(server, key="SOME_KEY")
    assert len(server.calls) == 1
    line = str(error.value)
    assert line.startswith(f"{server.url}/chat/completions answered") and "\n" not in line
    for form in (KEY, json.dumps(KEY)[1:-1], KEY[:12]):
        assert form not in line


def test_a_refused_input_is_void_and_the_run_goes_on() -> None:
    with FakeServer(in_turn(refusal(400, "too long", "context_length_exceeded"))) as server:
        with pytest.raises(CallFailed, match=r"400 .*: too long$"):
            generate(server)
        assert len(server.calls) == 1


def test_no_server() -> None:
    with FakeServer() as server:
        pass
    with pytest.raises(ValueError, match=r"cannot be reached \(.*\) in 3 tries, expected a server there$"):
        generate(server)


def test_a_server_that_is_killed() -> None:
    async def calls(endpoint: Endpoint) -> None:
        await asyncio.gather(*(endpoint.generate(POLICY, str(i), i) for i in range(4)))

    def reply(body: dict[str, Any]) -> Reply:
        if len(server.calls) == 4:
            threading.Thread(target=server.stop).start()
        time.sleep(0.3)
        return completion("too late")

    with FakeServer(reply) as server, pytest.raises(ValueError, match="cannot be reached"):
        asyncio.run(calls(Endpoint(settings(server))))


def test_no_key() -> None:
    message = r"expected a valid API key in a variable that `key` names$"
    with FakeServer(in_turn(refusal(401, "who?"))) as server, pytest.raises(ValueError, match=message):
        generate(server)


def test_the_key_is_in_no_repr_and_no_answer() -> None:
    with FakeServer(lambda body: completion(f"your key is {KEY}")) as server:
        endpoint = Endpoint(settings(server, key="SOME_KEY"))
        assert asyncio.run(endpoint.generate(POLICY, "x", 1)).text == "your key is ***"
        assert KEY not in repr(endpoint) + repr(endpoint.settings)


def test_answers_find_their_calls_whatever_their_order() -> None:
    def reply(body: dict[str, Any]) -> Reply:
        time.sleep(0.1 / (1 + int(asked(body).split()[1])))
        return completion(asked(body))

    async def many(endpoint: Endpoint) -> list[Answer]:
        return await asyncio.gather(*(endpoint.generate(POLICY, str(i), i) for i in range(12)))

    with FakeServer(reply) as server:
        endpoint = Endpoint(settings(server))
        # A second event loop, since a script may run twice.
        for _ in range(2):
            assert [answer.text for answer in asyncio.run(many(endpoint))] == [f"Say {i}" for i in range(12)]


BAD = [
    ({"url": "127.0.0.1:8000"}, "url = '127.0.0.1:8000', expected a base URL such as"),
    ({"url": "ftp://host"}, "url = 'ftp://host', expected"),
    ({"url": "http://[::1"}, "url cannot be read, expected"),
    ({"url": f"http://me:{'s' * 9}@host/v1"}, "url holds more than host and path, expected"),
    ({"url": "http://host/v1?key=abc"}, "url holds more than host and path, expected"),
    ({"mode": "chats"}, "mode = 'chats', expected one of chat, completion; did you mean 'chat'?"),
    ({"timeout": 0}, "timeout = 0, expected a number of seconds above 0"),
    ({"backoff": -1}, "backoff = -1, expected a number of seconds above 0"),
    ({"tries": 0}, "tries = 0, expected at least 1"),
    ({"key": "NOT_SET_1"}, "key = 'NOT_SET_1', expected the name of an environment variable that holds the key"),
    ({"key": "sk-abc"}, "key = (not shown), expected the name of an environment variable"),
    ({"key": "ODD_KEY"}, "key = 'ODD_KEY': that variable holds more than printable ASCII"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_settings(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str) -> None:
    monkeypatch.setenv("ODD_KEY", "schlüssel")
    with pytest.raises(ValueError) as error:
        EndpointSettings(**{"url": "http://127.0.0.1:1/v1", **change})
    assert str(error.value).startswith(message)
    assert "sss" not in str(error.value) and "abc" not in str(error.value)


def test_httpx_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ValueError, match=r"expected it for calls: pip install 'llmpo-jax\[live\]'$"):
        Endpoint(EndpointSettings(url="http://127.0.0.1:1/v1"))
    code = "import sys, llmpo_jax.live.endpoint, llmpo_jax.live.judges; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
