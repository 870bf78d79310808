"""Values as envelopes: each comes back as it was, and what is malformed is refused by an error of ours."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.codecs.test_round_trip import assert_same

from scidb.exceptions import LimitExceededError, NotFoundError, SerializationError, UnsupportedValueError
from scidb.testing import strategies
from scidbnet.serialization import (
    FORMATS,
    decode_response,
    deserialize_data,
    encode_response,
    envelopes_from,
    response_parts,
    serialize_data,
    to_envelope,
    value_of,
)
from scidbnet.wire.chunks import table_bytes
from scidbnet.wire.errors import error_to_json
from scidbnet.wire.framing import end, envelope_from, envelope_to, part


def sent(header: Any, body: bytes = b"") -> bytes:
    return b"".join(envelope_to(header, body))


def arrow(**columns: Any) -> bytes:
    return bytes(table_bytes(pa.table(columns)))


def header_of(value: object) -> dict[str, Any]:
    return dict(envelope_from(serialize_data(value)).header)


# ------------------------------------------------------------------ round trips


@given(strategies.values())
def test_every_value_comes_back(value: Any) -> None:
    """Whatever can be stored comes back with its type, dtype, shape and labels (V1-V10)."""
    assert_same(value, deserialize_data(serialize_data(value)))


@given(st.lists(strategies.values(), max_size=4), st.integers(1, 5))
def test_a_stream_of_values_comes_back(values: list[Any], part_bytes: int) -> None:
    """Several values come back in their order, also where each goes on in many parts and bytes come one by one."""
    stream = b"".join(piece for pieces in response_parts(map(to_envelope, values), part_bytes * 64) for piece in pieces)
    split = [stream[at : at + 997] for at in range(0, len(stream), 997)]

    back = [value_of(one) for one in envelopes_from(split)]

    assert len(back) == len(values)
    for value, other in zip(values, back, strict=True):
        assert_same(value, other)


def test_arrow_tables_and_other_libraries_come_back() -> None:
    """What needs another library travels like any other value."""
    table = pa.table({"x": [1, None, 3]})

    assert deserialize_data(serialize_data(table)).equals(table)


@pytest.mark.parametrize(
    ("value", "header"),
    [
        (None, {"format": "none"}),
        (True, {"format": "json_scalar", "python_type": "bool"}),
        (3, {"format": "json_scalar", "python_type": "int"}),
        (0.5, {"format": "json_scalar", "python_type": "float"}),
        ("ü", {"format": "json_scalar", "python_type": "str"}),
        ({"a": [1, None, "x"]}, {"format": "json_value"}),
        ([1, 2], {"format": "json_value"}),
        (np.zeros(3), {"format": "numpy", "dtype": "float64", "shape": [3]}),
        (np.zeros((2, 3), "int16"), {"format": "numpy", "dtype": "int16", "shape": [2, 3]}),
        (np.array(True), {"format": "numpy", "dtype": "bool", "shape": []}),
        (pd.DataFrame({"t": [0.0, 0.5], "side": ["L", "R"]}), {"format": "dataframe"}),
    ],
)
def test_common_values_have_the_formats_of_the_plan(value: Any, header: dict[str, Any]) -> None:
    """Numbers, texts, JSON, arrays and plain tables need nothing of SciDB to be read."""
    assert header_of(value) == header


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        "\ud800",
        (1, 2),
        {"a": float("nan")},
        {1: "a"},
        np.float32(1.5),
        np.array(["a"]),
        np.ma.masked_array([1.0, 2.0], [True, False]),
        pd.DataFrame({"x": [1, 2]}, index=["a", "b"]),
        pd.DataFrame({"x": [1, 2]}).rename_axis(columns="name"),
        pd.DataFrame({"x": pd.Categorical(["a", "b"])}),
        pd.DataFrame({1: [1]}),
        pd.DataFrame({"x": [1]}, index=pd.RangeIndex(1, 2)),
        pd.Series([1, 2]),
    ],
    ids=repr,
)
def test_what_json_and_plain_arrow_would_change_goes_as_it_is_stored(value: Any) -> None:
    """No value loses anything by a format that is only nearly exact; its encoding goes with it instead."""
    header = header_of(value)

    assert (header["format"], sorted(header)) == ("arrow", ["encoding", "format"])
    assert_same(value, deserialize_data(serialize_data(value)))


def test_an_envelope_is_what_the_plan_says_to_the_byte() -> None:
    """Four bytes with the length of the header, big-endian; the header; the body."""
    data = serialize_data(71)
    length = int.from_bytes(data[:4], "big")

    assert json.loads(data[4 : 4 + length]) == {"format": "json_scalar", "python_type": "int"}
    assert data[4 + length :] == b"71"


def test_arrow_bodies_are_plain_streams() -> None:
    """Any Arrow library reads arrays and tables."""
    frame = pd.DataFrame({"t": [0.0, 0.5], "n": [1, 2]})
    envelope = to_envelope(frame)

    assert pa.ipc.open_stream(envelope.body).read_all().to_pydict() == {"t": [0.0, 0.5], "n": [1, 2]}


def test_what_is_said_about_a_value_stands_in_its_header() -> None:
    """A header may have more than the format, and is read all the same."""
    envelope = to_envelope(1.5, {"record": {"record_id": "ab"}})

    assert envelope.header["record"] == {"record_id": "ab"}
    assert value_of(envelope) == 1.5


def test_numbers_of_other_languages_are_taken() -> None:
    """JavaScript writes 2.0 as 2, and JSON has no infinities."""
    header = {"format": "json_scalar", "python_type": "float"}
    values = [deserialize_data(sent(header, text)) for text in (b"2", b'"-inf"')]

    assert repr(values) == "[2.0, -inf]"


def test_tables_of_other_programs_are_taken() -> None:
    """A column of whole numbers with gaps stays one; what a program notes beside the columns is not looked at."""
    table = pa.table({"n": pa.array([1, None]), "s": ["a", None]}).replace_schema_metadata({"pandas": "no JSON"})

    frame = deserialize_data(sent({"format": "dataframe"}, bytes(table_bytes(table))))

    assert frame["n"].tolist() == [1, pd.NA]
    assert list(frame.columns) == ["n", "s"]


# ------------------------------------------------------------------ what is malformed


NUMPY = {"format": "numpy", "dtype": "float64", "shape": [2]}
MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "no length": b"\0\0",
    "a header that is cut": b"\0\0\0\x20{}",
    "a header that is no JSON": sent({})[:4] + b"{]",
    "a header that is no object": b"\0\0\0\x02[]",
    "no format": sent({}),
    "an unknown format": sent({"format": "pickle"}),
    "a format that is no text": sent({"format": ["none"]}),
    "none with a body": sent({"format": "none"}, b"1"),
    "a scalar without type": sent({"format": "json_scalar"}, b"1"),
    "a scalar of a type that is none": sent({"format": "json_scalar", "python_type": "object"}, b"1"),
    "a type that is no text": sent({"format": "json_scalar", "python_type": ["int"]}, b"1"),
    "a scalar of another type": sent({"format": "json_scalar", "python_type": "int"}, b"1.5"),
    "true for a number": sent({"format": "json_scalar", "python_type": "float"}, b"true"),
    "a text for a number": sent({"format": "json_scalar", "python_type": "float"}, b'"1.5"'),
    "a scalar that is no JSON": sent({"format": "json_scalar", "python_type": "float"}, b"NaN"),
    "a scalar that is no UTF-8": sent({"format": "json_scalar", "python_type": "str"}, b'"\xff"'),
    "a number too long to read": sent({"format": "json_scalar", "python_type": "int"}, b"1" * 5000),
    "JSON too deep to read": sent({"format": "json_value"}, b"[" * 100_000),
    "a value that is a scalar": sent({"format": "json_value"}, b"1"),
    "an array without dtype": sent({"format": "numpy", "shape": [2]}, arrow(value=[1.0, 2.0])),
    "an array of objects": sent({**NUMPY, "dtype": "object"}, arrow(value=[1.0, 2.0])),
    "a dtype of another name": sent({**NUMPY, "dtype": "<f8"}, arrow(value=[1.0, 2.0])),
    "an array without shape": sent({"format": "numpy", "dtype": "float64"}, arrow(value=[1.0, 2.0])),
    "a shape with a negative length": sent({**NUMPY, "shape": [-1]}, arrow(value=[1.0, 2.0])),
    "a shape with a fraction": sent({**NUMPY, "shape": [2.0]}, arrow(value=[1.0, 2.0])),
    "a shape that is true": sent({**NUMPY, "shape": [True, 2]}, arrow(value=[1.0, 2.0])),
    "a shape of other size": sent({**NUMPY, "shape": [3]}, arrow(value=[1.0, 2.0])),
    "a shape with too many axes": sent({**NUMPY, "shape": [1] * 100 + [2]}, arrow(value=[1.0, 2.0])),
    "a shape beyond all memory": sent({**NUMPY, "shape": [2**62, 2**62, 0]}, arrow(value=pa.array([], "float64"))),
    "an array of another type": sent(NUMPY, arrow(value=[1, 2])),
    "an array with gaps": sent(NUMPY, arrow(value=[1.0, None])),
    "an array of two columns": sent(NUMPY, arrow(a=[1.0, 2.0], b=[1.0, 2.0])),
    "an array that is no Arrow": sent(NUMPY, b"\0" * 16),
    "a table that is no Arrow": sent({"format": "dataframe"}, b"PK\x03\x04"),
    "a table that is cut": sent({"format": "dataframe"}, arrow(x=[1.0])[:-120]),
    "a value without encoding": sent({"format": "arrow"}, arrow(value=[1.0])),
    "an encoding that is none": sent({"format": "arrow", "encoding": "scalar"}, arrow(value=[1.0])),
    "an encoding that does not fit": sent({"format": "arrow", "encoding": '{"codec":"frame"}'}, arrow(value=[1.0])),
    "an unknown codec": sent({"format": "arrow", "encoding": '{"codec":"pickle"}'}, arrow(value=[1.0])),
    "two rows": sent({"format": "arrow", "encoding": '{"codec":"scalar","type":"float"}'}, arrow(value=[1.0, 2.0])),
    "no row": sent({"format": "arrow", "encoding": '{"codec":"scalar","type":"float"}'}, arrow(value=[])),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_envelope_is_refused(data: bytes) -> None:
    """Each is a SerializationError that says what was expected (N5)."""
    with pytest.raises(SerializationError):
        deserialize_data(data)


def test_an_unknown_codec_has_a_code_of_its_own() -> None:
    """The owner of a server installs the codec, so a client has to be able to tell."""
    with pytest.raises(SerializationError) as caught:
        deserialize_data(MALFORMED["an unknown codec"])

    assert caught.value.code == "unknown_encoding"


@given(st.binary(max_size=200) | st.sampled_from(list(FORMATS)).flatmap(lambda name: st.builds(
    lambda more, body: sent({"format": name, **more}, body),
    st.dictionaries(st.sampled_from(["dtype", "shape", "encoding", "python_type"]), st.integers() | st.text()),
    st.binary(max_size=200),
)))  # fmt: skip
def test_garbage_is_refused_or_read(data: bytes) -> None:
    """Whatever comes gives a value or an error of ours."""
    with suppress(SerializationError, LimitExceededError):
        deserialize_data(data)


@given(strategies.values(), st.data())
def test_damaged_envelopes_are_refused_or_read(value: Any, data: st.DataObject) -> None:
    """A byte that changed, or an end that is missing, gives a value or an error of ours."""
    whole = bytearray(serialize_data(value))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    for damaged in (whole, whole[:position]):
        with suppress(SerializationError, LimitExceededError):
            deserialize_data(damaged)


def test_too_long_a_header_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header is held in memory as JSON, so its length has a limit."""
    long = sent({"format": "none", "note": "x" * 2**20})
    monkeypatch.setattr(envelope_from, "__defaults__", (2**20,))

    with pytest.raises(LimitExceededError):
        deserialize_data(long)


