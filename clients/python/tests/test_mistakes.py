"""What a stranger does wrong is answered by what, where and the cure."""

import http.server
import io
import os
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

import archflow
from archflow.advisor import Advisor
from archflow.progress import Progress
from archflow.server import _free_port

from test_client import cells


class Number:
    """A scalar as numpy has them."""

    def item(self):
        return 3


def test_what_is_sent(client):
    c = cells(1, seed=21)[0]
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="failed"):
            client.tell({**c, "task": "accuracy", "value": value})
    with pytest.raises(TypeError, match="not a dict"):
        client.predict("abc")
    with pytest.raises(TypeError, match="cannot be sent"):
        client.predict({**c, "meta": object()})
    assert client.publish({**c, "proxies": {"n": Number()}}).published == 1
    assert client.publish([]).published == 0 and client.tell([]).published == 0 and client.predict([]) == []
    with pytest.raises(archflow.Error, match="nope") as e:
        client.best("nope", "accuracy")
    assert e.value.status == 404 and e.value.cure
    with pytest.raises(ValueError, match=r"X\[1\]"):
        archflow.Predictor("nb201", "mistakes", client).fit([c["arch"], "junk"], [1.0, 2.0])


def test_large_bodies_are_split(client, monkeypatch):
    monkeypatch.setattr(archflow.client, "_BODY", 4096)
    many = cells(100, seed=22)
    assert len(list(client._lines(many))) > 1
    many[70] = {"space": "nb201"}
    with pytest.warns(archflow.Rejected):
        result = client.publish(many)
    assert result.published == 99 and [e["index"] for e in result.errors] == [70]


def test_a_mistake_in_a_later_body(client):
    """A list with a mistake is not sent at all; what a body has published counts."""
    small = archflow.Client(client.url, batch=10)
    many = [{"space": "later", "id": str(i), "hyperparameters": {"x": i}, "task": "later", "value": 1.0} for i in range(30)]
    sent = []
    request, small._request = small._request, lambda *given, **settings: sent.append(given) or request(*given, **settings)
    wrong = [*many[:25], {**many[25], "value": float("nan")}]
    for labels in (wrong, iter(wrong)):
        with pytest.raises(ValueError, match="number 25.*'later' is nan"):
            small.tell(labels)
    with pytest.raises(TypeError, match="number 25 .*not a dict"):
        small.publish([*many[:25], "x"])
    assert not sent and not small._labels_end
    with pytest.raises(TypeError, match="number 25 .*not a dict"):  # of a generator two bodies are sent
        small.publish(iter([*many[:25], "x"]))
    assert len(sent) == 2
    with pytest.raises(TypeError, match="cannot be sent"):
        small.tell([*many[:25], {**many[25], "value": object()}])
    assert len(sent) == 4 and sum(small._labels_end.values()) >= 20
    small.wait(60)


def test_places_that_do_not_answer(server, tmp_path):
    with pytest.raises(ConnectionError, match="archflow run"):
        archflow.Client("http://127.0.0.1:1", retries=0).models()
    with pytest.raises(ValueError, match="URL"):
        archflow.Client("http://127.0.0.1:abc")
    with pytest.raises(OSError, match="listens on"):
        archflow.start(tmp_path, http=server.url.removeprefix("http://"))
    with pytest.raises(ValueError, match="HOST:PORT"):
        archflow.start(tmp_path, http="8099")
    with pytest.raises(RuntimeError, match="no-such"):
        archflow.start(tmp_path, no_such=3)


def test_tokens(tmp_path):
    with archflow.start(tmp_path, token="secret", width=16, layers=2, epochs=1, timeout=180) as server:
        assert server.client.models() == []
        for token in ("wrong", ""):
            with pytest.raises(archflow.Error, match="ARCHFLOW_HTTP_TOKEN") as e:
                archflow.Client(server.url, token).models()
            assert e.value.status == 401


def test_an_address_without_a_host(tmp_path):
    with archflow.start(tmp_path, http=f":{_free_port()}", token="secret", width=16, layers=2, epochs=1, timeout=180) as server:
        assert server.client.models() == []


def test_no_process_is_left(tmp_path, monkeypatch):
    """What fails right after the process has started ends it."""
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            started.append(self)

    def refuses(*_):
        raise ValueError("no such URL")

    monkeypatch.setattr(subprocess, "Popen", Popen)
    monkeypatch.setattr(archflow.server, "Client", refuses)
    with pytest.raises(ValueError, match="no such URL"):
        archflow.start(tmp_path)
    assert len(started) == 1 and started[0].poll() is not None


