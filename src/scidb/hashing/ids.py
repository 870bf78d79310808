"""Every id formula of SciDB, in one place.

Each preimage is a list whose first item names its kind, encoded by `canonical_hash`; so nothing of one
kind can ever equal something of another. Changing a formula invalidates users' files: the golden vectors
in the tests and a breaking line in CHANGELOG are part of such a change.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from scidb.hashing.canonical.cbor import array, head, integer, real, text
from scidb.hashing.canonical.encode import VERSION, canonical_hash, hash_of, preimage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "GENERATED",
    "GENERATED_ID",
    "UNCACHEABLE",
    "Computations",
    "Form",
    "RecordIds",
    "canonical_json",
    "chain_link",
    "code_form",
    "columns_form",
    "computation_form",
    "computation_ids",
    "content_hash",
    "custom_form",
    "distributed",
    "encoded_form",
    "environment_id",
    "ephemeral_id",
    "file_form",
    "generated_id",
    "inputs_hash",
    "is_lineage_alone",
    "line_digest",
    "line_digests",
    "lineage_id",
    "merge_form",
    "new_call_id",
    "new_call_ids",
    "new_run_id",
    "path_form",
    "record_form",
    "record_id",
    "seed_form",
    "uncacheable_id",
    "value_form",
]

Form: TypeAlias = list[Any]
"""How one input enters a lineage_id: a kind, and what identifies the input within that kind."""

UNCACHEABLE: Final = "uncacheable:"
GENERATED: Final = "file"
"""The declared outputs of a function that writes a file and whose value is not kept."""
GENERATED_ID: Final = "generated:"
"""How the id begins that stands for such a file."""

# One encoder for all texts: json.dumps would make a new one at every call.
_to_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
# A record_id is canonical_hash(["record", name, schema version, content, {"schema": ..., "version": ...}]).
_SCHEMA: Final = head(5, 2) + text("schema")
_VERSION_KEYS: Final = text("version")
# Most values that are saved by the thousand, and most keys, are one of these; `preimage` encodes them so, too.
_SCALARS: Final[dict[type, Callable[[Any], bytes]]] = {float: real, int: integer, str: text}
_NOTHING: Final = head(5, 0)
_DIGITS: Final = 64  # of a hash
_VALUE: Final = head(4, 2) + text("value") + head(3, _DIGITS)
_SECOND_DIGITS: Final = 8  # of a call_id: when it was made, and what tells it from others of then
_RANDOM_DIGITS: Final = 24
_MANY: Final = 4  # lines of the log, from which on what they have in common is looked for


def _started(encoded: bytes) -> hashlib._Hash:
    return hashlib.sha256(VERSION.encode() + b"\0" + encoded)


_CONTENT: Final = _started(head(4, 2) + text("content"))
_INPUTS: Final = _started(head(4, 2) + text("inputs"))


def canonical_json(value: object) -> str:
    """Write JSON types in the one form in which SciDB compares and stores them: keys sorted, no blanks.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [True]})
    '{"a":[true],"b":1}'

    """
    return _to_json(value)


def content_hash(value: object) -> str:
    """Identify a value as it is stored (after ``to_db()`` when the class has it)."""
    write = _SCALARS.get(type(value))
    if write is None:
        return canonical_hash(["content", value])
    digest = _CONTENT.copy()
    digest.update(write(value))
    return digest.hexdigest()


def record_id(
    identity_name: str,
    schema_version: int,
    content: str,
    schema: Mapping[str, object],
    version: Mapping[str, object],
) -> str:
    """Identify one value of one variable at one location with one set of version keys."""
    return RecordIds(identity_name, schema_version, version).of(content, schema)


class RecordIds:
    """The ids of records of one variable with the same version keys: what they share is encoded once.

    Examples
    --------
    >>> many = RecordIds("Force", 1, {"gain": 2})
    >>> many.of("c0de", {"subject": 1}) == record_id("Force", 1, "c0de", {"subject": 1}, {"gain": 2})
    True

    """

    def __init__(self, identity_name: str, schema_version: int, version: Mapping[str, object]) -> None:
        self._before = _record_prefix(identity_name, schema_version)
        self._after = _VERSION_KEYS + _named(version)

    def of(self, content: str, schema: Mapping[str, object]) -> str:
        """Return the id of the record of this content at this location."""
        digest = self._before.copy()
        digest.update(b"".join((text(content), _SCHEMA, _named(schema), self._after)))
        return digest.hexdigest()


def _named(values: Mapping[str, object]) -> bytes:
    """Encode a map, whose names in their order are encoded once."""
    if not values:
        return _NOTHING
    before, names = _names(tuple(values))
    parts = [before]
    for name, encoded in names:
        value = values[name]
        write = _SCALARS.get(type(value))
        parts += (encoded, preimage(value) if write is None else write(value))
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _names(given: tuple[str, ...]) -> tuple[bytes, list[tuple[str, bytes]]]:
    return head(5, len(given)), sorted(((name, text(name)) for name in given), key=lambda pair: pair[1])


@lru_cache(maxsize=1024)
def _record_prefix(identity_name: str, schema_version: int) -> hashlib._Hash:
    return hashlib.sha256(
        VERSION.encode() + b"\0" + head(4, 5) + text("record") + text(identity_name) + integer(schema_version)
    )


def distributed(outputs: int | str) -> list[int | str]:
    """Return the declared outputs of a computation whose outputs are split into pieces."""
    return ["distribute", outputs]


def lineage_id(function_hash: str, inputs: Mapping[str, Form], outputs: int | str) -> str:
    """Identify a computation: this code on these inputs, by content, with these outputs declared."""
    return computation_ids(function_hash, inputs, outputs)[0]


def inputs_hash(inputs: Mapping[str, Form]) -> str:
    """Identify the inputs of a computation apart from its code, to look it up under an accepted change."""
    return canonical_hash(["inputs", dict(inputs)])


def computation_ids(function_hash: str, inputs: Mapping[str, Form], outputs: int | str) -> tuple[str, str]:
    """Return `lineage_id` and `inputs_hash` at once, for which the inputs are encoded once."""
    values = tuple((name, form[1]) for name, form in inputs.items() if len(form) == 2 and form[0] == "value")
    if len(values) == len(inputs):
        return _ids_of_values(function_hash, values, outputs)
    return _computation_ids(function_hash, inputs, outputs)


@lru_cache(maxsize=4096, typed=True)
def _ids_of_values(function_hash: str, values: tuple[tuple[str, str], ...], outputs: int | str) -> tuple[str, str]:
    """Return the ids of a computation on plain values; the same one is asked for at every hit."""
    return _computation_ids(function_hash, {name: value_form(content) for name, content in values}, outputs)


def _computation_ids(function_hash: str, inputs: Mapping[str, Form], outputs: int | str) -> tuple[str, str]:
    forms = preimage(dict(inputs))
    computation = array([preimage("computation"), preimage(function_hash), forms, preimage(outputs)])
    return hash_of(computation), hash_of(array([preimage("inputs"), forms]))


def encoded_form(form: Form) -> bytes:
    """Encode a form as it enters a lineage_id; the commonest one without a look at its parts."""
    if len(form) == 2 and form[0] == "value" and isinstance(content := form[1], str) and len(content) == _DIGITS:
        return _VALUE + content.encode()
    return preimage(form)


class Computations:
    """The ids of computations of one code that differ in some inputs: what they share is encoded once.

    Examples
    --------
    >>> many = Computations("c0de", {"k": ["value", "0.2"]}, ["x"], 1)
    >>> one = many.inputs([encoded_form(["value", "3"])])
    >>> inputs = {"k": ["value", "0.2"], "x": ["value", "3"]}
    >>> (many.lineage_id(one), many.inputs_hash(one)) == computation_ids("c0de", inputs, 1)
    True

    """

    def __init__(
        self,
        function_hash: str,
        shared: Mapping[str, Form],
        varying: Sequence[str],
        outputs: int | str | list[int | str],
    ) -> None:
        names = sorted((preimage(name), name) for name in {*shared, *varying})
        order = [varying.index(name) for _, name in names if name in varying]
        between = [head(5, len(names))]
        for encoded, name in names:
            between[-1] += encoded
            if name in varying:
                between.append(b"")
            else:
                between[-1] += preimage(shared[name])
        self._first, self._rest = between[0], list(zip(order, between[1:], strict=True))
        self._before = _started(head(4, 4) + preimage("computation") + preimage(function_hash))
        self._after = preimage(outputs)

    def inputs(self, forms: Sequence[bytes]) -> bytes:
        """Return all inputs as one map, given those that vary, encoded and in the order of their names as given."""
        found = self._first
        for at, between in self._rest:
            found += forms[at] + between
        return found

    def lineage_id(self, inputs: bytes) -> str:
        """Return the id of the computation with these inputs."""
        digest = self._before.copy()
        digest.update(inputs + self._after)
        return digest.hexdigest()

    @staticmethod
    def inputs_hash(inputs: bytes) -> str:
        """Return the identity of these inputs apart from the code."""
        digest = _INPUTS.copy()
        digest.update(inputs)
        return digest.hexdigest()


def uncacheable_id() -> str:
    """Return a new id that never matches anything, for a call whose inputs cannot be hashed."""
    return f"{UNCACHEABLE}{uuid.uuid4().hex}"


def new_call_id() -> str:
    """Return a new id for one execution or recall; calls are events, so it is not content-addressed.

    It begins with the second in which it is made, so that what was stored at about one time has ids of one
    beginning, and whoever looks for one need not look through all.
    """
    return new_call_ids(1)[0]


def new_call_ids(count: int) -> list[str]:
    """Return so many of them, for which the system is asked for random numbers once.

    Examples
    --------
    >>> [len(one) for one in new_call_ids(2)]
    [32, 32]

    """
    second = f"{int(time.time()):0{_SECOND_DIGITS}x}"
    digits = os.urandom(_RANDOM_DIGITS // 2 * count).hex()
    return [second + digits[at : at + _RANDOM_DIGITS] for at in range(0, len(digits), _RANDOM_DIGITS)]


def new_run_id() -> str:
    """Return a new id for one for_each call."""
    return uuid.uuid4().hex


def environment_id(description: str) -> str:
    """Identify an environment by its JSON description."""
    return canonical_hash(["environment", description])


def line_digest(line: Sequence[object]) -> str:
    """Return the digest of a line of the log, which stays in the file where the line is erased."""
    return hashlib.sha256(_to_json(line).encode("utf-8", "surrogatepass")).hexdigest()


def line_digests(lines: Sequence[Sequence[object]]) -> list[str]:
    """Return the digest of each line; what they have in common is written once.

    Examples
    --------
    >>> lines = [[f"{n:064x}", {"subject": str(n), "hand": "left"}, None, n, "{}"] for n in range(4)]
    >>> line_digests(lines) == [line_digest(line) for line in lines]
    True

    """
    if len(lines) < _MANY:
        return [line_digest(line) for line in lines]
    rows = zip(*map(_json_of_each, zip(*lines, strict=True)), strict=True)
    texts = (f"[{','.join(cells)}]".encode("utf-8", "surrogatepass") for cells in rows)
    return [hashlib.sha256(text).hexdigest() for text in texts]


def _json_of_each(cells: Sequence[object]) -> Iterable[str]:
    """Write each cell of a column as canonical JSON."""
    kinds = set(map(type, cells))
    if kinds <= {str, type(None)} and len(set(cells)) == 1:
        return [_to_json(cells[0])] * len(cells)
    if kinds == {dict}:
        maps = cast("Sequence[dict[str, object]]", cells)
        if len(names := set(map(tuple, maps))) == 1 and (ordered := sorted(names.pop())):
            columns = [
                [f"{_to_json(name)}:{text}" for text in _json_of_each([one[name] for one in maps])] for name in ordered
            ]
            return [f"{{{','.join(pairs)}}}" for pairs in zip(*columns, strict=True)]
    return map(repr, cells) if kinds == {int} else map(_to_json, cells)


def chain_link(previous: str, digest: str) -> str:
    """Return the digest that ties a line of the log, given by its own digest, to the one before it.

    So erasing a line and keeping its digest leaves the chain whole.
    """
    return hashlib.sha256(f"{previous}{digest}".encode()).hexdigest()


def value_form(content: str) -> Form:
    """Return the form of a raw value, a constant, a plain variable, or a result that has a value."""
    return ["value", content]


def custom_form(class_id: str, schema_version: int, from_db: str, content: str) -> Form:
    """Return the form of a variable whose class restores it with its own ``from_db``."""
    return ["custom", class_id, schema_version, from_db, content]


def code_form(token: str) -> Form:
    """Return the form of a function or class that is passed as a value: its code, or its name in a library."""
    return ["code", token]


def record_form(record: str) -> Form:
    """Return the form of a variable that is given whole (``unwrap=False``)."""
    return ["record", record]


def columns_form(labels: Sequence[str | int], whole: Form, *, single: bool) -> Form:
    """Return the form of columns of a stored table, by the content of all of it; `single`: one, not as a table."""
    return ["columns", list(labels), single, whole]


def merge_form(parts: Sequence[tuple[str, Form]]) -> Form:
    """Return the form of a table that is put together, given per part the column that it may name, and its form."""
    return ["merge", [[name, form] for name, form in parts]]


def seed_form(seed: int, location: Mapping[str, object], function: str) -> Form:
    """Return the form of a random generator: seed, location and the function's name, from which it is made, too."""
    return ["seed", seed, dict(location), function]


def computation_form(lineage: str, output_num: int) -> Form:
    """Return the form of a result without a value (a generated file, an incomplete call)."""
    return ["computation", lineage, output_num]


def path_form(path: str) -> Form:
    """Return the form of a file that a function writes: its path relative to the root, whatever is in it."""
    return ["path", path]


def generated_id(lineage: str) -> str:
    """Name the file that a computation generated, of which only lineage is stored."""
    return f"{GENERATED_ID}{lineage}"


def ephemeral_id(type_name: str | None, content: str | None) -> str:
    """Name a value that was never saved, and which lineage goes back to all the same."""
    return f"ephemeral:{canonical_hash(['ephemeral', type_name, content])}"


def is_lineage_alone(record_id: str | None) -> bool:
    """Tell whether an id stands for what was never stored: a generated file, or an unsaved value.

    Examples
    --------
    >>> is_lineage_alone(generated_id("0" * 64)), is_lineage_alone("0" * 64)
    (True, False)

    """
    return record_id is not None and record_id.startswith(("generated:", "ephemeral:"))


def file_form(path: str, sha256: str) -> Form:
    """Return the form of a file: its path relative to the root, and the digest of its bytes."""
    return ["file", path, sha256]
