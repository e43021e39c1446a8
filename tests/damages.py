"""Ways to damage the files of a run folder: each is a function of a file's bytes."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mentornet import reading

Damage = Callable[[bytes], bytes]
BIG = "9" * 25  # beyond 64 bits


def with_json(change: Callable[[dict], Any]) -> Damage:
    def damage(content: bytes) -> bytes:
        changed = json.loads(content)
        found = change(changed)
        return json.dumps(changed if found is None else found).encode()

    return damage


def with_cell(row: int, column: int | str, value: str) -> Damage:
    """Replaces a cell of a csv, whose heading is row 0."""

    def damage(content: bytes) -> bytes:
        table = [line.split(",") for line in content.decode().splitlines()]
        table[row][table[0].index(column) if isinstance(column, str) else column] = value
        return "".join(",".join(line) + "\n" for line in table).encode()

    return damage


def with_arrays(**changes: Any) -> Damage:
    def damage(content: bytes) -> bytes:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        for name, change in changes.items():
            if change is None:
                del arrays[name]
            else:
                arrays[name] = np.asarray(change(arrays[name]) if callable(change) else change)
        written = io.BytesIO()
        np.savez_compressed(written, **arrays)
        return written.getvalue()

    return damage


def npy_header(shape: tuple[int, ...], kind: str = "<i4") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def with_member(content_of_given: bytes) -> Damage:
    def damage(content: bytes) -> bytes:
        written = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w") as new:
            for name in old.namelist():
                new.writestr(name, content_of_given if name == "given.npy" else old.read(name))
        return written.getvalue()

    return damage


NESTED: Any = None
for _ in range(100):
    NESTED = [NESTED]

ANY_FILE: dict[str, Damage] = {
    "empty": lambda content: b"",
    "noise": lambda content: bytes(range(256)) * 20,
    "zeros": lambda content: bytes(5000),
    "other": lambda content: b"<html>not found</html>\n",
}
JSON: dict[str, Damage] = {
    "half": lambda content: content[: len(content) // 2],
    "null": lambda content: b"null",
    "list": lambda content: b"[]",
    "deep": lambda content: b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested": with_json(lambda content: content.update(more=NESTED)),
    "nan": lambda content: b'{"a": NaN,' + content.strip()[1:],
    "infinite": lambda content: b'{"a": 1e999,' + content.strip()[1:],
    "digits": lambda content: b'{"a": ' + b"9" * 5000 + b"," + content.strip()[1:],
    "65 bits": lambda content: b'{"a": ' + BIG.encode() + b"," + content.strip()[1:],
    "surrogate": lambda content: b'{"a": "\\ud800",' + content.strip()[1:],
    "nul": lambda content: b'{"a": "\\u0000",' + content.strip()[1:],
    "megabytes": with_json(lambda content: content.update(more="x" * 3_000_000)),
}
TABLE: dict[str, Damage] = {
    "heading only in part": lambda content: content.split(b",", 1)[1],
    "other heading": lambda content: content.replace(content.splitlines()[0], b"a,b,c"),
    "two of a name": lambda content: content.replace(b",", b",step,", 1).replace(b"\n1", b"\n1,1"),
    "longer row": lambda content: content + b"1" * 3 + b",1" * 40 + b"\n",
    "shorter row": lambda content: content + b"301\n",
    "word": with_cell(1, 1, "what"),
    "megabytes": with_cell(1, 1, "1" * 3_000_000),
    "nul": with_cell(1, 1, "\0"),
    "quote": with_cell(1, 1, '"'),
}


MATRIX: dict[str, Damage] = {
    "wrong size": lambda content: b"\n".join(b"0.5,0.5" for _ in range(2)) + b"\n",
    "not square": lambda content: content.split(b"\n", 1)[1],
    "nan": with_cell(0, 0, "nan"),
    "infinite": with_cell(3, 3, "inf"),
    "negative": with_cell(3, 3, "-0.5"),
    "ragged": lambda content: content + b"1,2\n",
    "word": with_cell(3, 3, "what"),
}


def wrong_types(schema: reading.Schema, place: Callable[[dict], dict]) -> Iterator[tuple[str, Damage]]:
    """Every entry of a schema with values of other types."""
    values = {"text": "what", "list": [1], "huge": 1e300}
    fitting: dict[type, set[str]] = {str: {"text"}, float: {"huge"}, list: {"list"}}
    for name, value in schema.items():
        for what, wrong in values.items():
            if what not in fitting.get(value.kind, set()) or (what == "huge" and value.high < 1e300):
                yield f"{name} is {what}", with_json(lambda content, n=name, w=wrong: place(content).update({n: w}))
