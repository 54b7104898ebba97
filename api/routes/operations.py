"""Health and metrics, for machines that watch."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.models import Health
from api.ports import Surface

router = APIRouter(tags=["operations"])


@router.get("/health", responses={503: {"model": Health}})
async def health(request: Request, response: Response) -> Health:
    """200 when calls can be taken, else 503 and why."""
    surface: Surface = request.app.state.surface
    found = surface.operations.health()
    if not found.ok:
        response.status_code = 503
    return found


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    surface: Surface = request.app.state.surface
    return Response(surface.operations.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")
