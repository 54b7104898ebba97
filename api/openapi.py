"""The API's description without a running exchange: `python -m api.openapi > web/openapi.json`; the pages' types come of it."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from api.app import create_app
from api.ports import Surface


def document() -> str:
    """The OpenAPI document as text, the same at every time."""
    nobody = cast(Any, None)  # describing calls no port
    ports = dict.fromkeys(Surface.__struct_fields__, nobody)
    app = create_app(Surface(**{**ports, "secure_cookies": True, "session_hours": 12.0}))
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
