"""The API's description: saved for the pages, and honest about errors."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from api import openapi

pytestmark = pytest.mark.unit

SAVED = Path(__file__).parents[2] / "web" / "openapi.json"
METHODS = {"get", "post", "put", "patch", "delete"}


document = functools.cache(openapi.document)


def operations() -> list[tuple[str, dict[str, Any]]]:
    paths = json.loads(document())["paths"]
    return [(f"{m} {path}", op) for path, ops in paths.items() for m, op in ops.items() if m in METHODS]


def test_the_saved_document_is_up_to_date() -> None:
    assert SAVED.read_text(encoding="utf-8") == document(), "run: python -m api.openapi > web/openapi.json"


def test_every_error_answer_has_the_one_shape() -> None:
    for name, operation in operations():
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")):
                schema = response["content"]["application/json"]["schema"]
                wanted = "Health" if name.endswith("/health") else "Failed"
                assert schema == {"$ref": f"#/components/schemas/{wanted}"}, (name, status)
    assert "HTTPValidationError" not in document()


def test_every_route_says_which_errors_to_expect() -> None:
    for name, operation in operations():
        errors = {s for s in operation["responses"] if s[0] in "45"}
        if "/api/v1/" not in name:
            continue
        expected = {"503"} if "logout" in name else {"401", "503"}
        if "{" in name:
            expected.add("404")
        if operation.get("parameters") or "requestBody" in operation:
            expected.add("422")
        assert expected <= errors, name


def test_every_operation_and_model_is_explained() -> None:
    found = json.loads(document())
    for name, operation in operations():
        assert operation["description"].strip(), name
    for name, schema in found["components"]["schemas"].items():
        assert schema.get("properties"), name


def test_every_model_of_an_answer_is_used() -> None:
    text = document()
    schemas = json.loads(text)["components"]["schemas"]
    used = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert set(schemas) == used
