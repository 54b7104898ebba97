"""A caller takes a callback and hangs up; the carrier's phone is busy, then answers: both directions are heard."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.tools import sipp, tones
from tests.tools.switchroom import switchroom

pytestmark = [
    pytest.mark.interop,
    pytest.mark.realtime,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("sipp") is None, reason="no sipp"),
]

AGENT_HZ = 880
NUMBER = "4930557"


def reply(code: str, ending: str = "Content-Length: 0", *, retrans: bool = False) -> str:
    return sipp.send(
        f"""SIP/2.0 {code}
        [last_Via:]
        [last_Record-Route:]
        [last_From:]
        [last_To:];tag=[call_number]
        [last_Call-ID:]
        [last_CSeq:]
        Contact: <sip:[local_ip]:[local_port]>
        {ending}""",
        retrans=retrans,
    )


INVITE = sipp.expect("INVITE").replace(">", ' rrs="true">', 1)
BUSY = INVITE + reply("486 Busy Here") + sipp.expect("ACK")
ANSWERS = INVITE + reply("180 Ringing") + sipp.pause(500) + reply("200 OK", sipp.body(sipp.sdp(("8",))), retrans=True)
ANSWERS += sipp.expect("ACK") + sipp.expect("BYE") + sipp.ok()


async def test_busy_then_called_back_and_heard(tmp_path: Path) -> None:
    """The carrier echoes: what the agent hears of their own tone has gone both ways."""
    carrier = sipp.free_port()
    trunk = {"name": "carrier", "sources": ["192.0.2.0/24"], "target": f"127.0.0.1:{carrier}"}
    environment = {"SWITCHROOM_TRUNKS": json.dumps([trunk])}
    async with switchroom(tmp_path / "data", lines=4, environment=environment) as house:
        code, text = await house.run("config", "export", "--data", str(house.data))
        assert code == 0, text
        document = yaml.safe_load(text)
        queues = document["queues"]
        (sales,) = [q for q in queues if q["id"] == "sales"] if isinstance(queues, list) else [queues["sales"]]
        sales["callback"] = {"retry_seconds": 1}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
        code, text = await house.run("config", "apply", str(tmp_path / "config.yaml"), "--data", str(house.data))
        assert code == 0, text
        heard = tmp_path / "agent.wav"
        agent = await house.agent(
            "agent1",
            "--answer-after",
            "0.2",
            "--tone",
            str(AGENT_HZ),
            "--save",
            str(heard),
            "--contacts",
            "3",
        )
        await agent.event("available")
        other = await house.call("--digits", "1", "--seconds", "60", "--caller", "4930558")
        await agent.event("accepted")
        caller = await house.call("--digits", "191", "--seconds", "30", "--caller", NUMBER)
        await caller.end(40)
        async with sipp.Sipp(BUSY, tmp_path / "busy", port=carrier) as busy:
            await other.stop()
            assert await busy.finished() == 0, busy.errors()
            assert f"INVITE sip:{NUMBER}@127.0.0.1:{carrier}" in busy.messages()
            assert "From: <sip:5000@" in busy.messages()
        async with sipp.Sipp(ANSWERS, tmp_path / "answers", port=carrier, options=("-rtp_echo",)) as answers:
            contact = (await agent.event("contact", count=3))["contact"]

            async def connected() -> bool:
                return "\nACK sip" in answers.messages()

            await house.until(connected, 15, "the customer's answer")
            await asyncio.sleep(2)  # the talk
            async with house.api() as api:
                ended = await api.post(f"/api/v1/contacts/{contact}/end", json={})
                assert ended.status_code == 200, ended.text
            await agent.end(30)
            assert await answers.finished() == 0, answers.errors()
        samples, rate = tones.load(heard)
        assert tones.level(samples[-rate:], rate, AGENT_HZ) > -35
