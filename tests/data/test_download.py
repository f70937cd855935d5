import gzip
import hashlib
import io
import os
import re
import socket
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from xpmlp.data import download
from xpmlp.data.download import RemoteFile, fetch
from xpmlp.errors import DataUnavailableError

CONTENTS = {
    "train-images-idx3-ubyte": bytes(range(256)) * 2000,
    "train-labels-idx1-ubyte": b"labels" * 50,
}
FILES = [
    RemoteFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items()
]
HANG = 600.0  # seconds that only a hang takes
QUICK = {"files": FILES, "patience": HANG, "timeout": HANG, "pause": 0.01}
BRIEF = 0.3  # seconds until a mirror that says nothing is given up
SPEECHLESS = ("silent", "stalled")
DRIPPING = {  # what comes at once, before one byte now and then
    "status line": b"HTTP/1.1 2",
    "header": b"HTTP/1.1 200 OK\r\nX-Filler: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n",
    "endless body": b"HTTP/1.1 200 OK\r\n\r\n",
}


@cache
def bomb():
    return gzip.compress(bytes(100 << 20))


class Mirror(BaseHTTPRequestHandler):
    """One server with many mirrors: the first part of the path says how it behaves."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        behaviour, name = self.path.replace("%20", " ").strip("/").split("/")
        data = CONTENTS[name.removesuffix(".gz")]
        with self.server.lock:
            self.server.requests.append((self.command, behaviour, name))
            if self.command == "GET":
                self.server.encodings.add(self.headers["Accept-Encoding"])
        if behaviour in ("missing", "broken"):
            self.send_error(404 if behaviour == "missing" else 500)
            return
        if behaviour in DRIPPING:
            self.drip(DRIPPING[behaviour], packed=gzip.compress(data))
            return
        if behaviour == "silent":
            self.server.release.wait(HANG)
            self.close_connection = True
            return
        packed = gzip.compress(data)
        sent = {
            "wrong": gzip.compress(data[:-1] + b"!"),
            "short": gzip.compress(data[:-1]),
            "bomb": bomb() if behaviour == "bomb" else b"",
            "page": b"<html>Please log in</html>" * 20,
            "truncated": packed[: len(packed) // 2],
            "stalled": packed[: len(packed) // 2],
        }.get(behaviour, packed)
        self.send_response(200)
        cut = behaviour in ("truncated", "stalled")
        self.send_header("Content-Length", str(len(packed if cut else sent)))
        self.end_headers()
        if body:
            self.wfile.write(sent)
            self.wfile.flush()
            if behaviour == "stalled":
                self.server.stalled.set()
                self.server.release.wait(HANG)
        self.close_connection = cut

    def drip(self, start, packed):
        self.wfile.write(start + (packed[:30] if b"\r\n\r\n" in start else b""))
        self.server.dripping.set()
        while not self.server.release.wait(0.002):
            self.wfile.write(b"0")
        self.close_connection = True

    def handle(self):
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Mirror)
        self.requests = []
        self.encodings = set()
        self.lock = threading.Lock()
        self.release = threading.Event()
        self.stalled = threading.Event()
        self.dripping = threading.Event()

    def mirror(self, behaviour):
        return f"http://127.0.0.1:{self.server_address[1]}/{behaviour}/"

    def handle_error(self, request, client_address):
        pass


@pytest.fixture
def server(isolated):
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def impatient(monkeypatch):
    """Give up a mirror that says nothing soon, and no other however slow the machine is."""

    get = requests.get

    def brief(url, timeout, **others):
        silent = any(f"/{name}/" in url for name in SPEECHLESS)
        return get(url, timeout=BRIEF if silent else timeout, **others)

    monkeypatch.setattr(requests, "get", brief)


def is_complete(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENTS


def test_good_path_places_the_unpacked_files(server, tmp_path, capsys):
    folder = fetch("mnist", tmp_path, mirrors=[server.mirror("good")], **QUICK)
    assert folder == tmp_path / "mnist"
    assert is_complete(folder)
    assert capsys.readouterr() == ("", ""), "a bar is for terminals only"
    assert server.encodings == {"identity"}, "else a server may pack what is packed"


def test_nothing_is_requested_when_all_is_there(server, tmp_path):
    (tmp_path / "mnist").mkdir()
    for name in CONTENTS:
        (tmp_path / "mnist" / name).write_bytes(b"not looked into")
    fetch("mnist", tmp_path, mirrors=[server.mirror("good")], **QUICK)
    assert server.requests == []


def test_only_what_is_missing_is_fetched(server, tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / FILES[0].name).write_bytes(CONTENTS[FILES[0].name])
    assert is_complete(fetch("mnist", tmp_path, mirrors=[server.mirror("good")], **QUICK))
    assert {name for _, _, name in server.requests} == {f"{FILES[1].name}.gz"}


@pytest.mark.parametrize(
    "behaviour",
    ["missing", "broken", "truncated", "wrong", "short", "bomb", "page", "stalled", "silent"],
)
def test_the_next_mirror_helps(server, tmp_path, monkeypatch, impatient, behaviour):
    monkeypatch.setattr(download, "_answering", lambda mirrors, *_: (list(mirrors), {}))
    mirrors = [server.mirror(behaviour), server.mirror("good")]
    assert is_complete(fetch("mnist", tmp_path, mirrors=mirrors, **QUICK))
    asked = [b for command, b, _ in server.requests if command == "GET"]
    assert asked == [behaviour, "good", "good"], "who served one file is asked first for the next"


def a_window_for_each_drip(server):
    """Return a wait in which a window passes once a mirror drips, and else none ever does."""

    def elapse(thread, seconds):
        assert seconds == download.WINDOW
        while thread.is_alive():
            if server.dripping.wait(0.002):
                server.dripping.clear()
                return

    return elapse


@pytest.mark.parametrize("behaviour", list(DRIPPING))
def test_a_mirror_that_drips_is_given_up(server, tmp_path, monkeypatch, behaviour):
    monkeypatch.setattr(download, "_answering", lambda mirrors, *_: (list(mirrors), {}))
    mirrors = [server.mirror(behaviour.replace(" ", "%20")), server.mirror("good")]
    slow = "given up for train-images-idx3-ubyte: it sent less than 1,000 bytes a second over 30 s"
    with pytest.warns(UserWarning, match=slow) as caught:
        folder = fetch(
            "mnist", tmp_path, mirrors=mirrors, elapse=a_window_for_each_drip(server), **QUICK
        )
    assert len(caught) == 1
    assert is_complete(folder), "and nothing partial stays"


@pytest.mark.parametrize(("sent", "ends"), [(29_999, "slow"), (30_000, "well")])
def test_each_window_counts_its_own_bytes(sent, ends):
    """Of three windows the first two have enough; the download ends within the fourth."""
    unpacker = download._Unpacker(io.BytesIO(), FILES[0])
    windows, end = iter([40_000, 30_000, sent]), threading.Event()

    def elapse(thread, seconds):
        received = next(windows, None)
        if received is None:
            end.set()
            thread.join()
        else:
            unpacker.received += received

    try:
        if ends == "slow":
            with pytest.raises(download._SlowError):
                download._watched(end.wait, unpacker, elapse)
        else:
            download._watched(end.wait, unpacker, elapse)
    finally:
        end.set()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_files_have_the_mode_that_the_umask_grants(server, tmp_path, mask):
    before = os.umask(mask)
    try:
        folder = fetch("mnist", tmp_path, mirrors=[server.mirror("good")], **QUICK)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o666 & ~mask}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "doesn't have the file"),
        ("broken", "doesn't have the file"),
        ("silent", "timed out|no answer within 0.3 s"),
        ("truncated", r"connection failed|sent [\d,]+ of 512,000 bytes"),
        ("stalled", "timed out|connection failed"),
        ("wrong", "wrong SHA-256"),
        ("short", "sent 511,999 of 512,000 bytes"),
        ("bomb", "more than the 512,000 bytes"),
        ("page", "damaged gzip data, or something else"),
    ],
)
def test_all_mirrors_bad(server, tmp_path, impatient, behaviour, reason):
    mirrors = [server.mirror(behaviour)]
    options = {**QUICK, "patience": BRIEF if behaviour == "silent" else HANG}
    with pytest.raises(DataUnavailableError) as caught:
        fetch("mnist", tmp_path, mirrors=mirrors, **options)
    text = str(caught.value)
    assert re.search(reason, text)
    assert "\n" not in text
    for part in (mirrors[0], "--data-dir DIR", "XPMLP_DATA_DIR", "DIR/mnist/train-images"):
        assert part in text
    left = list((tmp_path / "mnist").iterdir()) if (tmp_path / "mnist").exists() else []
    assert left == [], "nothing partial may stay"


def test_a_bomb_is_unpacked_no_further_than_the_file():
    packed = bomb()
    unpacker = download._Unpacker(io.BytesIO(), FILES[0])
    tracemalloc.start()
    try:
        with pytest.raises(download._RefusedError, match="more than the 512,000 bytes"):
            unpacker.write(packed)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_mirror_is_tried_twice(server, tmp_path):
    with pytest.raises(DataUnavailableError):
        fetch("mnist", tmp_path, mirrors=[server.mirror("wrong")], **QUICK)
    assert [command for command, _, _ in server.requests] == ["HEAD", "GET", "GET"]


def test_a_bad_mirror_is_left_out_by_the_first_question(server, tmp_path):
    mirrors = [server.mirror("missing"), server.mirror("good"), server.mirror("silent")]
    assert is_complete(fetch("mnist", tmp_path, mirrors=mirrors, **QUICK))
    assert not server.release.is_set(), "one good answer is enough, the silent one is not awaited"
    assert ("GET", "missing") not in {request[:2] for request in server.requests}


@pytest.mark.usefixtures("isolated")
def test_nothing_listening(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(DataUnavailableError, match="connection failed"):
            fetch("mnist", tmp_path, mirrors=[url], **QUICK)
    assert not (tmp_path / "mnist").exists()


@pytest.mark.usefixtures("isolated")
def test_name_lookup_that_hangs(tmp_path, monkeypatch):
    release = threading.Event()

    def hang(*_args, **_kwargs):
        release.wait(HANG)
        raise OSError("released")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(DataUnavailableError, match=r"no answer within 0\.3 s"):
            fetch(
                "mnist", tmp_path, mirrors=["http://a.invalid/", "http://b.invalid/"], patience=0.3
            )
    finally:
        release.set()


def test_the_final_name_appears_only_when_complete(server, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        mirrors = [server.mirror("stalled")]
        running = pool.submit(fetch, "mnist", tmp_path, mirrors=mirrors, **QUICK)
        assert server.stalled.wait(HANG)
        names = [path.name for path in (tmp_path / "mnist").iterdir()]
        assert len(names) == 1, "half a file is under way"
        assert names[0].startswith(".")
        server.release.set()
        with pytest.raises(DataUnavailableError):
            running.result()
    assert list((tmp_path / "mnist").iterdir()) == []


def test_several_runs_at_once(server, tmp_path):
    def run(_):
        return fetch("mnist", tmp_path, mirrors=[server.mirror("good")], **QUICK)

    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(run, range(4)))
    assert set(folders) == {tmp_path / "mnist"}
    assert is_complete(tmp_path / "mnist")


def test_a_cache_that_cannot_be_made(server, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(DataUnavailableError, match=r"cache folder .* can't be made"):
        fetch("mnist", tmp_path / "cache", mirrors=[server.mirror("good")], **QUICK)


def test_the_real_tables():
    assert download.PATIENCE + 1 < 10, "offline must be given up within 10 s"
    sizes = [16 + 60_000 * 784, 8 + 60_000, 16 + 10_000 * 784, 8 + 10_000]
    for name, files in download.FILES.items():
        assert len(set(download.MIRRORS[name])) >= 2
        assert all(url.endswith("/") for url in download.MIRRORS[name])
        assert [file.size for file in files] == sizes
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in files)
    checksums = [file.sha256 for files in download.FILES.values() for file in files]
    assert len(set(checksums)) == 8


def test_the_mnist_checksums_are_those_of_the_real_files(real_data):
    for file in download.FILES["mnist"]:
        data = gzip.decompress((real_data / "mnist" / f"{file.name}.gz").read_bytes())
        assert len(data) == file.size
        assert hashlib.sha256(data).hexdigest() == file.sha256
