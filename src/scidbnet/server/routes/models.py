"""What the routes for people with curl read and answer, described so that it is checked and documented at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from scidb.exceptions import SerializationError
from scidbnet.wire.plain import from_text

if TYPE_CHECKING:
    from scidbnet.wire.framing import Bytes

__all__ = [
    "Ask",
    "Closed",
    "Computed",
    "Constant",
    "Export",
    "FindByLineage",
    "HasLineage",
    "HasLineageAnswer",
    "Lineage",
    "ListVersions",
    "Load",
    "LoadAll",
    "Model",
    "PipelineStructure",
    "Provenance",
    "ProvenanceAnswer",
    "ProvenanceBySchema",
    "ProvenanceBySchemaAnswer",
    "RecordAnswer",
    "RecordInput",
    "Register",
    "Save",
    "SaveEphemeral",
    "SaveEphemeralValue",
    "SaveValue",
    "Saved",
    "SavedLineage",
    "Type",
    "Version",
    "Versions",
    "read",
    "schema_of",
]

M = TypeVar("M", bound="Model")

_DEEPEST: Final = 50
_INT: Final = 2**31 - 1


def _not_too_deep(value: Any) -> Any:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return value
    raise ValueError(f"it has more than {_DEEPEST} levels")


Json = Annotated[Any, AfterValidator(_not_too_deep)]
Name = Annotated[str, Field(min_length=1, max_length=1000)]
Keys = Annotated[dict[str, Json], Field(examples=[{"subject": 1, "session": "pre"}])]


class Model(BaseModel):
    """What is sent as a JSON object, without anything that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def read(text: Bytes, model: type[M], where: str = "The body") -> M:
    """Return what a text says.

    Raises
    ------
    SerializationError
        With the code ``invalid_request``, and in `problems` what is wrong where.

    """
    data = from_text(memoryview(text), where)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'all of it'}: {one['msg']}" for one in error.errors()]
        raise SerializationError(
            f"{where} is not what this route takes: {'; '.join(problems[:5])}{'; ...' if len(problems) > 5 else ''}.",
            code="invalid_request",
            problems=problems[:20],
        ) from error


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model, with those of its parts in their places."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def placed(node: Any) -> Any:
        if isinstance(node, list):
            return [placed(one) for one in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str):
            return placed(parts[reference.rpartition("/")[2]])
        return {name: placed(one) for name, one in node.items()}

    found: dict[str, Any] = placed(schema)
    return found


# ------------------------------------------------------------------ where a result came from


class RecordInput(Model):
    """An input that is a record of the database, or (in ephemeral mode) a value that was never saved."""

    name: Name
    record_id: Annotated[Name, Field(description="The id of a record, or one that save_ephemeral_lineage answered.")]
    variable: str | None = Field(
        default=None, description="Of a value that was never saved: the variable it was to be."
    )
    content_hash: str | None = Field(
        default=None, description="Of a value that was never saved: its hash, as answered."
    )


class Constant(Model):
    """An input that is a value of its own."""

    name: Name
    value: Json


class Computed(Model):
    """A computation: what identifies it."""

    function_hash: Annotated[
        str,
        Field(min_length=8, max_length=200, description="What identifies the code, such as a SHA-256 of its text."),
    ]
    inputs: list[RecordInput | Constant] = []
    outputs: int = Field(default=1, ge=1, le=1000, description="How many values the function returns.")


class Lineage(Computed):
    """A computation that ran, and which of its outputs a value is."""

    function_name: Name
    output_num: int = Field(default=0, ge=0, le=999)
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="How long it took.")


# ------------------------------------------------------------------ requests


class Register(Model):
    """A variable type."""

    name: Name
    schema_version: int = Field(default=1, ge=1, le=_INT)
    description: str = ""
    units: str | dict[str, str] | None = None
    display: dict[str, Json] = {}


class _Place(Model):
    variable: Name
    metadata: Keys = Field(default={}, description="Schema keys and version keys.")
    params: dict[str, Json] | None = Field(default=None, description="Version keys, named as such.")


