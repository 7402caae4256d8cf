"""Downloading, from a server on this machine that misbehaves on demand."""

import errno
import gzip
import hashlib
import http.server
import os
import threading

import pytest

from fastnn.datasets.download import fetch

CONTENT = bytes(range(256)) * 500
PACKED = gzip.compress(CONTENT)
EXPECTED = {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}


class Server(http.server.ThreadingHTTPServer):
    """Answers a path with the function that `routes` has for its folder."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes = {}
        self.requests = []

    def mirror(self, name, answer):
        self.routes[name] = answer
        return f"http://127.0.0.1:{self.server_port}/{name}/"

    def handle_error(self, request, client_address):
        """Say nothing of clients that hang up when they have seen enough."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # older ones have no chunks

    def do_GET(self):
        self.server.requests.append((self.path, self.headers))
        self.close_connection = True
        self.server.routes[self.path.split("/")[1]](self)

    def log_message(self, *args):
        pass


def send(body, length=None):
    """Answer with `body`, announced as `length` bytes (False: not announced)."""

    def answer(handler):
        handler.send_response(200)
        if length is not False:
            handler.send_header("Content-Length", str(length or len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def status(code, location=None):
    def answer(handler):
        handler.send_response(code)
        if location:
            handler.send_header("Location", location)
        handler.end_headers()
        handler.wfile.write(b"<html>")

    return answer


def hang_up(handler):
    """Answer nothing; the connection is closed after each answer."""


def talk_nonsense(handler):
    handler.wfile.write(b"nonsense\r\n\r\n")


def stop_between_chunks(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n" % len(PACKED) + PACKED[:100])


def fall_silent(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(PACKED)))
    handler.end_headers()
    handler.wfile.write(PACKED[:10])
    handler.wfile.flush()
    handler.server.silence.wait(30)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    server.silence = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.silence.set()
    server.shutdown()
    thread.join()
    server.server_close()


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("body", [PACKED, CONTENT, gzip.compress(CONTENT, 1)])
@pytest.mark.parametrize("announced", [None, False])
def test_good_file(body, announced, server, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = fetch("file.gz", [server.mirror("good", send(body, announced))], folder, **EXPECTED)
    assert path == folder / "file.gz"
    assert path.read_bytes() == body
    assert contents(folder) == ["file.gz"]


def test_says_who_asks(server, tmp_path):
    fetch("file.gz", [server.mirror("good", send(PACKED))], tmp_path, **EXPECTED)
    [(path, headers)] = server.requests
    assert path == "/good/file.gz"
    assert headers["User-Agent"].split("/")[0] == "fastnn"


def test_shows_progress(server, tmp_path, capsys):
    fetch("file.gz", [server.mirror("good", send(PACKED))], tmp_path, **EXPECTED)
    shown = capsys.readouterr().err
    assert "file.gz: 840/840 B" in shown


def test_moved_within_the_folder(server, tmp_path, monkeypatch):
    # From anywhere else the move could be a copy, which others would see half done.
    moves = []
    replace = os.replace

    def spy(source, target):
        moves.append((source.parent, target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    fetch("file.gz", [server.mirror("good", send(PACKED))], tmp_path, **EXPECTED)
    assert moves == [(tmp_path, tmp_path / "file.gz")]


def test_replaces_what_is_there(server, tmp_path):
    (tmp_path / "file.gz").write_bytes(b"old")
    fetch("file.gz", [server.mirror("good", send(PACKED))], tmp_path, **EXPECTED)
    assert (tmp_path / "file.gz").read_bytes() == PACKED


def test_new_file_has_ordinary_permissions(server, tmp_path):
    (tmp_path / "ordinary").touch()
    path = fetch("file.gz", [server.mirror("good", send(PACKED))], tmp_path, **EXPECTED)
    assert path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


OTHER_CONTENT = CONTENT[:-1] + b"\0"
OTHER = gzip.compress(OTHER_CONTENT)
FAILURES = {
    "not found": (status(404), "HTTP 404 Not Found"),
    "server error": (status(503), "HTTP 503"),
    "wrong content": (
        send(OTHER),
        f"expected {len(CONTENT):,} bytes of content with SHA-256 {EXPECTED['sha256']}, "
        f"got {len(CONTENT):,} bytes with SHA-256 {hashlib.sha256(OTHER_CONTENT).hexdigest()}",
    ),
    "login page": (send(b"<html>"), "got 6 bytes with SHA-256"),
    "nothing": (send(b"", False), "got 0 bytes with SHA-256"),
    "longer content": (send(gzip.compress(CONTENT + b"\0")), "bytes of content, got more"),
    "endless": (send(bytes(4 * len(CONTENT) + 65536), False), "expected at most"),
    "connection cut": (
        send(PACKED[:100], len(PACKED)),
        f"connection cut: expected {len(PACKED):,} bytes, got 100",
    ),
    "cut and not announced": (send(PACKED[:-9], False), "expected whole gzip data"),
    "damaged gzip": (send(PACKED[:99] + b"\xff" * 9 + PACKED[108:]), "expected whole gzip data"),
    "hangs up": (hang_up, "RemoteDisconnected"),
    "talks nonsense": (talk_nonsense, "BadStatusLine: nonsense"),
    "stops between chunks": (stop_between_chunks, "IncompleteRead"),
    "redirect to a file": (status(302, "file:///etc/hosts"), "HTTP 302"),
    "redirect to ftp": (status(302, "ftp://127.0.0.1/file.gz"), "unknown url type: ftp"),
    "redirect to itself": (status(302, "file.gz"), "HTTP 302"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_bad_mirror_leaves_nothing(kind, server, tmp_path):
    answer, reason = FAILURES[kind]
    mirror = server.mirror("bad", answer)
    with pytest.raises(ConnectionError) as caught:
        fetch("file.gz", [mirror], tmp_path, **EXPECTED, advice="Do this.")
    first, told, last = str(caught.value).splitlines()
    assert "file.gz" in first
    assert told.startswith(f"  {mirror}file.gz: ")
    assert reason in told
    assert last == "Do this."
    assert contents(tmp_path) == []


@pytest.mark.parametrize("kind", FAILURES)
def test_next_mirror_after_bad_one(kind, server, tmp_path):
    mirrors = [server.mirror("bad", FAILURES[kind][0]), server.mirror("good", send(PACKED))]
    path = fetch("file.gz", mirrors, tmp_path, **EXPECTED)
    assert path.read_bytes() == PACKED
    assert contents(tmp_path) == ["file.gz"]


def test_bad_mirrors_keep_what_is_there(server, tmp_path):
    (tmp_path / "file.gz").write_bytes(b"old")
    with pytest.raises(ConnectionError):
        fetch("file.gz", [server.mirror("bad", send(OTHER))], tmp_path, **EXPECTED)
    assert (tmp_path / "file.gz").read_bytes() == b"old"
    assert contents(tmp_path) == ["file.gz"]


def test_all_answers_are_told_in_order(server, tmp_path):
    mirrors = [server.mirror(kind.replace(" ", ""), FAILURES[kind][0]) for kind in FAILURES]
    with pytest.raises(ConnectionError) as caught:
        fetch("file.gz", mirrors, tmp_path, **EXPECTED)
    told = str(caught.value).splitlines()[1:]
    assert [line.split("file.gz: ")[0].strip() for line in told] == mirrors
    for line, (_, reason) in zip(told, FAILURES.values(), strict=True):
        assert reason in line


def test_nobody_listens(server, tmp_path):
    with pytest.raises(ConnectionError, match="refused"):
        fetch("file.gz", ["http://127.0.0.1:1/"], tmp_path, **EXPECTED)
    assert contents(tmp_path) == []


def test_mirror_that_falls_silent(server, tmp_path):
    mirror = server.mirror("silent", fall_silent)
    with pytest.raises(ConnectionError, match="silent/file.gz: .*timed out"):
        fetch("file.gz", [mirror], tmp_path, **EXPECTED, timeout=0.2)
    assert contents(tmp_path) == []


def test_mirror_must_be_http(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file.gz").write_bytes(PACKED)
    with pytest.raises(ConnectionError, match="unknown url type: file"):
        fetch("file.gz", [source.as_uri() + "/"], tmp_path / "target", **EXPECTED)
    assert contents(tmp_path / "target") == []


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_own_trouble_is_not_blamed_on_a_mirror(error, server, tmp_path, monkeypatch):
    def fsync(descriptor):
        raise error

    monkeypatch.setattr(os, "fsync", fsync)
    mirrors = [server.mirror("one", send(PACKED)), server.mirror("two", send(PACKED))]
    with pytest.raises(type(error)) as caught:
        fetch("file.gz", mirrors, tmp_path, **EXPECTED)
    assert caught.value is error
    assert len(server.requests) == 1
    assert contents(tmp_path) == []


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="FASTNN_CACHE_DIR") as caught:
        fetch("file.gz", [], tmp_path / "file" / "folder", **EXPECTED)
    assert caught.value.errno == errno.ENOTDIR
    assert str(tmp_path / "file" / "folder") in str(caught.value)


@pytest.mark.parametrize("other_was_first", [True, False])
def test_target_that_is_in_use(other_was_first, server, tmp_path, monkeypatch):
    # What Windows does when another process reads the file.
    def replace(source, target):
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(os, "replace", replace)
    mirrors = [server.mirror("good", send(PACKED))]
    if other_was_first:
        (tmp_path / "file.gz").write_bytes(PACKED)
        assert fetch("file.gz", mirrors, tmp_path, **EXPECTED).read_bytes() == PACKED
        assert contents(tmp_path) == ["file.gz"]
    else:
        with pytest.raises(PermissionError):
            fetch("file.gz", mirrors, tmp_path, **EXPECTED)
        assert contents(tmp_path) == []


def test_several_at_once(server, tmp_path):
    everybody = threading.Barrier(4)

    def answer(handler):
        # Half of the file is on its way to each of them before any of them has the whole.
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(PACKED)))
        handler.end_headers()
        handler.wfile.write(PACKED[:200])
        everybody.wait(30)
        handler.wfile.write(PACKED[200:])

    mirrors = [server.mirror("good", answer)]
    seen = []

    def work():
        seen.append(fetch("file.gz", mirrors, tmp_path, **EXPECTED).read_bytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [PACKED] * 4
    assert contents(tmp_path) == ["file.gz"]
