"""Random changes of files: of their bytes, and of the values in them where bytes would not pass."""

import gzip
import io
import json
import math
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

Mutate = Callable[[bytes, Random], bytes]

WORDS = (
    *(b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\n", b"\r", b'"', b",", b";", b"-", b"'", b"{", b"["),
    *(b"0", b"-1", b"1e999", b"nan", b"inf", b"9" * 20, b"9" * 400, b"0x" + b"f" * 5000),
    *(b"[" * 2000, b"(" * 200, b"1979-05-27", b"true", b"None", "\u0661\u00e9\U0001f600".encode()),
    *(b"|O", b"<f8", b">i4", b"<U0", b"<c16", b"<M8[D]", b"<f2", b"<f16", b"|V8", b"True", b"()"),
)
NUMBERS = (0, 1, -1, 2, 255, 2**31, 2**32, 2**53, 2**63, -(2**63), 2**64, 10**30)
VALUES: tuple[Any, ...] = (
    *(None, True, False, "", "1", "relu", "\0", "\ud800", 0.5, -0.0, 1e308, math.nan, math.inf),
    *([], {}, [[]], [1], ["a"], {"a": 1}, *NUMBERS, 10**400),
)


def of_bytes(data: bytes, rng: Random) -> bytes:
    """Change a few bytes, cut or repeat a piece, or put a word in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        start = rng.randrange(len(changed) + 1)
        end = min(len(changed), start + rng.choice((1, 1, 2, 4, 8, 64)))
        match rng.randrange(7):
            case 0:
                changed[start:end] = rng.randbytes(end - start)
            case 1 if start < len(changed):
                changed[start] ^= 1 << rng.randrange(8)
            case 2:
                del changed[start:end]
            case 3:
                changed[start:start] = changed[start:end] * rng.choice((1, 2, 8))
            case 4:
                word = rng.choice(WORDS)
                changed[start : start + len(word) * rng.randrange(2)] = word
            case 5:
                number = rng.choice(NUMBERS) % 2**64
                size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
                changed[start : start + size] = (number % 256**size).to_bytes(size, order)
            case 6:
                del changed[start:]
    return bytes(changed)


def of_text(data: bytes, rng: Random) -> bytes:
    """Put another word or number in the place of one, else change bytes."""
    if rng.random() < 0.4:
        return of_bytes(data, rng)
    words = [found.span() for found in re.finditer(rb"[\w.+-]+", data)]
    if not words:
        return of_bytes(data, rng)
    start, end = rng.choice(words)
    other = rng.choice(words)
    new = rng.choice((rng.choice(WORDS), str(rng.choice(NUMBERS)).encode(), data[slice(*other)]))
    return data[:start] + new + data[end:]


def of_json(data: bytes, rng: Random) -> bytes:
    """Change values of a JSON document, else its bytes."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return of_bytes(data, rng)
    if rng.random() < 0.2:
        return of_bytes(data, rng)
    return _json(_changed(document, rng))


def of_gzip(data: bytes, rng: Random) -> bytes:
    """Change what is packed, or the packed bytes, or put something behind."""
    if rng.random() < 0.2:
        return of_bytes(data, rng)
    try:
        content = gzip.decompress(data)
    except Exception:
        return of_bytes(data, rng)
    if rng.random() < 0.1:
        return data + rng.choice((b"", b"\0" * 8, b"rest", data))
    return gzip.compress(of_bytes(content, rng), 1, mtime=0)


def of_archive(data: bytes, rng: Random) -> bytes:
    """Change members of a zip archive, their names and sizes, or its bytes."""
    if rng.random() < 0.2:
        return of_bytes(data, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:
        return of_bytes(data, rng)
    if not members:
        return data
    place = rng.randrange(len(members))
    name, content = members[place]
    match rng.randrange(8):
        case 0:
            members.append((rng.choice([other for other, _ in members]), content))
        case 1:
            members[place] = (rng.choice(("X.npy", "../x.npy", "x", "\u00e9.npy", "")), content)
        case 2:
            del members[place]
        case _:
            members[place] = (name, of_array(content, rng))
    packed = _archive(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    return _with_other_sizes(packed, rng) if rng.random() < 0.1 else packed


def of_array(data: bytes, rng: Random) -> bytes:
    """Change the header of an array in NumPy's format so that it stays one, or its bytes."""
    if rng.random() < 0.4 or len(data) < 10:
        return of_bytes(data, rng)
    (length,) = struct.unpack("<H", data[8:10])
    header = of_text(data[10 : 10 + length].rstrip(), rng)[:60_000]
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return data[:8] + struct.pack("<H", len(header)) + header + data[10 + length :]


def of_tensors(data: bytes, rng: Random) -> bytes:
    """Change the table or the metadata of a safetensors file, or its bytes."""
    if rng.random() < 0.2 or len(data) < 8:
        return of_bytes(data, rng)
    (length,) = struct.unpack("<Q", data[:8])
    try:
        table = json.loads(data[8 : 8 + length])
        about = json.loads(table["__metadata__"]["xpmlp"])
    except Exception:
        return of_bytes(data, rng)
    content = data[8 + length :]
    match rng.randrange(6):
        case 0:
            table = _changed(table, rng)
        case 1:
            content = of_bytes(content, rng)[: len(content)].ljust(len(content), b"\0")
        case 2:
            names = [name for name in table if name != "__metadata__"]
            one, other = rng.choice(names), rng.choice(names)
            table[one], table[other] = table[other], table[one]
        case _:
            table["__metadata__"]["xpmlp"] = _json(_changed(about, rng)).decode()
    header = _json(table)
    return struct.pack("<Q", len(header)) + header + content


def _changed(value: Any, rng: Random) -> Any:
    """Return a JSON value in which something is another one."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        match rng.randrange(8):
            case 0:
                return {key: item for key, item in value.items() if key != name}
            case 1:
                return value | {rng.choice(("", "self", "other", name + "x")): value[name]}
            case _:
                return value | {name: _changed(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        match rng.randrange(4):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return [*value, value[place]]
            case _:
                return [*value[:place], _changed(value[place], rng), *value[place + 1 :]]
    return rng.choice(VALUES)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _archive(members: list[tuple[str, bytes]], method: int) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compresslevel=1) as archive:
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in members:
            about = zipfile.ZipInfo(name)
            about.compress_type = method
            archive.writestr(about, content)
    return file.getvalue()


def _with_other_sizes(data: bytes, rng: Random) -> bytes:
    """Return an archive whose directory says other sizes of its members."""
    changed = bytearray(data)
    for found in re.finditer(rb"PK\x01\x02", data):
        place = found.start() + rng.choice((20, 24))
        changed[place : place + 4] = struct.pack("<I", rng.choice(NUMBERS) % 2**32)
    return bytes(changed)
