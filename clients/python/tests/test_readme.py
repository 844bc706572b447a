"""The programs of the README, as they stand there."""

import pathlib
import re

import pytest

import archflow
from archflow.server import _free_port

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"


def program(word):
    (found,) = [p for p in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if word in p]
    return found


def test_the_search(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = program("archflow.start(")
    assert len([line for line in text.splitlines() if line.strip()]) <= 20
    exec(compile(text, str(README), "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 5 and any("nor_conv_3x3" in line for line in said)


def test_any_kafka_client(tmp_path, capsys):
    pytest.importorskip("confluent_kafka")
    address = f"127.0.0.1:{_free_port()}"
    with archflow.start(tmp_path / "data", broker_listen=address):
        exec(compile(program("confluent_kafka").replace("127.0.0.1:9092", address), str(README), "exec"), {})
    assert '"space":"dag"' in capsys.readouterr().out
