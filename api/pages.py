"""The built pages, served from one folder; unknown paths without an extension get the application's index."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from api.errors import answer

NOT_BUILT = """<!doctype html><html lang="en"><title>Switchroom</title><h1>The pages are not built</h1>
<p>Run <code>make setup</code>, then start again.</p></html>"""


class Pages(StaticFiles):
    """The single-page application in `folder`; a folder that is missing gives a page that says how to build it."""

    def __init__(self, folder: Path | None) -> None:
        self._built = folder is not None and (folder / "index.html").is_file()
        super().__init__(directory=folder if self._built else None, html=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path == "api" or path.startswith("api/"):
            return answer(404, "not-found", "There is no such address in the API.")
        if not self._built:
            return HTMLResponse(NOT_BUILT, 503)
        try:
            response = await super().get_response(path, scope)
            if isinstance(response, RedirectResponse):  # a folder, which is no page of ours
                response = await super().get_response("index.html", scope)
        except HTTPException as error:
            if error.status_code != 404 or "." in path.rsplit("/", 1)[-1]:
                raise
            response = await super().get_response("index.html", scope)
        asset = path.startswith("assets/")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if asset else "no-cache"
        return response
