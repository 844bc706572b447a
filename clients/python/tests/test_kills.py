"""A server that is killed while requests publish: repeated with their keys, each is there once."""

import json
import random
import subprocess
import threading
import time

import archflow
from archflow.server import _free_port

from test_client import cell


def read(binary, data, topic):
    said = subprocess.run([binary, "read", topic, "--from", "start", "--exit-at-end", "--json", "--data", str(data), "--http", "off"], capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line)["id"] for line in said.stdout.splitlines() if line]


def test_kills(binary, tmp_path):
    port, rng = _free_port(), random.Random(7)
    sent, stop, failed = {"candidates": 0, "labels": 0}, threading.Event(), []

    def start():
        return archflow.start(tmp_path, http=f"127.0.0.1:{port}", width=16, layers=2, epochs=1, timeout=180)

    def publish(what):
        client = archflow.Client(f"http://127.0.0.1:{port}", retries=0)
        while not stop.is_set():
            n = sent[what]
            items = [{"space": "nb201", "id": f"{n}-{i}", "arch": cell([(n * 10 + i) // 5**k % 5 for k in range(6)])} for i in range(10)]
            if what == "labels":
                items = [{**item, "task": "acc", "value": i} for i, item in enumerate(items)]
            body = "\n".join(map(json.dumps, items)).encode()
            while True:
                try:
                    answer = client._request("POST", "/api/" + what, body, "application/x-ndjson", key=f"{what} {n}")
                    break
                except archflow.Error as e:
                    if e.status < 500:
                        failed.append(e)
                        return
                except Exception:
                    client.close()
                time.sleep(0.05)
            assert answer["published"] == 10
            sent[what] = n + 1

    server = start()
    threads = [threading.Thread(target=publish, args=(what,)) for what in sent]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(rng.uniform(0.2, 0.6))
        server.process.kill()
        server.process.wait()
        server = start()
    stop.set()
    for thread in threads:
        thread.join()
    for what, topic in (("candidates", "architectures"), ("labels", "labels")):
        ids = read(binary, tmp_path, topic)
        assert not failed and sent[what] > 0 and sorted(ids) == sorted(f"{n}-{i}" for n in range(sent[what]) for i in range(10))
    server.stop()