def test_values_that_cannot_be_stored_are_refused() -> None:
    """What has no codec is refused before anything is sent, by the path inside the value."""
    with pytest.raises(UnsupportedValueError) as caught:
        serialize_data({"a": [object()]})

    assert caught.value.path == '["a"][0]'


# ------------------------------------------------------------------ streams


def joined(*parts: list[Any]) -> bytes:
    return b"".join(piece for pieces in parts for piece in pieces)


STREAMS: dict[str, bytes] = {
    "nothing": b"",
    "no end": joined(part({"format": "none"})),
    "another count": joined(part({"format": "none"}), end(2)),
    "cut": encode_response([serialize_data(1)])[:-3],
    "more after the end": encode_response([]) + b"\0",
    "a part of another kind": joined(part({"kind": "chunk"}), end(1)),
    "a value that does not go on": joined(part({"format": "none", "continued": True}), end(1)),
    "a value that goes on as another": joined(
        part({"format": "none", "continued": True}), part({"format": "none"}), end(2)
    ),
    "a value of another length": joined(
        part({"format": "none", "continued": True, "nbytes": 3}), part({"kind": "more"}, b"ab"), end(2)
    ),
}


@pytest.mark.parametrize("data", STREAMS.values(), ids=STREAMS)
def test_a_malformed_stream_is_refused(data: bytes) -> None:
    """A stream that was cut, or put together wrongly, is noticed."""
    with pytest.raises(SerializationError):
        decode_response(data)


