"""The page /docs: every address with its request, from the OpenAPI schema; it fetches nothing and runs nothing."""

import json
from html import escape
from typing import Any

STYLE = """\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;padding:.75rem;border:1px solid #8886;border-radius:6px}
h2{margin-top:2.5rem}h3{margin-bottom:0}details{margin:.5rem 0}"""


def described(schema: dict[str, Any]) -> str:
    """The page of an OpenAPI schema."""
    parts: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, one in methods.items():
            parts.setdefault(next(iter(one.get("tags", [])), "Others"), []).append(
                _operation(path, method, one, schema)
            )
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(entries)}" for tag, entries in parts.items())
    title = f"{escape(schema['info']['title'])} {escape(schema['info']['version'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><h1>{title}</h1>'
        f"<p>{escape(schema['info'].get('description', ''))} The same as JSON: "
        f'<a href="openapi.json">openapi.json</a>.</p>{body}</body></html>'
    )


def _operation(path: str, method: str, one: dict[str, Any], schema: dict[str, Any]) -> str:
    told = escape(one.get("description", one.get("summary", "")))
    return f"<h3><code>{method.upper()} {escape(path)}</code></h3><p>{told}</p>{_request(one, schema)}"


def _request(one: dict[str, Any], schema: dict[str, Any]) -> str:
    content = one.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return ""
    form = schema["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    shown = escape(json.dumps(form["properties"], indent=1))
    return f"<details><summary>request</summary><pre>{shown}</pre></details>"
