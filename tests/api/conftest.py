"""For properties: one application for all examples."""

from __future__ import annotations

import pytest

from tests.api.surface import World


@pytest.fixture(scope="module")
def world_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "dist").mkdir()
    (folder / "dist" / "index.html").write_text("<title>ours</title>")
    (folder / "secret.txt").write_text("secret")
    return World(pages=folder / "dist")
