"""A caller dials in, an agent answers: both hear each other, the recording has both, the records tell it."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.tools import tones
from tests.tools.ears import EARLY
from tests.tools.switchroom import Switchroom

pytestmark = [pytest.mark.interop, pytest.mark.realtime, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

CALLER_HZ = 440
AGENT_HZ = 880


async def test_a_caller_and_an_agent_hear_each_other_and_it_is_recorded(house: Switchroom, tmp_path: Path) -> None:
    agent = await house.agent(
        "agent1", "--answer-after", "0.2", "--tone", str(AGENT_HZ), "--save", str(tmp_path / "agent.wav"), "--contacts", "1"
    )
    await agent.event("available")
    call = await house.call(
        "--digits",
        "1",
        "--tone",
        str(CALLER_HZ),
        "--seconds",
        "13",
        "--save",
        str(tmp_path / "caller.wav"),
        "--caller",
        "4930555",
    )
    summary = await call.end(60)
    assert summary["answered"], call.events
    heard = await agent.end(30)

    at_caller, rate = tones.load(tmp_path / "caller.wav")
    at_agent, agent_rate = tones.load(tmp_path / "agent.wav")
    assert tones.level(at_caller[-2 * rate : -rate // 2], rate, AGENT_HZ) > -30, summary
    assert tones.level(at_agent[-2 * agent_rate : -agent_rate // 2], agent_rate, CALLER_HZ) > -30, heard

    async with house.api() as api:

        async def recorded() -> dict[str, object] | None:
            items = (await api.get("/api/v1/recordings", params={"number": "4930555"})).json()["items"]
            return items[0] if items and items[0]["state"] == "stored" else None

        recording = await house.until(recorded, 30, "stored recording")
        contact = (await api.get(f"/api/v1/contacts/{recording['contact']}")).json()
        assert contact["final"] == "handled"
        assert contact["ani"] == "4930555"
        assert contact["queue"] == "sales"
        assert contact["agent_name"]
        assert {leg["kind"] for leg in contact["legs"]} == {"sip", "webrtc"}
        assert all(leg["reason"] for leg in contact["legs"])
        assert all(leg["quality"]["mos"] > 4 for leg in contact["legs"]), contact["legs"]
        assert contact["segments"][0]["talked"] > 3
        audio = await api.get(f"/api/v1/recordings/{recording['id']}/audio")
        assert audio.headers["content-type"].startswith("audio/ogg")
        part = await api.get(f"/api/v1/recordings/{recording['id']}/audio", headers={"range": "bytes=0-3"})
        assert part.status_code == 206
        assert part.content == b"OggS"

        async def counted() -> dict[str, float] | None:
            """What is stored, as soon as it is what is shown."""
            stored = (await api.get("/api/v1/reports/queues", params={"queue": "sales"})).json()["items"]
            shown = (await api.get("/api/v1/reports/realtime", params={"queue": "sales"})).json()["queues"]
            figures: dict[str, float] = stored[0]["figures"] if stored else {}
            return figures if figures == shown[0]["today"] and figures["handled"] else None

        figures = await house.until(counted, 30, "figures of the call")
        assert figures["offered"] >= figures["handled"]
        assert figures["talk"] > 3
        listed = (await api.get("/api/v1/reports/contacts", params={"figure": "handled", "queue": "sales"})).json()
        assert listed["total"] == figures["handled"]
        assert recording["contact"] in {item["contact"] for item in listed["items"]}
    samples, rate = soundfile.read(io.BytesIO(audio.content), always_2d=True)
    middle = slice(len(samples) // 3, 2 * len(samples) // 3)
    left, right = samples[middle, 0], samples[middle, 1]
    assert tones.level(left, rate, CALLER_HZ) > -35
    assert tones.level(right, rate, AGENT_HZ) > -35
    assert tones.level(left, rate, AGENT_HZ) < tones.level(left, rate, CALLER_HZ) - 25
    assert tones.level(right, rate, CALLER_HZ) < tones.level(right, rate, AGENT_HZ) - 25
    assert abs(len(samples) / rate - contact["segments"][0]["talked"]) < 1.0
    await _explained(house, contact)


async def _explained(house: Switchroom, contact: dict[str, Any]) -> None:
    """The commands say what the API says, and this version decides again as it decided."""
    async with house.api() as api:
        story = (await api.get(f"/api/v1/contacts/{contact['id']}/decisions")).json()["sentences"]
    said = [sentence["text"] for sentence in story]
    agent, id = contact["agent_name"], contact["id"]
    assert said[0].startswith("It began to wait in Sales with priority ")
    assert any(text.startswith(f"It was offered to {agent}: ") for text in said), said
    assert any(text.startswith("It ended: handled, waited ") for text in said), said
    code, explained = await house.run("explain", id, "--data", str(house.data), "--zone", "UTC", "--all")
    assert code == 0, explained
    assert all(text in explained for text in said), explained
    assert f"available and able: {agent}" in explained
    code, replayed = await house.run("replay", "--data", str(house.data))
    assert (code, replayed.split(":")[0]) == (0, "identical"), replayed


async def test_nobody_logged_in_leads_to_voicemail(house: Switchroom, tmp_path: Path) -> None:
    call = await house.call("--digits", "2", *EARLY, "--tone", "500", "--seconds", "60", "--caller", "4930556")

    async def speaks() -> bool:
        return any(one["ani"] == "4930556" and one["recording"] for one in (await house.status())["calls"])

    await house.until(speaks, 40, "recording of a message")
    speaking = time.monotonic()
    await house.until(lambda: time.monotonic() - speaking > 3, 10, "three seconds of message")
    await call.stop()
    async with house.api() as api:

        async def voicemail() -> dict[str, object] | None:
            items = (await api.get("/api/v1/recordings", params={"number": "4930556"})).json()["items"]
            return items[0] if items and items[0]["state"] == "stored" else None

        recording = await house.until(voicemail, 30, "stored voicemail")
        assert recording["kind"] == "voicemail"
        contact = (await api.get(f"/api/v1/contacts/{recording['contact']}")).json()
        assert contact["final"] == "flowed-out"
        audio = await api.get(f"/api/v1/recordings/{recording['id']}/audio")
    samples, rate = soundfile.read(io.BytesIO(audio.content), always_2d=True)
    assert tones.level(samples[rate // 2 :, 0], rate, 500) > -35


async def test_logs_are_json_and_hold_no_numbers(house: Switchroom) -> None:
    """After the calls above: every process logs objects, and nobody's number in clear."""
    spoken = []
    for path in sorted((house.data / "logs").glob("*.log")):
        lines = path.read_text().splitlines()
        assert not any("4930555" in text or "4930556" in text for text in lines), path.name
        if not path.name.startswith("postgres"):
            assert all(isinstance(json.loads(text), dict) for text in lines), path.name
            spoken += [path.stem] * bool(lines)
    assert {"supervisor", "edge", "exchange", "linecard0", "deskcard0", "speech", "vault", "bookkeeper"} <= set(spoken)


