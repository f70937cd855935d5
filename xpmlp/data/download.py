"""Files from public mirrors, such as MNIST's, checked and placed whole or not at all.

A file is unpacked while it comes, to no more than its known size, and its uncompressed bytes
are compared with a published SHA-256 before it takes its final name. Sources of the checksums:
for MNIST and Fashion-MNIST the values that several independent projects publish for the
uncompressed files; the gzip wrappers differ from mirror to mirror and aren't compared.
"""

import hashlib
import queue
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from xpmlp.console import warn_outside
from xpmlp.errors import DataUnavailableError
from xpmlp.files import put_in_place

PATIENCE = 8.0
TIMEOUT = 20.0
WINDOW = 30.0
SLOWEST = 1_000  # bytes a second, on average over a window
ROUNDS = 2
PAUSE = 0.5
CHUNK = 1 << 13  # bytes, well below those of a window at the slowest

Elapse = Callable[[threading.Thread, float], None]


class RemoteFile(NamedTuple):
    """One file of a set: its name, and the size and SHA-256 of its uncompressed bytes.

    packed: what mirrors call it, gzip's; "": the name with `.gz` behind it.
    """

    name: str
    size: int
    sha256: str
    packed: str = ""


MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
}

SUPPLY = (
    "put its four IDX files, such as DIR/{0}/train-images-idx3-ubyte[.gz], into a folder and pass "
    "--data-dir DIR or set XPMLP_DATA_DIR"
)

