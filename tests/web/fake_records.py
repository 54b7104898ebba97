"""What the fake exchange's lists hold, and the sound of its recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 48_000
QUEUES = [{"id": "q-sales", "name": "Sales"}, {"id": "q-support", "name": "Support"}]
USERS = {
    "agent1": {"id": "a1", "name": "agent1", "display": "Ada Lovelace", "role": "agent"},
    "agent2": {"id": "a2", "name": "agent2", "display": "Bo Diddley", "role": "agent"},
    "supervisor": {"id": "s1", "name": "supervisor", "display": "Sam Visor", "role": "supervisor"},
    "admin": {"id": "x1", "name": "admin", "display": "Ann Min", "role": "admin"},
}


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ended(number: int) -> tuple[dict[str, Any], datetime]:
    """What a contact and its recording have in common."""
    queue = QUEUES[number % 2]
    agent = USERS[f"agent{1 + number % 3 % 2}"]
    shared = {
        "ani": None if number % 17 == 5 else f"+49 30 9018{number:02}",
        "queue": queue["id"],
        "queue_name": queue["name"],
        "agent": agent["id"],
        "agent_name": agent["display"],
    }
    return shared, datetime.now(UTC) - timedelta(minutes=37 * number + 5)


def contacts() -> list[dict[str, Any]]:
    items = []
    for number in range(120):
        shared, arrived = ended(number)
        final = ["handled", "handled", "handled", "abandoned", "short-abandoned", "flowed-out"][number % 6] if number else None
        talked = 60 + 7 * number if final == "handled" else None
        if final != "handled":
            shared |= {"agent": None, "agent_name": None}
        items.append(
            shared
            | {
                "id": f"c{number}",
                "channel": "voice",
                "dnis": "5000",
                "entry_point": "5000",
                "arrived": iso(arrived),
                "answered": iso(arrived + timedelta(seconds=20)) if final == "handled" else None,
                "ended": iso(arrived + timedelta(seconds=20 + (talked or 0))) if final else None,
                "final": final,
                "waited": 20 + number % 50,
                "talked": talked,
                "held": 0 if final == "handled" else None,
                "wrap_up_code": "order" if final == "handled" else None,
            }
        )
    return items


def recordings() -> list[dict[str, Any]]:
    items = []
    for number in range(70):
        shared, started = ended(number)
        seconds = 24.0 if number == 1 else 30.0 + 11 * number
        items.append(
            shared
            | {
                "id": f"r{number}",
                "contact": f"c{number}",
                "started": iso(started),
                "seconds": seconds,
                "size": int(seconds * 6000),
                "media_type": "audio/ogg",
                "state": {0: "pending", 4: "failed"}.get(number, "stored"),
                "left": {"talk": seconds * 0.4, "silence": seconds * 0.6} if number else None,
                "right": {"talk": seconds * 0.45, "silence": seconds * 0.55} if number else None,
                "overlap": seconds * 0.04 if number else None,
                "paused": [{"start": 9.0, "end": 13.0}] if number == 1 else [],
            }
        )
    return items


def peaks(seconds: float, paused: list[dict[str, float]]) -> dict[str, Any]:
    times = np.arange(int(seconds * 20)) / 20
    noise = np.random.default_rng(7).random(len(times))
    quiet = np.zeros(len(times), dtype=bool)
    for gap in paused:
        quiet |= (times >= gap["start"]) & (times < gap["end"])
    sides = [np.sin(times * 0.9) > -0.1, np.sin(times * 0.9) < 0.05]
    left, right = (np.where(quiet, 0, np.where(talks, 25 + 70 * noise**1.5, 2 * noise)).astype(int) for talks in sides)
    return {"peaks_left": left.tolist(), "peaks_right": right.tolist(), "peaks_per_second": 20}


def write_ogg(path: Path) -> None:
    """24 s of Ogg Opus: 440 Hz on the left, 880 Hz on the right."""
    if path.exists():
        return
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="stereo")
        for block in range(24):
            times = np.arange(RATE) / RATE + block
            pcm = np.stack([np.sin(2 * np.pi * f * times) * 6000 for f in (440, 880)], axis=1).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="stereo")
            frame.sample_rate, frame.pts = RATE, block * RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
