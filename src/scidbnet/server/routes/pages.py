"""The page that shows the description of the interface: plain HTML, which runs nothing and loads nothing."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["docs_page"]

Json: TypeAlias = dict[str, Any]

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
h1 small { font-weight: normal; color: #57606a; font-size: 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d0d7de; text-transform: capitalize; }
details { border: 1px solid #d0d7de; border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
details details { border: none; margin: 0; padding: .2rem 0 .2rem 1rem; }
summary { cursor: pointer; }
code, pre { font: 14px/1.45 ui-monospace, monospace; background: #f6f8fa; border-radius: 4px; }
code { padding: .1rem .3rem; }
pre { padding: .8rem; overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; }
td code { white-space: nowrap; }
td, th { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0; }
.method { display: inline-block; width: 4.4rem; font-weight: 600; }
.get { color: #0a5ea8; } .post { color: #146c2e; } .delete { color: #a40e26; }
@media (prefers-color-scheme: dark) {
  body { background: #0d1117; color: #e6edf3; } code, pre { background: #161b22; }
  h2, details { border-color: #30363d; } h1 small { color: #8d96a0; }
  .get { color: #79c0ff; } .post { color: #7ee787; } .delete { color: #ff7b72; }
}
"""


def docs_page(description: Json) -> str:
    """Return the page for an OpenAPI description.

    Examples
    --------
    >>> "<h1>A <small>1</small></h1>" in docs_page({"info": {"title": "A", "version": "1"}, "paths": {}})
    True

    """
    info = description["info"]
    parts = [
        f"<h1>{_text(info['title'])} <small>{_text(info['version'])}</small></h1>",
        *(f"<p>{_prose(one)}</p>" for one in info.get("description", "").strip().split("\n\n")),
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>',
    ]
    for tag, operations in _by_tag(description["paths"]).items():
        parts += [f"<h2>{_text(tag)}</h2>", *operations]
    schemas = description.get("components", {}).get("schemas", {})
    if schemas:
        parts += ["<h2>Schemas</h2>", *(_schema(name, schema) for name, schema in schemas.items())]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{_text(info['title'])}: interface</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n"
        "</html>\n"
    )


def _by_tag(paths: Json) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            found.setdefault(tag, []).append(_operation(method, path, operation))
    return found


def _operation(method: str, path: str, operation: Json) -> str:
    said = operation.get("description", "").strip()
    name = f'<span class="method {_text(method)}">{_text(method.upper())}</span> <code>{_text(path)}</code>'
    return "\n".join(
        [
            f'<details id="{_text(operation.get("operationId", path))}">',
            f"<summary>{name} {_prose(said.split(chr(10))[0])}</summary>",
            *(f"<p>{_prose(one)}</p>" for one in said.split("\n\n")[1:]),
            *_parameters(operation.get("parameters", [])),
            *_contents("Body", operation.get("requestBody", {})),
            *_answers(operation["responses"]),
            "</details>",
        ]
    )


def _parameters(parameters: list[Json]) -> Iterator[str]:
    if parameters:
        rows = (
            f"<tr><td><code>{_text(one['name'])}</code></td><td>{_text(one['in'])}</td>"
            f"<td>{_prose(one.get('description', ''))}</td></tr>"
            for one in parameters
        )
        yield f"<table>{''.join(rows)}</table>"


def _contents(title: str, holder: Json) -> Iterator[str]:
    for media, content in holder.get("content", {}).items():
        yield f"<p>{_text(title)}: <code>{_text(media)}</code> {_linked(content.get('schema', {}))}</p>"


def _answers(answers: Json) -> Iterator[str]:
    for status, answer in answers.items():
        if status.startswith("2"):
            yield from _contents(f"Answer {status}", answer)
    refused = "".join(
        f"<tr><td><code>{_text(status)}</code></td><td>{_prose(answer['description'])}</td></tr>"
        for status, answer in answers.items()
        if not status.startswith("2")
    )
    if refused:
        yield f"<details><summary>Errors, all of the form {_link('Error')}</summary><table>{refused}</table></details>"


def _linked(schema: Json) -> str:
    """Return a schema: a link to one that has a name."""
    if "$ref" in schema:
        return _link(schema["$ref"].rsplit("/", 1)[-1])
    if schema.get("items", {}).get("$ref"):
        return f"list of {_linked(schema['items'])}"
    if set(schema) <= {"type", "format", "description"}:
        return _prose(schema.get("description", ""))
    return f"<pre>{_json(schema)}</pre>"


def _link(name: str) -> str:
    return f'<a href="#schema-{_text(name)}">{_text(name)}</a>'


def _schema(name: str, schema: Json) -> str:
    kinds = [one for one in schema.get("oneOf", []) if "const" in one.get("properties", {}).get("kind", {})]
    if kinds:  # one of many, each with a name: as a list of them
        inner = "".join(_schema(f"{name}-{one['properties']['kind']['const']}", one) for one in kinds)
    else:
        inner = f"<pre>{_json(schema)}</pre>"
    return f'<details id="schema-{_text(name)}"><summary><code>{_text(name)}</code></summary>{inner}</details>'


def _json(data: Json) -> str:
    return _text(json.dumps(data, indent=2))


def _prose(text: str) -> str:
    """Return text as HTML, with what stands between backticks as code."""
    pieces = text.split("`")
    return "".join(f"<code>{_text(one)}</code>" if place % 2 else _text(one) for place, one in enumerate(pieces))


def _text(text: str) -> str:
    return html.escape(str(text))
