"""Where policies and judge are asked, and what that costs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from llmpo_jax.live.tables import Table
from llmpo_jax.registry import nearest

MODES = {"chat": "chat/completions", "completion": "completions"}
"""What is asked for, and its path below the base URL."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """Of a million tokens, in the user's currency."""

    prompt: float = 0.0
    completion: float = 0.0


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """Where to ask and how patiently.

    Attributes:
        url: the base URL, as `http://127.0.0.1:8000/v1`; `/v1` is added where it has no path.
        mode: "chat" for `/chat/completions`, examples as earlier turns; "completion" for `/completions`, examples as
            text in front.
        key: name of the environment variable that holds the API key; None for no key.
        prices: by model; what is not listed costs nothing.
        timeout: seconds that one try may take.
        tries: of one call.
        backoff: seconds before the second try, doubled for each one after that; of it 50 to 100 % is waited, beyond
            what the server asks for.

    Raises:
        ValueError: a value out of range, or a key variable that is not set. No message holds a key.
    """

    url: str
    mode: str = "chat"
    key: str | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    timeout: float = 120.0
    tries: int = 6
    backoff: float = 0.5

    def __post_init__(self) -> None:
        expected = "expected a base URL such as http://127.0.0.1:8000/v1"
        try:
            parts = urlsplit(self.url)
            named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ValueError(f"url cannot be read, {expected}") from None
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"url holds more than host and path, {expected}, and the key in a variable named by `key`")
        if not named:
            raise ValueError(f"url = {self.url!r}, {expected}")
        if self.mode not in MODES:
            raise ValueError(f"mode = {self.mode!r}{nearest(self.mode, MODES)}")
        for name in ("timeout", "backoff"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} = {getattr(self, name)!r}, expected a number of seconds above 0")
        if self.tries < 1:
            raise ValueError(f"tries = {self.tries!r}, expected at least 1")
        self.secret()

    @property
    def address(self) -> str:
        """Where calls go."""
        base = self.url.rstrip("/")
        return f"{base}{'' if urlsplit(base).path else '/v1'}/{MODES[self.mode]}"

    def secret(self) -> str | None:
        """The API key, from the environment.

        Raises:
            ValueError: the variable is not set, or holds what no header can.
        """
        if self.key is None:
            return None
        # Somebody may have written the key itself there, so only what looks like a variable is shown.
        shown = repr(self.key) if re.fullmatch("[A-Z][A-Z0-9_]*", self.key) else "(not shown)"
        secret = os.environ.get(self.key, "").strip()
        if not secret:
            raise ValueError(f"key = {shown}, expected the name of an environment variable that holds the key")
        if not (secret.isascii() and secret.isprintable()):
            raise ValueError(f"key = {shown}: that variable holds more than printable ASCII, expected an API key")
        return secret


def read_endpoint(table: Table) -> EndpointSettings:
    """The settings that a table holds; its `model` is the caller's to read.

    Raises:
        ValueError: a bad key or value.
    """
    prices = {}
    listed = table.table("prices")
    for model in table.get("prices", dict, {}):
        each = listed.table(model)
        prices[model] = Price(prompt=each.get("prompt", float), completion=each.get("completion", float))
        if min(vars(prices[model]).values()) < 0:
            raise ValueError(f"{each.place} is below 0, expected prices of a million tokens")
        each.done()
    values = {
        "url": table.get("url", str),
        "mode": table.among("mode", tuple(MODES), "chat"),
        "key": table.get("key", str, None),
        "timeout": table.get("timeout", float, EndpointSettings.timeout),
        "tries": table.get("tries", int, EndpointSettings.tries),
    }
    table.done()
    try:
        return EndpointSettings(**values, prices=prices)
    except ValueError as error:
        raise ValueError(f"{table.place}.{error}") from error
