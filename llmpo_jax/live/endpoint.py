"""Policies at an OpenAI-compatible endpoint: what is sent, how often it is tried, what the answer cost."""

from __future__ import annotations

import asyncio
import email.utils
import functools
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from llmpo_jax.live.protocol import Answer, CallFailed, Policy, Usage
from llmpo_jax.live.settings import EndpointSettings, Price
from llmpo_jax.live.templates import fields, filled

if TYPE_CHECKING:
    import httpx

LONGEST_WAIT = 60.0
"""Seconds between two tries at most, whatever a server asks for."""

AGAIN = (408, 409, 425, 429)
"""Statuses below 500 that may be gone the next time."""

ABOUT_THE_INPUT = ("content_filter", "context_length_exceeded")
"""Codes of a server that refuses one input and not the configuration: that comparison is void, the run goes on."""

SECRET = 16
"""Letters from which on a key is taken to be one, and not a stand-in such as "none" that an answer may hold as well."""


class Endpoint:
    """A client of an OpenAI-compatible endpoint. Its connections are closed whenever no call is in flight.

    Raises:
        ValueError: httpx is not installed, or as `EndpointSettings.secret`.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        self.settings = settings
        self._httpx = _import_httpx()
        self._secret = settings.secret()
        self._headers = {"Authorization": f"Bearer {self._secret}"} if self._secret else {}
        self._client: httpx.AsyncClient | None = None
        self._in_flight = 0

    async def generate(self, policy: Policy, input: Any, seed: int) -> Answer:
        """What `policy` answers to `input`, its template and examples filled in.

        Raises:
            CallFailed: nothing usable after all tries, or a server that refuses this input.
            ValueError: what no retry can mend: a wrong key, URL or model, no connection at all.
        """
        examples = [(filled(policy.template, fields(shown)), answer) for shown, answer in policy.examples]
        return await self.complete(policy, filled(policy.template, fields(input)), seed, examples)

    async def complete(
        self, policy: Policy, prompt: str, seed: int, examples: list[tuple[str, str]] | None = None
    ) -> Answer:
        """What a model answers to `prompt` after `examples` (prompt, answer), all as they are; raises as `generate`."""
        body = {"model": policy.model, "temperature": policy.temperature, "max_tokens": policy.max_tokens, "seed": seed}
        if policy.stop:
            body["stop"] = list(policy.stop)
        if self.settings.mode == "chat":
            body["messages"] = _turns(prompt, examples or [])
        else:
            body["prompt"] = _text(prompt, examples or [])
        begin = time.monotonic()
        async with self._connected() as client:
            text, prompt_tokens, completion_tokens = await self._tried(client, body)
        price = self.settings.prices.get(policy.model, Price())
        usage = Usage(
            calls=1,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost=(prompt_tokens * price.prompt + completion_tokens * price.completion) / 1e6,
            seconds=time.monotonic() - begin,
        )
        return Answer(self._redacted(text) if len(self._secret or "") >= SECRET else text, usage)

    async def _tried(self, client: httpx.AsyncClient, body: Mapping[str, Any]) -> tuple[str, int, int]:
        """The answer's text, prompt tokens and completion tokens, from one of the tries."""
        reason, lost, wait = "", False, 0.0
        for number in range(self.settings.tries):
            if number:
                backoff = min(self.settings.backoff * 2 ** (number - 1), LONGEST_WAIT)
                await asyncio.sleep(wait + backoff * random.uniform(0.5, 1.0))
            lost, wait = False, 0.0
            try:
                async with asyncio.timeout(self.settings.timeout):
                    response = await client.post(self.settings.address, json=body)
            except TimeoutError:
                reason = f"gave no answer in {self.settings.timeout:g} s"
            except self._httpx.RequestError as error:
                lost = isinstance(error, self._httpx.ConnectError)
                reason = (
                    f"{'cannot be reached' if lost else 'gave no whole answer'} ({_line(str(error) or repr(error))})"
                )
            else:
                if response.status_code == 200:
                    try:
                        return _parsed(response.json())
                    except (ValueError, TypeError, LookupError, AttributeError):
                        reason = f"gave an answer without a choice: {self._message(response)}"
                else:
                    reason = self._refusal(response, body["model"])
                    wait = _retry_after(response.headers)
        message = self._redacted(f"{self.settings.address} {reason}")
        if lost:
            raise ValueError(f"{message} in {self.settings.tries} tries, expected a server there")
        raise CallFailed(f"{message} (the last of {self.settings.tries} tries)")

    def _refusal(self, response: httpx.Response, model: str) -> str:
        """Why a status is no answer, where another try may help.

        Raises:
            CallFailed, ValueError: no other try can.
        """
        status, code = response.status_code, _code(response)
        reason = f"answered {status} {response.reason_phrase} for model {model!r}: {self._message(response)}"
        if code in ABOUT_THE_INPUT:
            raise CallFailed(self._redacted(f"{self.settings.address} {reason}"))
        if (status in AGAIN or status >= 500) and code != "insufficient_quota":
            return reason
        hint = ""
        if status in (401, 403):
            where = f"the variable {self.settings.key}" if self._secret else "a variable that `key` names"
            hint = f"; expected a valid API key in {where}"
        elif status == 404:
            hint = "; expected an OpenAI-compatible base URL and a model that it has"
        raise ValueError(self._redacted(f"{self.settings.address} {reason}") + hint)

    def _message(self, response: httpx.Response) -> str:
        """What the server says, in one line without the key; cut only after that."""
        said = _json(response)
        error = said.get("error")
        if isinstance(error, Mapping):
            error = error.get("message")
        text = error or said.get("message") or said.get("detail") or response.text
        return _line(self._redacted(text if isinstance(text, str) else json.dumps(text))) or "(nothing)"

    def _redacted(self, text: str) -> str:
        """`text` without the key, plain or as it is written in URLs and JSON."""
        if self._secret:
            for form in {self._secret, quote(self._secret, safe=""), json.dumps(self._secret)[1:-1]}:
                text = text.replace(form, "***")
        return text

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[httpx.AsyncClient]:
        """The client that all calls in flight share; the last one closes it: an event loop leaves none behind."""
        client = self._client or self._httpx.AsyncClient(
            headers=self._headers,
            verify=_certificates(),
            timeout=None,
            limits=self._httpx.Limits(max_connections=None),
        )
        self._client = client
        self._in_flight += 1
        try:
            yield client
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._client = None
                await _to_the_end(client.aclose())


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` to its end even where the task is cancelled meanwhile: half-closed, a client leaves sockets open."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _import_httpx() -> ModuleType:
    try:
        import httpx
    except ImportError:
        raise ValueError("httpx is not installed, expected it for calls: pip install 'llmpo-jax[live]'") from None
    return httpx


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Those that httpx trusts; slow to load, so once for all clients."""
    return _import_httpx().create_ssl_context()


def _turns(prompt: str, examples: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Examples and prompt as turns of a chat."""
    turns = []
    for shown, answer in examples:
        turns += [{"role": "user", "content": shown}, {"role": "assistant", "content": answer}]
    return [*turns, {"role": "user", "content": prompt}]


def _text(prompt: str, examples: list[tuple[str, str]]) -> str:
    """Examples and prompt as one text, an empty line between them."""
    solved = [f"{shown}{'' if shown[-1:].isspace() else ' '}{answer}" for shown, answer in examples]
    return "\n\n".join([*solved, prompt])


def _parsed(said: Any) -> tuple[str, int, int]:
    """Text, prompt tokens and completion tokens of a response; a refusal is an answer, too."""
    choice, usage = said["choices"][0], said.get("usage") or {}
    message = choice.get("message")
    text = choice["text"] if message is None else message.get("content") or message.get("refusal") or ""
    if not isinstance(text, str):
        raise TypeError(f"text = {text!r}, expected a string")
    return text, int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


def _json(response: httpx.Response) -> Mapping[str, Any]:
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, Mapping) else {}


def _code(response: httpx.Response) -> str:
    """The server's name for what is wrong, "" where it gives none."""
    error = _json(response).get("error")
    return str(error.get("code") or error.get("type") or "") if isinstance(error, Mapping) else ""


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to wait: a number or a date, at most `LONGEST_WAIT`; 0 where it does not."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else 0.0


def _line(text: str) -> str:
    """A text in one line, shortened."""
    text = " ".join(text.split())
    return text if len(text) <= 300 else text[:297] + "..."
