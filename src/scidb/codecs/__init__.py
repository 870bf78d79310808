"""Values as Arrow tables and back: the same value, type, dtype, shape, index and labels."""

from __future__ import annotations

from scidb.codecs.array import ArrayCodec
from scidb.codecs.base import Codec, Encoded, Parameters, contents, decode, encode
from scidb.codecs.contents import Compared, Contents, StoredColumn, physical_value
from scidb.codecs.frame import FrameCodec
from scidb.codecs.nested import ListCodec, NestedCodec
from scidb.codecs.scalar import ScalarCodec
from scidb.codecs.structured import MaskedCodec, StructuredCodec

__all__ = [
    "ArrayCodec",
    "Codec",
    "Compared",
    "Contents",
    "Encoded",
    "FrameCodec",
    "ListCodec",
    "MaskedCodec",
    "NestedCodec",
    "Parameters",
    "ScalarCodec",
    "StoredColumn",
    "StructuredCodec",
    "contents",
    "decode",
    "encode",
    "physical_value",
]
