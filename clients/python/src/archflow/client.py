"""The client of archflow's HTTP API."""

from __future__ import annotations

import dataclasses
import http.client
import json
import math
import os
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload
from urllib.parse import urlencode, urlsplit

from .progress import Progress

Candidate = Mapping[str, Any]
Label = Mapping[str, Any]

_LINES = "application/x-ndjson"
_JSON = "application/json"
_BODY = 16 << 20  # bytes of a request, unless one element is larger; the server takes 64 MiB
_TURN = 60.0  # seconds that one request of wait() waits; the server allows 300
_SPARE = 10.0  # seconds that a response may take beyond what the server was asked to wait


class Error(Exception):
    """An error response of the server.

    status is the HTTP status, kind the class of the error, cure the remedy.
    """

    def __init__(self, status: int, message: str, kind: str, cure: str) -> None:
        super().__init__(f"{message}; {cure}" if cure else message)
        self.status, self.message, self.kind, self.cure = status, message, kind, cure


class Rejected(UserWarning):
    """Some elements of a batch were not published."""


@dataclasses.dataclass(frozen=True)
class Published:
    """The number of published messages, and by TOPIC/PARTITION the offset after them."""

    published: int
    through: dict[str, int]
    errors: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class Client:
    """Talks to one archflow process. Threads may share it.

    predict, ask, best and front wait for up to `wait` seconds until the model has
    considered all labels that this client has sent before; fresh=False does not
    wait. With progress, the client reports long batches and waiting on standard
    error.
    """

    def __init__(self, url: str = "http://127.0.0.1:8099", token: str | None = None, *, timeout: float = 60, wait: float = 30, retries: int = 5, batch: int = 20_000, progress: bool = False) -> None:
        parts = urlsplit(url if "//" in url else "//" + url, scheme="http")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ValueError(f"{url!r} is not the URL of a server, such as http://127.0.0.1:8099")
        self.url = url
        self._https, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._token = token if token is not None else os.environ.get("ARCHFLOW_HTTP_TOKEN")
        self._timeout, self._wait, self._retries, self._batch = max(timeout, wait + _SPARE), wait, retries, batch
        self._progress = Progress() if progress else None
        self._local = threading.local()
        self._lock = threading.Lock()
        self._labels_end: dict[int, int] = {}  # partition of the labels -> next offset
        self._spaces: set[str] = set()  # with labels

    # Predictions

    @overload
    def predict(self, candidates: Candidate, *, fresh: bool = True) -> dict[str, Any]: ...
    @overload
    def predict(self, candidates: Iterable[Candidate], *, fresh: bool = True) -> list[dict[str, Any]]: ...
    def predict(self, candidates: Candidate | Iterable[Candidate], *, fresh: bool = True) -> dict[str, Any] | list[dict[str, Any]]:
        """Predicts candidates, in order. In a list, a rejected candidate has "error" in its place."""
        query = self._learnt(fresh)
        if isinstance(candidates, Mapping):
            answer: dict[str, Any] = self._request("POST", "/api/predict" + query, _text(candidates).encode(), _JSON)
            return answer
        out: list[dict[str, Any]] = []
        for _, body in self._shown("predicted", self._lines(candidates)):
            out.extend(self._request("POST", "/api/predict" + query, body, _LINES))
        return out

    # Publishing

    def publish(self, candidates: Candidate | Iterable[Candidate]) -> Published:
        """Publishes candidates, each once."""
        return self._publish("/api/candidates", candidates, {})

    def tell(self, labels: Label | Iterable[Label]) -> Published:
        """Publishes labels, each once: a candidate with its "task" and "value".

        A failed training has "failed": True instead of a value; the value None
        withdraws an earlier label.
        """
        sent = [_label(labels)] if isinstance(labels, Mapping) else [_label(label, i) for i, label in enumerate(labels)]
        through: dict[str, int] = {}
        try:
            return self._publish("/api/labels", sent[0] if isinstance(labels, Mapping) else sent, through)
        finally:  # what was published counts, even if a later body failed
            with self._lock:
                for place, offset in through.items():
                    partition = int(place.rpartition("/")[2])
                    self._labels_end[partition] = max(offset, self._labels_end.get(partition, 0))
                if through:
                    self._spaces.update(str(label.get("space")) for label in sent)

    # Choosing candidates

    def ask(self, space: str, task: str | None = None, n: int = 1, *, tasks: Sequence[str] | None = None, strategy: str | None = None,
            constraints: Mapping[str, Mapping[str, float]] | None = None, seed: int | None = None,
            source: str | None = None, generate: Callable[[list[dict[str, Any]]], Iterable[Mapping[str, Any]]] | None = None, fresh: bool = True) -> list[dict[str, Any]]:
        """Returns the n candidates to train next: none labelled, no two of one network.

        strategy is "top", "ucb", "ei" or "thompson"; constraints limit tasks or
        proxies, such as {"latency": {"max": 8}}. source is "known" (published
        candidates), "new" (mutations of them) or "both". With generate, ask chooses
        from the candidates that this function returns, at most 10,000; its argument
        is the list of the best known networks, at most 20, as best returns them for
        the first of the tasks that has labels; it is empty where none has.
        """
        body: dict[str, Any] = {"space": space, "task": task, "tasks": list(tasks) if tasks else None, "n": n, "strategy": strategy, "constraints": constraints, "seed": seed, "from": source}
        if generate is not None:
            body["candidates"] = [dict(c) for c in generate(self._best_of_first(space, [task] if task else tasks or [None], fresh))]
        text = _text({k: v for k, v in body.items() if v is not None}).encode()
        asked: list[dict[str, Any]] = self._request("POST", "/api/ask" + self._learnt(fresh), text, _JSON)["candidates"]
        return asked

    def best(self, space: str, task: str | None = None, k: int = 10, *, labelled: bool | None = None, fresh: bool = True) -> list[dict[str, Any]]:
        """Returns the best known distinct networks, by the newest model."""
        return self._chosen("/api/best", {"space": space, "task": task, "k": k, "labelled": labelled}, fresh)

    def front(self, space: str, tasks: Sequence[str], *, fresh: bool = True) -> list[dict[str, Any]]:
        """Returns the Pareto front of the tasks: the networks that no other one dominates."""
        return self._chosen("/api/front", {"space": space, "tasks": ",".join(tasks)}, fresh)

    def models(self, space: str | None = None) -> list[dict[str, Any]]:
        """Returns the decisions of the trainer, newest first."""
        decisions: list[dict[str, Any]] = self._request("GET", "/api/models" + _query({"space": space}))
        return decisions

    def wait(self, timeout: float | None = None) -> None:
        """Waits until a model has considered all labels that this client has sent.

        timeout is in seconds, by default `wait`; then it raises an Error with status 504.
        A server that does not answer is asked again until then, and ConnectionError is raised.
        """
        deadline = time.monotonic() + (self._wait if timeout is None else timeout)
        turn = _TURN
        if self._progress is not None:
            self._progress.begin()
            turn = 1.0
        self.close()  # the server may have closed an idle connection, and without time left nothing is sent again
        for space in list(self._spaces):
            failed = 0
            while True:
                left = max(deadline - time.monotonic(), 0.0)
                asked = min(left, turn)
                try:
                    # Sent again here and not by _request, because each time less is left.
                    self._request("POST", "/api/predict" + _query(self._position(True, asked)), _text({"space": space}).encode(), _LINES, wait=asked, retries=0)
                    break
                except (ConnectionError, Error) as e:
                    if isinstance(e, Error) and e.status == 504:
                        if left <= turn:
                            raise
                        failed = 0
                        if self._progress is not None:
                            self._progress.say(f"archflow: waiting for a model of {space} that has learnt the labels, {left:.0f} s at most")
                        continue
                    pause = _pause(failed)
                    if isinstance(e, Error) and e.status != 503 or failed == self._retries or time.monotonic() + pause >= deadline:
                        raise
                    failed += 1
                    time.sleep(pause)
        if self._progress is not None:
            self._progress.end()

    def close(self) -> None:
        """Closes the connection of this thread."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def __getstate__(self) -> dict[str, Any]:
        """Tuners pickle clients; the copy opens its own connections."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_local", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local, self._lock = threading.local(), threading.Lock()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _best_of_first(self, space: str, tasks: Sequence[str | None], fresh: bool) -> list[dict[str, Any]]:
        """Returns the best networks by the first task that has labels."""
        for task in tasks:
            try:
                return self.best(space, task, 20, fresh=fresh)
            except Error as e:
                if e.status != 404:  # of a task without labels, or a cost
                    raise
        return []

    # Below: HTTP

    def _chosen(self, path: str, query: dict[str, Any], fresh: bool, wait: float | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._request("GET", path + _query({**query, **self._position(fresh, wait)}))["candidates"]
        return found

    def _position(self, fresh: bool, wait: float | None = None) -> dict[str, Any]:
        with self._lock:
            if not fresh or not self._labels_end:
                return {}
            return {"learnt": ",".join(f"{p}:{o}" for p, o in sorted(self._labels_end.items())), "wait": f"{self._wait if wait is None else wait:.3f}s"}

    def _learnt(self, fresh: bool) -> str:
        return _query(self._position(fresh))

    def _lines(self, elements: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, bytes]]:
        """Yields bodies of JSON Lines, with the number of elements in each.

        A list is checked before its first body is sent; of a generator, bodies are sent
        before it ends.
        """
        if isinstance(elements, Sequence):
            for i, element in enumerate(elements):
                _must_be_a_dict(i, element)
        lines: list[bytes] = []
        size = 0
        for i, element in enumerate(elements):
            _must_be_a_dict(i, element)
            line = _text(element).encode()
            if lines and (len(lines) == self._batch or size + len(line) > _BODY):
                yield len(lines), b"\n".join(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        if lines:
            yield len(lines), b"\n".join(lines)

    def _shown(self, done: str, bodies: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Yields bodies and reports progress; a body is done when the next one is requested."""
        if self._progress is None:
            yield from bodies
            return
        count = 0
        self._progress.begin()
        try:
            for n, body in bodies:
                yield n, body
                count += n
                self._progress.say(f"archflow: {done} {count:,}")
        finally:
            self._progress.end()

    def _publish(self, path: str, elements: Mapping[str, Any] | Iterable[Mapping[str, Any]], through: dict[str, int]) -> Published:
        """Publishes elements and adds to through, after each body, what was published."""
        if isinstance(elements, Mapping):
            answer = self._request("POST", path, _text(elements).encode(), _JSON, key=uuid.uuid4().hex)
            through.update(answer["through"])
            return Published(answer["published"], through)
        count, first = 0, 0
        errors: list[dict[str, Any]] = []
        for n, body in self._shown("published", self._lines(elements)):
            answer = self._request("POST", path, body, _LINES, key=uuid.uuid4().hex)
            count += answer["published"]
            through.update(answer["through"])
            errors.extend({**e, "index": e["index"] + first} for e in answer.get("errors", []))
            first += n
        if errors:
            e = errors[0]
            warnings.warn(f"{len(errors)} elements were not published; the first is number {e['index']}: {e['error']}; {e['cure']}", Rejected, stacklevel=3)
        return Published(count, through, errors)

    def _request(self, method: str, target: str, body: bytes | None = None, kind: str | None = None, key: str | None = None, wait: float = 0, retries: int | None = None) -> Any:
        """Sends a request, repeats it if that is safe, and returns the response.

        wait is how long the target asks the server to wait.
        """
        retries = self._retries if retries is None else retries
        headers = {"Accept": _JSON}
        if kind:
            headers["Content-Type"] = kind
        if key:
            headers["Idempotency-Key"] = key
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        for attempt in range(retries + 1):
            last = attempt == retries
            try:
                status, given, text = self._send(method, target, body, headers, max(self._timeout, wait + _SPARE))
            except (OSError, http.client.HTTPException) as e:
                self.close()
                if last:
                    raise ConnectionError(f"no archflow answers at {self.url}: {e or type(e).__name__}; start one with `archflow run` or archflow.start(), or name the address of one that runs") from e
            else:
                if status < 400:
                    if given.startswith(_LINES):
                        return [json.loads(line) for line in text.splitlines()]
                    return json.loads(text)
                if status not in (503, 504) or last or status == 504 and not key:
                    raise _error(status, text)
            time.sleep(_pause(attempt))
        raise AssertionError("unreachable")

    def _send(self, method: str, target: str, body: bytes | None, headers: dict[str, str], timeout: float) -> tuple[int, str, bytes]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            make = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
            connection = self._local.connection = make(self._host, self._port, timeout=timeout)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            connection.request(method, target, body=body, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            if body is None:
                raise
            # The server may have refused the request before the whole body was sent; read its response.
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()


# Fields that ask and best add to a candidate; they are not part of a label.
_ANSWER_FIELDS = frozenset(("tasks", "labels", "network", "reason", "unknown", "proxies", "meta", "architecture"))


def _must_be_a_dict(number: int, element: Any) -> None:
    if not isinstance(element, Mapping):
        raise TypeError(f"number {number} of them is {element!r:.60}, not a dict such as {{'space': 'nb201', 'arch': ...}}")


def _label(label: Label, number: int | None = None) -> dict[str, Any]:
    place = "" if number is None else f"number {number} of the labels: "
    if not isinstance(label, Mapping):
        raise TypeError(f"{place}a label is a dict with space, task and value, not {label!r:.60}")
    value = label.get("value")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place}the value of {label.get('task')!r} is {value}; report a failed training as \"failed\": True; None withdraws a value")
    whole = "ops" in label or "arch" in label or "id" in label
    return {k: v for k, v in label.items() if k not in _ANSWER_FIELDS or k == "architecture" and not whole}


def _text(element: Mapping[str, Any]) -> str:
    """Encodes an element as JSON; numpy's numbers and arrays are allowed."""
    return json.dumps(element, default=_plain)


def _plain(value: Any) -> Any:
    for method in ("tolist", "item"):  # of numpy's arrays and scalars; of scalars of others
        if callable(made := getattr(value, method, None)):
            return made()
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON; send numbers, strings, booleans, lists and dicts")


def _pause(failed: int) -> float:
    """Seconds before a request is sent again that failed so many times before."""
    return min(0.05 * 2.0**failed, 2.0)


def _query(parameters: Mapping[str, Any]) -> str:
    given = {k: str(v).lower() if isinstance(v, bool) else v for k, v in parameters.items() if v is not None}
    return "?" + urlencode(given) if given else ""


def _error(status: int, text: bytes) -> Error:
    try:
        said = json.loads(text)
        return Error(status, said["error"], said["class"], said["cure"])
    except (ValueError, KeyError, TypeError):
        return Error(status, text.decode(errors="replace").strip(), "http", "")