class Save(_Place):
    """Where a value belongs, and where it came from; the value follows as an envelope."""

    lineage: Lineage | None = None
    custom_storage: bool = Field(default=False, description="Whether the value is what a Python class's to_db() makes.")


class SaveValue(Save):
    """The same with the value itself, where JSON says all of it."""

    value: Json


class SaveEphemeral(Model):
    """Where a value came from that is not stored; the value follows as an envelope, for its hash."""

    variable: Name
    lineage: Lineage


class SaveEphemeralValue(SaveEphemeral):
    """The same with the value itself, where JSON says all of it."""

    value: Json


class Ask(_Place):
    """What is asked for: a key that is not given matches anything, a list of values of a schema key any of them."""

    as_of: str | None = Field(
        default=None, description="A moment (UTC), or the name of a tag: as the database was then."
    )


class _Filtered(Ask):
    where: dict[str, Any] | None = Field(default=None, description="A filter as JSON.")
    exclude: bool | list[str] = Field(default=False, description="Flags to leave out by their reasons; true: any.")


class Load(_Filtered):
    """The one value that is wanted."""

    version: str = Field(
        default="latest", min_length=1, description="The newest, or a record_id or the beginning of one."
    )


class LoadAll(_Filtered):
    """All values that are wanted."""

    version_id: Literal["latest", "all"] = "latest"


class Export(_Filtered):
    """The values that a CSV file is to have."""


class ListVersions(Ask):
    """Whose lines of the log are wanted."""


class Provenance(Model):
    """The record whose origin is wanted: a variable beside keys, or an id."""

    variable: Name | None = None
    record_id: Name | None = Field(
        default=None, description="An id, or the beginning of one, instead of variable and keys."
    )
    metadata: Keys = {}
    params: dict[str, Json] | None = None
    version: Name | None = None
    as_of: str | None = None


class ProvenanceBySchema(Model):
    """The place whose values' origins are wanted."""

    metadata: Keys = {}
    params: dict[str, Json] | None = None
    as_of: str | None = None


class HasLineage(Model):
    """A record."""

    record_id: Name


class FindByLineage(Model):
    """A computation: by its lineage_id, as a save answered it, or by what identifies it."""

    lineage_id: Name | None = None
    lineage: Computed | None = None


# ------------------------------------------------------------------ answers


class Type(BaseModel):
    """A variable type as the database has it."""

    name: str
    schema_version: int
    description: str
    units: str | dict[str, str] | None
    display: dict[str, Any]
    records: int


class Saved(BaseModel):
    """A value that was saved."""

    record_id: str
    vhash: str
    content_hash: str
    timestamp: str
    lineage_id: str | None
    call_id: str | None


class SavedLineage(BaseModel):
    """The lineage of a value that was not saved."""

    record_id: str
    content_hash: str
    lineage_id: str
    call_id: str


class RecordAnswer(BaseModel):
    """What a record is, as it stands in the header of its value."""

    record_id: str
    vhash: str
    variable: str
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    version_keys: dict[str, Any]
    content_hash: str
    schema_version: int
    lineage_id: str | None
    timestamp: str
    user_id: str | None
    custom_storage: bool


class Version(BaseModel):
    """One line of the log."""

    record_id: str
    vhash: str
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    version_keys: dict[str, Any]
    version: dict[str, Any]
    timestamp: str
    user_id: str | None


class Versions(BaseModel):
    """Lines of the log, newest first."""

    versions: list[Version]


class ProvenanceAnswer(BaseModel):
    """What made a record; null when it was saved by hand."""

    provenance: dict[str, Any] | None


class ProvenanceBySchemaAnswer(BaseModel):
    """What made the values at a place, those saved by hand left out."""

    provenance: list[dict[str, Any]]


class PipelineStructure(BaseModel):
    """The arrows between variables: source, target, function_name, function_hash, timestamp."""

    structure: list[dict[str, str]]


class HasLineageAnswer(BaseModel):
    """Whether a computation made a record."""

    has_lineage: bool


class Closed(BaseModel):
    """The connection ends with this answer."""

    closed: bool
