"""The OpenAPI document as one page for people, without a script and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any, Final

import msgspec

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f3f5f7;padding:.75rem;overflow:auto}
details{border-top:1px solid #d5dae0;padding:.5rem 0}summary{cursor:pointer}summary b{display:inline-block;min-width:4rem}
table{border-collapse:collapse}td,th{text-align:left;padding:.15rem .75rem .15rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#e6eaee;background:#14171a}pre{background:#20252a}a{color:#8ab8ff}}
""".strip()  # fmt: skip
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: Only this page's own style, by its digest.
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def html_page(document: dict[str, Any]) -> str:
    """The page."""
    info = document["info"]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}: HTTP</title>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    intro = (
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{_text(info['description'])}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a>. '
        "A key goes into the head: <code>Authorization: Bearer nsk_…</code></p>"
    )
    body = "".join(_sections(document))
    return f"{head}{view}<style>{_STYLE}</style></head><body>{intro}{body}</body></html>"


def _sections(document: dict[str, Any]) -> Iterator[str]:
    for tag in (one["name"] for one in document["tags"]):
        yield f"<h2>{escape(tag)}</h2>"
        for path, operations in document["paths"].items():
            for method, told in operations.items():
                if tag in told["tags"]:
                    yield _operation(method.upper(), path, told)
    yield "<h2>Types</h2>"
    for name, schema in document["components"]["schemas"].items():
        anchor = escape(name, quote=True)
        yield f'<details id="{anchor}"><summary><code>{escape(name)}</code> {_text(schema.get("description", ""))}</summary>'
        yield f"<pre>{_json(schema)}</pre></details>"


def _operation(method: str, path: str, told: dict[str, Any]) -> str:
    parts = [f"<details><summary><b>{method}</b> <code>{escape(path)}</code> {_text(told['summary'])}</summary>"]
    if "description" in told:
        parts += [f"<p>{_text(paragraph)}</p>" for paragraph in told["description"].split("\n\n")]
    if "parameters" in told:
        rows = (
            f"<tr><td><code>{escape(one['name'])}</code></td><td>{one['in']}</td><td><code>{_json(one['schema'])}</code></td></tr>"
            for one in told["parameters"]
        )
        parts.append(f"<table><tr><th>parameter</th><th>in</th><th>is</th></tr>{''.join(rows)}</table>")
    for media_type, content in told.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body, {escape(media_type)}: {_schema(content['schema'])}</p>")
        parts += [f"<pre>{_json(one['value'])}</pre>" for one in content.get("examples", {}).values()]
    rows = (
        f"<tr><td>{status}</td><td>{_text(answer['description'])} {_answer_type(answer)}</td></tr>"
        for status, answer in told["responses"].items()
    )
    parts.append(f"<table><tr><th>answer</th><th>means</th></tr>{''.join(rows)}</table></details>")
    return "".join(parts)


def _answer_type(answer: dict[str, Any]) -> str:
    return "; ".join(
        f"{escape(media_type)} {_schema(content.get('schema', {}))}"
        for media_type, content in answer.get("content", {}).items()
    )


def _schema(schema: dict[str, Any]) -> str:
    """A link to a type, or the schema itself."""
    place = schema.get("$ref", "").rpartition("/")[2]
    if place:
        return f'<a href="#{escape(place, quote=True)}"><code>{escape(place)}</code></a>'
    return f"<code>{_json(schema)}</code>" if schema else ""


def _json(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2 if len(str(value)) > 100 else 0)
    return escape(text.decode())


def _text(text: str) -> str:
    """Text with `code` in it."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))