def test_waiting_for_what_does_not_come(client):
    other = archflow.Client(client.url, progress=True)
    other.tell({"space": "nowhere", "id": "nobody", "task": "t", "value": 1})
    other.wait(60)  # of a network that nobody knows: considered, and left out
    other._labels_end[0] = 10**9
    with pytest.raises(archflow.Error) as e:
        other.wait(1)
    assert e.value.status == 504 and e.value.cure


@pytest.fixture
def fake():
    """A server that answers with the status and the JSON of fake.answer(path, body)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fake.seen.append(body)
            status, text = fake.answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    fake = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.seen, fake.url, fake.daemon_threads = [], f"http://127.0.0.1:{fake.server_port}", True
    fake.handle_error = lambda *_: None  # clients that hang up
    threading.Thread(target=fake.serve_forever, args=(0.01,), daemon=True).start()
    yield fake
    fake.shutdown()
    fake.server_close()


def waiting(url):
    client = archflow.Client(url)
    client._spaces.add("nb201")
    client._labels_end[0] = 10
    client._timeout = 0.3
    return client


def test_waiting_longer_than_the_timeout(fake, monkeypatch):
    def late(path, body):
        time.sleep(float(parse_qs(urlsplit(path).query)["wait"][0].rstrip("s")))
        return 504, b'{"error": "not yet", "class": "learnt", "cure": "wait"}'

    fake.answer = late
    monkeypatch.setattr(archflow.client, "_TURN", 0.6)
    with pytest.raises(archflow.Error) as e:
        waiting(fake.url).wait(1)
    assert e.value.status == 504 and len(fake.seen) == 2


def test_waiting_for_a_server_that_hangs(fake, monkeypatch):
    released = threading.Event()
    fake.answer = lambda path, body: (released.wait(20), (500, b"{}"))[1]
    monkeypatch.setattr(archflow.client, "_SPARE", 0.2)
    began = time.monotonic()
    with pytest.raises(ConnectionError):
        waiting(fake.url).wait(0.5)
    released.set()
    assert len(fake.seen) == 1 and time.monotonic() - began < 10


def test_advice_of_a_busy_server(client):
    advisor = Advisor("busy", client=archflow.Client(client.url, wait=0.01), startup=0, pool=8)
    advisor.client._labels_end[0] = 10**9
    assert advisor.suggest(lambda: {"x": len(advisor._open)})  # by the model there is


def test_interrupt_reaches_the_caller_alone(binary, tmp_path):
    text = f"""
import archflow, time
server = archflow.start({str(tmp_path)!r}, width=16, layers=2, epochs=1, timeout=180)
try:
    print("ready", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    time.sleep(1)
    print(server.client.models(), server.process.poll(), flush=True)
server.stop()
print(server.process.returncode, flush=True)
"""
    p = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert p.stdout.readline() == "ready\n"
    os.killpg(p.pid, signal.SIGINT)  # as a terminal does
    assert p.communicate(timeout=120)[0].splitlines() == ["[] None", "0"]


def test_server_stopped_while_waiting(tmp_path):
    server = archflow.start(tmp_path, width=16, layers=2, epochs=1, timeout=180)
    client = archflow.Client(server.url, retries=1)
    client.publish(cells(3, seed=23))
    client._labels_end[0] = 10**9
    threading.Timer(1, server.process.terminate).start()
    with pytest.raises((ConnectionError, archflow.Error)):
        client.predict(cells(3, seed=23))
    server.stop()


def test_progress(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    out = io.StringIO()
    p = Progress(out)
    p.begin()
    for second in range(25):
        now[0] = second
        p.say(f"done {second}")
    p.end()
    assert out.getvalue() == "done 10\ndone 20\n"
    out.isatty = lambda: True
    p.begin()
    now[0] += 2
    p.say("half")
    p.end()
    assert out.getvalue().endswith("\rhalf\r    \r")


def test_generating_for_tasks_without_labels(fake):
    """The function is given the best of the first task that has labels."""
    labelled, given = {"accuracy"}, []

    def answer(path, body):
        query = parse_qs(urlsplit(path).query)
        if path.startswith("/api/best") and query["task"][0] not in labelled:
            return status, b'{"error": "no task", "class": "not-found", "cure": "publish a label of it first"}'
        return 200, b'{"candidates": [{"id": "a"}]}'

    def generate(best):
        given.append(best)
        return [{"space": "np", "id": "b"}]

    fake.answer, status = answer, 404
    client = archflow.Client(fake.url)
    assert client.ask("np", tasks=["params", "accuracy"], generate=generate) == [{"id": "a"}]
    assert client.ask("np", "new", generate=generate) == [{"id": "a"}]
    assert given == [[{"id": "a"}], []]
    status = 400
    with pytest.raises(archflow.Error):
        client.ask("np", "new", generate=generate)
