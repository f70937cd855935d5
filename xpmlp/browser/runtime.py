"""onnxruntime-web, which runs ONNX graphs in a browser: its WebAssembly build, fetched once."""

import json
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xpmlp.data.download import RemoteFile, fetch
from xpmlp.data.places import places
from xpmlp.errors import InputError
from xpmlp.files import put_in_place

NAME, VERSION = "onnxruntime-web", "1.30.0"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
# npm's integrity of the package, of which this is the unpacked archive:
# sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==
ARCHIVE = RemoteFile(
    f"{NAME}-{VERSION}.tar",
    145_010_176,
    "125fcb062391f1a44d992000a5b3efc531c95c7231baa7fd16e0ef879b05dad0",
    f"{NAME}-{VERSION}.tgz",
)
MIRRORS = (
    f"https://registry.npmjs.org/{NAME}/-/",
    f"https://registry.yarnpkg.com/{NAME}/-/",
)
SUPPLY = (
    f"run `npm pack {NAME}@{VERSION}`, unpack it, and pass --runtime DIR with the folder that it "
    "makes"
)
PLACES = (".", "dist", "package/dist", f"node_modules/{NAME}/dist")
LICENSE = """onnxruntime-web, https://github.com/microsoft/onnxruntime

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


class Runtime(NamedTuple):
    """Where the files lie, and which version they are, "" where nobody knows."""

    folder: Path
    version: str


def find_runtime(given: Path | None) -> Runtime:
    """Return the runtime of a folder that was given, else that of the cache, fetched if need be.

    Raises InputError where the folder lacks a file, DataUnavailableError where nothing is to be
    had.
    """
    if given is not None:
        return given_runtime(given)
    cache = places(None).cache
    kept = cache / f"{NAME}-{VERSION}"
    if not all((kept / name).is_file() for name in FILES):
        fetch_runtime(cache)
    return Runtime(kept, VERSION)


def given_runtime(folder: Path) -> Runtime:
    """Return the runtime in a folder: its files, or an npm package that has them.

    Raises InputError, with what is missing.
    """
    for place in PLACES:
        inner = folder / place
        if all((inner / name).is_file() for name in FILES):
            return Runtime(inner, _version(inner.parent / "package.json"))
    raise InputError(
        f"--runtime {folder}: expected the package {NAME} of npm, or its files "
        f"{', '.join(FILES)}; {SUPPLY}"
    )


def _version(package: Path) -> str:
    try:
        about = json.loads(package.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(about.get("version", "")) if isinstance(about, dict) else ""


def fetch_runtime(
    cache: Path, *, mirrors: Sequence[str] = MIRRORS, archive: RemoteFile = ARCHIVE
) -> None:
    """Download the npm package into the cache, check it, and keep the files that are needed.

    Raises DataUnavailableError as `data.download.fetch` does.
    """
    name = f"{NAME}-{VERSION}"
    folder = fetch(name, cache, mirrors=mirrors, files=[archive], supply=SUPPLY)
    packed = folder / archive.name
    try:
        for wanted in FILES:
            _take(packed, f"package/dist/{wanted}", folder / wanted)
    finally:
        packed.unlink(missing_ok=True)


def _take(packed: Path, name: str, target: Path) -> None:
    """Take a file out of an archive whose checksum is right."""
    with tarfile.open(packed, "r:") as members:
        content = members.extractfile(name) if name in members.getnames() else None
        if content is None:
            raise InputError(f"{packed.name} holds no file {name}")
        with put_in_place(target) as partial, partial.open("wb") as file:
            shutil.copyfileobj(content, file)
