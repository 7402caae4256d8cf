"""Files that are damaged or crafted: bytes are flipped, cut and spliced; entries are edited.

An archive that was edited is written anew with valid checksums, so that what reads it gets as far
as to the values.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import math
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 3, 7, 255, 2**31, 2**63, 2**70, -(2**63), 0.5, 1e308, -1e-300,
    math.nan, math.inf, "", "a", "W1", "_rule", "__class__", "__dict__", "lr", "float16", "relu",
    "network", "\0", "é" * 3, [], {}, [0], [[]], {"a": 1}, [1, 2, 3], "x" * 10_000, [10_000_000],
)  # fmt: skip


_SHAPES = (
    "()", "(0,)", "(1,)", "(8,)", "(8, 5)", "(100000000000,)", "(-1,)", "(3000000000, 2)",
    "(1 << 20,)", "((1,),)", "1", "(2000000, 1000)",
)  # fmt: skip
_DTYPES = (
    "<f8", "<f4", ">f4", "<i8", "|u1", "|b1", "<f2", "<c8", "|O", "<U8", "|S4", "<M8[s]", "|V4",
    "bad",
)  # fmt: skip


def damaged(content: bytes, random_: random.Random) -> bytes:
    """Return bytes after one to three changes without regard to what they mean."""
    data = bytearray(content)
    for _ in range(random_.randint(1, 3)):
        if not data:
            break
        i, j = (random_.randrange(len(data)) for _ in range(2))
        way = random_.randrange(6)
        if way == 0:
            data[i] ^= 1 << random_.randrange(8)
        elif way == 1:
            data[i] = random_.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif way == 2:
            del data[i:]
        elif way == 3:
            length = random_.randint(1, 64)
            data[j : j + length] = data[i : i + length]
        elif way == 4:
            data[i:i] = random_.randbytes(random_.randint(1, 64))
        else:
            del data[i : i + random_.randint(1, 64)]
    return bytes(data)


def edited(value: Any, random_: random.Random) -> Any:
    """Return a tree of dicts and lists with one place in it changed."""
    if isinstance(value, dict) and value and random_.random() < 0.9:
        key, result = random_.choice([*value]), dict(value)
        way = random_.random()
        if way < 0.1:
            del result[key]
        elif way < 0.15:
            result[random_.choice([v for v in VALUES if isinstance(v, str)])] = result[key]
        elif way < 0.2:
            result[f"{key}_"] = result.pop(key)
        else:
            result[key] = edited(result[key], random_)
        return result
    if isinstance(value, list) and value and random_.random() < 0.8:
        i, result = random_.randrange(len(value)), list(value)
        way = random_.random()
        if way < 0.1:
            del result[i]
        elif way < 0.2:
            result.insert(i, result[i])
        else:
            result[i] = edited(result[i], random_)
        return result
    return random_.choice(VALUES)


def archive(content: bytes, random_: random.Random) -> bytes:
    """Return an npz file with one to three of its entries changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entries = [(name, file.read(name)) for name in file.namelist()]
    for _ in range(random_.randint(1, 3)):
        i = random_.randrange(len(entries))
        if random_.random() < 0.5:
            i = next((k for k, each in enumerate(entries) if each[0] == "facts.npy"), i)
        name, data = entries[i]
        way = random_.random()
        if way < 0.05:
            entries.append(entries[i])
        elif way < 0.15 and len(entries) > 1:
            del entries[i]
        elif way < 0.2:
            entries[i] = random_.choice((entries[random_.randrange(len(entries))][0], "a")), data
        elif way < 0.25:
            entries[i] = name, entries[random_.randrange(len(entries))][1]
        elif name == "facts.npy" and way < 0.9:
            entries[i] = name, _facts(data, random_)
        elif way < 0.7:
            entries[i] = name, _header(data, random_)
        else:
            entries[i] = name, damaged(data, random_)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", random_.choice((0, 8))) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of two entries of a name
        for name, data in entries:
            file.writestr(zipfile.ZipInfo(name), data)
    return made.getvalue()


def _facts(data: bytes, random_: random.Random) -> bytes:
    import numpy as np

    try:
        facts = json.loads(str(np.load(io.BytesIO(data), allow_pickle=False)))
    except Exception:  # edited before: NumPy raises errors of many kinds for a header
        return data
    for _ in range(random_.randint(1, 2)):
        facts = edited(facts, random_)
    made = io.BytesIO()
    np.save(made, np.array(json.dumps(facts)))
    return made.getvalue()


def _header(data: bytes, random_: random.Random) -> bytes:
    """Change what an array's header says of its dtype, order and shape, not its content."""
    if data[:6] != b"\x93NUMPY" or len(data) < 10:
        return data
    (length,) = struct.unpack("<H", data[8:10])
    header = data[10 : 10 + length].decode("latin1").strip()
    shape, descr = random_.choice(_SHAPES), random_.choice(_DTYPES)
    way = random_.randrange(3)
    if way == 0:
        header = f"{header.partition('(')[0]}{shape}, }}"
    elif way == 1:
        header = f"{{'descr': '{descr}', {header.partition(',')[2].strip()}"
    else:
        header = header.replace("False", "True")
    text = header.encode("latin1")
    text += b" " * (-(11 + len(text)) % 64) + b"\n"
    return data[:8] + struct.pack("<H", len(text)) + text + data[10 + length :]


def idx(content: bytes, random_: random.Random) -> bytes:
    """Return an IDX file with another header, or packed, or of far more bytes than it seems."""
    data = bytearray(content)
    way = random_.randrange(5)
    if way == 0:
        data[random_.randrange(4)] = random_.choice((0, 1, 8, 9, 11, 12, 13, 14, 255))
    elif way == 1:
        at = 4 + 4 * random_.randrange(3)
        data[at : at + 4] = struct.pack(
            ">I", random_.choice((0, 1, 7, 255, 2**16, 2**31, 2**32 - 1))
        )
    elif way == 2:
        data[3] = random_.randrange(256)
    elif way == 3:
        return _bomb()
    return gzip.compress(bytes(data), 1) if random_.random() < 0.5 else bytes(data)


@functools.cache
def _bomb() -> bytes:
    """Return gzip that unpacks to 384 MB, more than there is, after a header that asks for more."""
    header = b"\0\0\x08\x03" + struct.pack(">III", 385, 1024, 1024)
    return gzip.compress(header) + 24 * gzip.compress(bytes(1 << 24))


def lines(content: bytes, random_: random.Random) -> bytes:
    """Return a file of lines, of JSON or of comma-separated values, with some changed."""
    found = content.decode().splitlines()
    for _ in range(random_.randint(1, 2)):
        i = random_.randrange(len(found))
        way = random_.randrange(5)
        if way == 0 and len(found) > 1:
            del found[i]
        elif way == 1:
            found.insert(i, found[random_.randrange(len(found))])
        elif way == 2:
            found[i] = found[i][: random_.randrange(len(found[i]) + 1)]
        elif found[i].startswith("{"):
            try:
                found[i] = json.dumps(edited(json.loads(found[i]), random_))
            except ValueError:
                continue
        else:
            cells = found[i].split(",")
            cells[random_.randrange(len(cells))] = str(random_.choice(VALUES))[:50]
            found[i] = ",".join(cells)
    return ("\n".join(found) + "\n" * (random_.random() < 0.8)).encode()


Mutation = Callable[[bytes, random.Random], bytes]
