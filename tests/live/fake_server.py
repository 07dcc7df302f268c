"""An OpenAI-compatible server on 127.0.0.1 that answers, delays, refuses or cuts off as a test wishes."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Mapping[str, str], str]

CUT: Reply = (0, {}, "")
"""The connection is cut in place of an answer."""


def completion(text: str, prompt_tokens: int = 7, completion_tokens: int = 3) -> Reply:
    """An answer to a call of either kind."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "text": text, "finish_reason": "stop"}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return 200, {}, json.dumps({"choices": [choice], "usage": usage})


def refusal(status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """An error as OpenAI words it."""
    return status, headers or {}, json.dumps({"error": {"message": message, "code": code}})


def asked(body: Mapping[str, Any]) -> str:
    """The prompt of a call of either kind."""
    return body["prompt"] if "prompt" in body else body["messages"][-1]["content"]


@dataclass(frozen=True)
class Call:
    """What the server was sent."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that did not wait for its answer is no news."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class FakeServer:
    """A server as a context manager; every connection has a thread, so a `reply` that sleeps delays its own call alone.

    Args:
        reply: `body -> (status, headers, text)`, also `CUT`; by default the prompt comes back as the answer.

    Attributes:
        url: the base URL.
        calls: what it was sent, in order of arrival.
    """

    def __init__(self, reply: Callable[[dict[str, Any]], Reply] = lambda body: completion(asked(body))) -> None:
        self.reply = reply
        self.calls: list[Call] = []
        self._connections: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """As if it were killed: what is in flight is cut off, and nothing listens any more."""
        self._server.shutdown()
        self._server.server_close()
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                fake._connections.add(self.connection)

            def finish(self) -> None:
                fake._connections.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                if not sent:  # the client is gone
                    self.close_connection = True
                    return
                body = json.loads(sent)
                fake.calls.append(Call(self.path, dict(self.headers), body))
                status, headers, text = fake.reply(body)
                if not status:
                    self.close_connection = True
                    return
                content = text.encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on standard error."""

        return Handler
