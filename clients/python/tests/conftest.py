"""The tests run against the real binary, which is built here unless ARCHFLOW_BINARY names it."""

import os
import pathlib
import subprocess

import pytest

import archflow

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session", autouse=True)
def binary(tmp_path_factory):
    if "ARCHFLOW_BINARY" not in os.environ:
        built = tmp_path_factory.mktemp("bin") / "archflow"
        subprocess.run(["go", "build", "-o", str(built), "./cmd/archflow"], cwd=ROOT, check=True, env={**os.environ, "CGO_ENABLED": "0"})
        os.environ["ARCHFLOW_BINARY"] = str(built)
    return os.environ["ARCHFLOW_BINARY"]


@pytest.fixture(scope="session")
def server(binary, tmp_path_factory):
    with archflow.start(tmp_path_factory.mktemp("data"), width=16, layers=2, epochs=1, table_interval="300ms", timeout=180) as s:
        yield s


@pytest.fixture(scope="session")
def client(server):
    return server.client
