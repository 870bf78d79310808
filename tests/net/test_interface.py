"""Whatever is asked of the interface, valid or not: no server error, and every answer is as it is described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.net.serving import serve

from scidb.store.model import SchemaKey
from scidbnet.server.routes import aliases
from scidbnet.server.routes.openapi import OPERATIONS
from scidbnet.wire.framing import PARTS_TYPE, end
from scidbnet.wire.plain import to_text
from scidbnet.wire.versions import DESCRIPTION, PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

schemathesis: Any = pytest.importorskip("schemathesis")

# What a schema cannot say is refused, too: a name that is no name of a variable, a filter that is none.
_CHECKS: Final = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]
# All that take a body; what takes none has nothing to be wrong.
_ALIASES: Final = [f"POST {route.path}" for route in aliases.router.routes if "POST" in route.methods]  # type: ignore[attr-defined]
_ASKED: Final = sorted(
    {name for name, operation in OPERATIONS.items() if operation.body} | set(_ALIASES) - {"POST /close"}
)
_QUICK: Final = ("POST /store/find", "POST /store/trace")


@pytest.fixture(scope="module")
def address() -> str:
    """Return where a database of its own is."""
    return serve([SchemaKey("subject", "int")], allow_sql=True)


@pytest.fixture(scope="module")
def description(address: str) -> Any:
    """Return the description of it; what a write takes is put together from its metadata."""
    found = httpx.get(f"{address}/openapi.json").json()
    content = found["paths"][f"{PREFIX}/store/write"]["post"]["requestBody"]["content"]
    content[PARTS_TYPE] = {"schema": {"$ref": "#/components/schemas/WriteMetadata"}}
    schemathesis.serializer(PARTS_TYPE)(lambda _, metadata: _as_body(metadata))
    return schemathesis.openapi.from_dict(found)


def _as_body(metadata: Any) -> bytes:
    if isinstance(metadata, bytes):
        return metadata
    text = to_text(metadata)
    return b"".join([len(text).to_bytes(4, "big"), text, *end(0)])


def _asked(address: str, description: Any, name: str, mode: str, examples: int) -> Callable[[], None]:
    method, _, path = name.partition(" ")
    operation = description[PREFIX + path][method]
    checks = [check for check in schemathesis.checks.CHECKS.get_all() if check.__name__ in _CHECKS]
    assert len(checks) == len(_CHECKS)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],  # a first failure is enough
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def ask(case: Any) -> None:
        case.headers.pop(DESCRIPTION, None)  # any other than the right one is refused before anything is looked at
        case.validate_response(case.call(base_url=address, timeout=30), checks=checks)

    return ask


@pytest.mark.parametrize("name", _QUICK)
def test_questions_are_answered_as_described(address: str, description: Any, name: str) -> None:
    """A few questions that are valid by the schema get answers that are."""
    _asked(address, description, name, "positive", 10)()


# Its body is any bytes.
_NEVER_WRONG: Final = "POST /ability/snapshot"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (name, mode)
        for name in _ASKED
        for mode in ("positive", "negative")
        if (name, mode) != (_NEVER_WRONG, "negative")
    ],
)
def test_nothing_that_is_asked_breaks_the_server(address: str, description: Any, name: str, mode: str) -> None:
    """Dozens of requests to each route, valid and not: no 5xx, what is invalid is refused, answers conform."""
    _asked(address, description, name, mode, 60)()