def test_a_part_that_is_too_long_is_refused() -> None:
    """Five GiB that somebody claims are not waited for (N5)."""
    with pytest.raises(LimitExceededError):
        decode_response(b"\xff\xff\xff\xff")


def test_a_stream_says_why_it_ends_early() -> None:
    """What went wrong after the first values were sent is raised as what it is."""
    error = error_to_json(NotFoundError("gone", variable="X"))

    with pytest.raises(NotFoundError, match="gone"):
        decode_response(joined(part({"format": "none"}), part({"kind": "error", "error": error})))


def test_only_values_are_sent_as_values() -> None:
    """An envelope that would end a stream is none of a value."""
    with pytest.raises(SerializationError):
        encode_response([sent({"kind": "end", "count": 0})])


def test_a_stream_can_be_read_by_hand() -> None:
    """A part is a length and an envelope, without anything of SciDB; the last one says how many came before."""
    stream = encode_response([serialize_data(71), serialize_data("a")])
    found = []
    while stream:
        length, header = (int.from_bytes(stream[at : at + 4], "big") for at in (0, 4))
        found.append((json.loads(stream[8 : 8 + header]), stream[8 + header : 4 + length]))
        stream = stream[4 + length :]

    assert found == [
        ({"format": "json_scalar", "python_type": "int"}, b"71"),
        ({"format": "json_scalar", "python_type": "str"}, b'"a"'),
        ({"kind": "end", "count": 2}, b""),
    ]


def test_a_stream_gives_the_envelopes_that_were_put_in() -> None:
    """What decode_response gives is what encode_response was given."""
    envelopes = [serialize_data(value) for value in (71, np.zeros(3), None)]

    assert decode_response(encode_response(envelopes)) == envelopes