async def test_an_unknown_number_is_refused(house: Switchroom) -> None:
    call = await house.call("--seconds", "2", number="5999")
    summary = await call.end(20)
    assert not summary["answered"]
    assert summary["code"] == 404


async def test_status_names_every_role(house: Switchroom) -> None:
    code, out = await house.run("status", "--data", str(house.data), "--json")
    assert code == 0, out
    roles = {p["role"] for p in json.loads(out)["processes"] if p["pid"]}
    assert roles >= {"supervisor", "edge", "exchange", "linecard", "deskcard", "speech", "vault", "bookkeeper", "postgres"}


async def test_a_second_serve_is_refused_with_a_sentence(house: Switchroom) -> None:
    code, out = await house.run("serve", "--data", str(house.data), "--http", "127.0.0.1:1", "--sip", "127.0.0.1:1")
    assert code != 0
    assert str(house.data) in out
    assert "Traceback" not in out


async def test_a_call_ends_without_leaving_lines_in_use(house: Switchroom) -> None:
    call = await house.call("--seconds", "2")
    await call.end(30)

    async def idle() -> bool:
        return (await house.status())["lines"]["used"] == 0

    await house.until(idle, 15, "idle lines")


async def test_who_waited_first_is_answered_first(house: Switchroom) -> None:
    absent = await house.agent("agent2", "--answer-after", "600", "--tone", "880")
    await absent.event("available")
    first = await house.call("--digits", "1", *EARLY, "--seconds", "30", "--caller", "111")
    offer = await absent.event("offer")
    assert offer["ani"] == "111"
    second = await house.call("--digits", "1", *EARLY, "--seconds", "30", "--caller", "222")
    await second.event("digits-sent")
    ready = await house.agent("agent1", "--answer-after", "0.2", "--contacts", "2")
    assert (await ready.event("offer"))["ani"] == "222"
    await absent.stop()
    for tool in (first, second, ready):
        await tool.stop()