FILES = {
    "mnist": (
        RemoteFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion-mnist": (
        RemoteFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte",
            60_008,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
}


def fetch(
    name: str,
    cache: Path,
    *,
    mirrors: Sequence[str] | None = None,
    files: Sequence[RemoteFile] | None = None,
    supply: str = SUPPLY,
    patience: float = PATIENCE,
    timeout: float = TIMEOUT,
    pause: float = PAUSE,
    elapse: Elapse = threading.Thread.join,
) -> Path:
    """Make sure that the files of `name` lie in `cache/name`, and return that folder.

    Nothing is requested when all are there. Otherwise all mirrors are asked at once, and
    unless one answers within `patience` seconds the fetch is given up, so that a machine
    without a network, or with one that hangs, learns it soon. `timeout` bounds, in seconds,
    each connect and each wait for data afterwards, and `pause` is the wait between two rounds
    over the mirrors. A mirror that sends less than SLOWEST bytes a second of a file over WINDOW
    seconds, whatever it does instead, is given up with a UserWarning, and the next is asked; the
    one that served a file is the first to be asked for those that are left. `elapse` waits until
    a thread ends or so many seconds have passed. `supply` tells how else the files, {0}, can be
    had. Safe to run several times at once.

    Raises DataUnavailableError, in one line that says what was tried and what to do.
    """
    folder = cache / name
    missing = [f for f in files or FILES[name] if not (folder / f.name).is_file()]
    if not missing:
        return folder
    usable, failures = _answering(mirrors or MIRRORS[name], missing[-1], patience)
    if not usable:
        raise _unavailable(name, failures, supply)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataUnavailableError(
            f"{name} can't be downloaded: the cache folder {folder} can't be made "
            f"({error.strerror}); set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    for file in missing:
        try:
            served = _fetch_file(name, file, folder, usable, timeout, pause, elapse)
        except _NowhereError as error:
            raise _unavailable(name, error.failures, supply) from error
        usable = [served, *(mirror for mirror in usable if mirror != served)]
    return folder


def _answering(
    mirrors: Sequence[str], file: RemoteFile, patience: float
) -> tuple[list[str], dict[str, str]]:
    """Ask all mirrors at once for `file`; return those worth trying, and why others aren't.

    The threads are daemons, since a name look-up that hangs can't be interrupted.
    """
    import requests

    answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def ask(mirror: str) -> None:
        try:
            url = _url(mirror, file)
            with requests.head(url, timeout=patience, allow_redirects=True) as response:
                found = response.status_code == requests.codes.ok
            answers.put((mirror, "" if found else "doesn't have the file"))
        except Exception as error:
            answers.put((mirror, _reason(error)))

    for mirror in mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    failures: dict[str, str] = {}
    deadline = time.monotonic() + patience
    while len(failures) < len(mirrors):
        try:
            mirror, failure = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if not failure:
            rest = [m for m in mirrors if m != mirror and m not in failures]
            return [mirror, *rest], failures
        failures[mirror] = failure
    return [], {m: failures.get(m, f"no answer within {patience:g} s") for m in mirrors}


def _fetch_file(
    name: str,
    file: RemoteFile,
    folder: Path,
    mirrors: Sequence[str],
    timeout: float,
    pause: float,
    elapse: Elapse,
) -> str:
    """Download one file from the first mirror that has it whole, and return that mirror."""
    failures: dict[str, str] = {}
    for attempt in range(ROUNDS):
        if attempt:
            time.sleep(pause)
        for mirror in mirrors:
            try:
                _download(_url(mirror, file), file, folder, timeout, elapse)
                return mirror
            except (OSError, _RefusedError) as error:
                failures[mirror] = _reason(error)
                if isinstance(error, _SlowError):
                    warn_outside(f"{name}: {mirror} is given up for {file.name}: it {error}")
    raise _NowhereError(failures)


def _download(url: str, file: RemoteFile, folder: Path, timeout: float, elapse: Elapse) -> None:
    """Download one file beside its final place, check it, and move it there in one step."""
    from tqdm import tqdm

    with (
        put_in_place(folder / file.name) as partial,
        partial.open("wb") as target,
        tqdm(total=file.size, desc=file.name, unit="B", unit_scale=True, disable=None) as bar,
    ):
        unpacker = _Unpacker(target, file)
        _watched(lambda: _receive(url, unpacker, bar, timeout), unpacker, elapse)
        unpacker.finish()


def _receive(url: str, unpacker: "_Unpacker", bar: Any, timeout: float) -> None:
    import requests

    as_it_is = {"Accept-Encoding": "identity"}
    with requests.get(url, stream=True, timeout=timeout, headers=as_it_is) as response:
        response.raise_for_status()
        for chunk in response.iter_content(CHUNK):
            unpacker.write(chunk)
            bar.update(unpacker.written - bar.n)


def _watched(download: Callable[[], None], unpacker: "_Unpacker", elapse: Elapse) -> None:
    """Run a download in a thread, and give it up where it gets on too slowly.

    A timeout of a socket bounds each wait for a byte, not headers or a body that come byte by
    byte. The thread is a daemon, and can't go on once its target is closed.
    """
    failures: list[Exception] = []

    def run() -> None:
        try:
            download()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while True:
        before = unpacker.received
        elapse(thread, WINDOW)
        if not thread.is_alive():
            break
        if unpacker.received - before < SLOWEST * WINDOW:
            raise _SlowError(f"sent less than {SLOWEST:,} bytes a second over {WINDOW:g} s")
    if failures:
        raise failures[0]


class _RefusedError(Exception):
    """What came isn't the file that was asked for."""


class _NowhereError(Exception):
    """No mirror gave the file; failures: why, by mirror."""

    def __init__(self, failures: dict[str, str]) -> None:
        super().__init__()
        self.failures = failures


class _SlowError(_RefusedError):
    """What came took too long."""


class _Unpacker:
    """A sink that unpacks gzip as it comes, to at most the file's size, and hashes the bytes."""

    def __init__(self, target: IO[bytes], file: RemoteFile) -> None:
        self.target, self.file = target, file
        self.gzip = zlib.decompressobj(wbits=31)
        self.digest = hashlib.sha256()
        self.received = self.written = 0

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the download."""
        self.received += len(chunk)
        size = self.file.size
        try:
            data = self.gzip.decompress(chunk, size - self.written + 1)
        except zlib.error as error:
            raise _RefusedError("sent damaged gzip data, or something else") from error
        self.written += len(data)
        if self.written > size or self.received > size + (1 << 16):
            raise _RefusedError(f"sent more than the {size:,} bytes of the file")
        self.digest.update(data)
        self.target.write(data)

    def finish(self) -> None:
        """Refuse the file unless it is complete and has the published checksum."""
        if not self.gzip.eof or self.written < self.file.size:
            raise _RefusedError(f"sent {self.written:,} of {self.file.size:,} bytes")
        if self.digest.hexdigest() != self.file.sha256:
            raise _RefusedError("sent a file with the wrong SHA-256")


def _url(mirror: str, file: RemoteFile) -> str:
    return mirror + (file.packed or f"{file.name}.gz")


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.RequestException):
        return f"connection failed ({type(error).__name__})"
    return str(error)


def _unavailable(name: str, failures: dict[str, str], supply: str) -> DataUnavailableError:
    tried = "; ".join(f"{mirror}: {failure}" for mirror, failure in failures.items())
    return DataUnavailableError(
        f"{name} is not on this machine and can't be downloaded (tried {tried}); to supply it, "
        + supply.format(name)
    )
