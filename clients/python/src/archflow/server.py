"""Runs archflow beside the caller."""

from __future__ import annotations

import atexit
import errno
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Any

from .client import Client


def binary() -> str:
    """Returns the path of the binary: ARCHFLOW_BINARY, the wheel's, or the one in PATH."""
    named = os.environ.get("ARCHFLOW_BINARY")
    if named:
        return named
    inside = pathlib.Path(__file__).with_name("bin") / ("archflow.exe" if os.name == "nt" else "archflow")
    if inside.exists():
        return str(inside)
    found = shutil.which("archflow")
    if found:
        return found
    raise FileNotFoundError("no archflow binary: install a wheel that has one, put it into PATH, or name it in ARCHFLOW_BINARY")


class Server:
    """A running archflow. stop() and the end of a with block stop it."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, data: pathlib.Path, log: pathlib.Path, token: str | None, owned: tempfile.TemporaryDirectory[str] | None) -> None:
        self.process, self.url, self.data, self.log = process, url, data, log
        self.client = Client(url, token)
        self._owned = owned
        atexit.register(self.stop)

    @property
    def tables(self) -> str:
        """The folder of the Delta tables."""
        return str(self.data / "tables")

    def stop(self, timeout: float = 40) -> None:
        """Drains and stops the process."""
        atexit.unregister(self.stop)
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._owned is not None:
            self._owned.cleanup()
            self._owned = None

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(data: str | os.PathLike[str] | None = None, *, http: str | None = None, token: str | None = None, timeout: float = 60, **settings: Any) -> Server:
    """Runs archflow and returns once it is ready.

    data is the folder of its data; by default a temporary one that is removed at the
    end. http is its address; by default a free port of this machine. settings are
    those of `archflow run --help`, with _ for -: start(first_labels=8, broker_listen="127.0.0.1:9092").
    """
    owned = tempfile.TemporaryDirectory(prefix="archflow-") if data is None else None
    folder = pathlib.Path(owned.name if owned else data)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    address = http or f"127.0.0.1:{_free_port()}"
    _must_be_free(address)
    command = [binary(), "run", "--data", str(folder), "--http", address]
    for name, value in settings.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            command.append(flag)
        elif value is not False and value is not None:
            command += [flag, ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)]
    environment = {k: v for k, v in os.environ.items() if k != "ARCHFLOW_BINARY"}
    if token:
        environment["ARCHFLOW_HTTP_TOKEN"] = token
    log = folder / "archflow.log"
    with log.open("ab") as out:
        # Of a session of its own, so that Ctrl-C in a terminal or notebook interrupts the
        # caller alone: it is the caller who ends the server.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True)
    try:
        server = Server(process, "http://" + _reachable(address), folder, log, token, owned)
    except BaseException:
        process.kill()
        process.wait()
        raise
    try:
        _await_ready(server, _reachable(address), timeout)
    except BaseException:
        server.stop()
        raise
    return server


def _reachable(address: str) -> str:
    """An address without a host, such as :8099, is every address of this machine."""
    return "127.0.0.1" + address if address.startswith(":") else address


def _must_be_free(address: str) -> None:
    """Fails if another program listens; its readiness would be mistaken for that of the new process."""
    host, colon, port = _reachable(address).rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"http={address!r} is not HOST:PORT, such as 127.0.0.1:8099")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return
    raise OSError(errno.EADDRINUSE, f"something listens on {address} already; use archflow.Client for an archflow that runs there, or name another address, or none for a free one")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _await_ready(server: Server, address: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    reason = "it does not answer"
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"archflow ended with status {server.process.returncode} before it was ready; its log ends with:\n{_tail(server.log)}")
        connection = http.client.HTTPConnection(address, timeout=5)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            reason = answer.read().decode(errors="replace")
            if answer.status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise TimeoutError(f"archflow is not ready after {timeout} s: {reason}; give it longer with timeout=, or mend what it says:\n{_tail(server.log)}")


def _tail(log: pathlib.Path, size: int = 4000) -> str:
    return log.read_bytes()[-size:].decode(errors="replace")
