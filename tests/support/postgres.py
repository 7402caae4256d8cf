"""A server of PostgreSQL for tests, from the programs that the system has."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest


def _program(name):
    places = sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))


def _user():
    """Return whom the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            pass
    pytest.skip("PostgreSQL does not run as root, and there is no other user")


class Server:
    """A server that listens at a socket in a folder of its own."""

    def __init__(self, folder):
        self._folder, self._user = Path(folder), _user()
        self.url = f"postgresql+psycopg://tester@/postgres?host={folder}"
        self._process = None
        if self._user is not None:
            shutil.chown(folder, self._user)
        settings = "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"
        self._run("initdb", "-D", self._data, *settings)

    @property
    def _data(self):
        return str(self._folder / "data")

    def _run(self, name, *arguments):
        done = subprocess.run(
            [_program(name), *arguments], user=self._user, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self):
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")


@contextmanager
def server():
    """Start a server with an empty database; skip the test where there is none to be had."""
    pytest.importorskip("psycopg", reason="needs the driver psycopg")
    if os.name != "posix" or _program("initdb") is None or _program("pg_ctl") is None:
        pytest.skip("this system has no server of PostgreSQL: initdb and pg_ctl")
    # Not pytest's folder, whose path is too long for a socket, and which others may not enter.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        found = Server(folder)
        found.start()
        try:
            yield found
        finally:
            found.stop()


def until(condition, seconds=30.0):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
