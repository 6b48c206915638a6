"""An OpenAI-compatible endpoint on this machine that answers, or fails, as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Handler"], None]
"""Writes one HTTP response."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: FakeServer

    def do_POST(self) -> None:
        self.body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.next_answer(self.path, self.body, dict(self.headers))(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, status: int, body: str | bytes, kind: str = "application/json", **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True


class FakeServer(ThreadingHTTPServer):
    """Gives the answers in order, the last one again and again, and keeps the requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self._answers = list(answers)
        self._lock = threading.Lock()
        self.connections = 0
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next_answer(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        with self._lock:
            self.requests.append(body)
            self.paths.append(path)
            self.headers.append(headers)
            return self._answers[min(len(self.requests), len(self._answers)) - 1]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has hung up is no news here."""


@contextmanager
def serve(*answers: Answer) -> Iterator[FakeServer]:
    server = FakeServer(answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def completion(
    content: str | None = None, calls: Sequence[dict[str, Any]] = (), finish: str = "stop"
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = list(calls)
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}


def call(name: str, arguments: Any, id: str = "abc") -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": id, "type": "function", "function": {"name": name, "arguments": text}}


def whole(content: str | None = None, calls: Sequence[dict[str, Any]] = ()) -> Answer:
    """Answer with one JSON document."""
    return lambda handler: handler.reply(200, json.dumps(completion(content, calls)))


def error(status: int, text: str = '{"error": {"message": "no"}}', **headers: str) -> Answer:
    """Answer with an error."""
    return lambda handler: handler.reply(status, text, **headers)


def text(body: str | bytes, kind: str = "application/json") -> Answer:
    """Answer with anything."""
    return lambda handler: handler.reply(200, body, kind)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]}


def stream(
    *chunks: dict[str, Any] | str, done: bool = True, before: Callable[[int], Any] = lambda index: None
) -> Answer:
    """Answer with a stream of chunks; `before` is called before each."""

    def write(handler: Handler) -> None:
        handler.start_stream()
        for index, item in enumerate([*chunks, *(["[DONE]"] if done else [])]):
            before(index)
            data = item if isinstance(item, str) else json.dumps(item)
            handler.wfile.write(f"data: {data}\n\n".encode())
            handler.wfile.flush()

    return write


def wait_for(event: threading.Event, answer: Answer) -> Answer:
    """Answer only after an event."""

    def write(handler: Handler) -> None:
        event.wait(20)
        answer(handler)

    return write
