"""Edges that are killed, cards that die: messages find their card, and nobody is left hanging."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from media.control import edge as messages
from media.control import line
from tests.sip.edge.peers import FakeCard, Front, Phone, answer, edge_here, edge_process, free_port
from tests.sip.edge.test_calls import inner, invited, leased, leg, talking

pytestmark = pytest.mark.adversity


async def test_a_killed_edge_comes_back_between_invite_and_the_rest(run: Path, card: FakeCard, phone: Phone) -> None:
    other = await FakeCard(run, "linecard1").open()
    port = free_port()
    async with edge_process(run, port) as (edge, process):
        await edge.cards(2)
        sent, got = await invited(edge, phone, card)
        card.calls = [card.record(got)]
        card.arrived(got)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    phone.send(sent, edge.address)  # to nobody
    busier = line.PartyRecord("p", "sip", "connected", sip_call_id="i", from_tag="t")
    other.calls = [line.CallRecord(f"o{n}", None, 0.0, 0.0, [busier], []) for n in range(2)]
    async with edge_process(run, port) as (edge, _):
        phone.send(sent, edge.address)
        assert bytes(await card.sip.request("INVITE")) == bytes(got)
        await edge.used(3)
        phone.send(phone.same_transaction(sent, "CANCEL"), edge.address)
        assert (await card.sip.request("CANCEL")).headers["Via"] == got.headers["Via"]
        card.sip.send(answer(got, 487, tag="t"), inner(got))  # answers by the Via the first edge wrote
        refused = await phone.response(487)
        phone.send(phone.same_transaction(sent, "ACK", refused.headers["To"]), edge.address)
        assert (await card.sip.request("ACK")).headers["Via"] == got.headers["Via"]
        assert other.sip.inbox.empty()
    await other.die()


async def test_a_dialog_outlives_the_edge(run: Path, card: FakeCard, phone: Phone) -> None:
    port = free_port()
    async with edge_here(run, port) as edge:
        await edge.cards(1)
        caller, ours = await talking(edge, phone, card)
    async with edge_here(run, port) as edge:
        phone.send(caller.request(phone, "INVITE"), edge.address)
        got = await card.sip.request("INVITE")
        card.sip.send(answer(got, 200, contact=card.sip.contact), inner(got))
        await phone.response(200)
        card.sip.send(ours.request(card.sip, "BYE"), inner(got))
        await phone.request("BYE")


async def test_an_outbound_leg_outlives_the_edge(run: Path, card: FakeCard, phone: Phone) -> None:
    port = free_port()
    async with edge_here(run, port) as edge:
        await edge.cards(1)
        held, door = await leased(edge)
        invite = leg(card, held, phone.contact.strip("<>"))
        card.sip.send(invite, door)
        got = await phone.request("INVITE")
        record = card.record(got)
        card.calls = [type(record)("c1", None, 0.0, 0.0, record.parties, [])]
    async with edge_here(run, port) as edge:
        card.sip.send(invite, door)
        assert bytes(await phone.request("INVITE")) == bytes(got)
        phone.send(answer(got, 180, tag="far"), edge.address)
        await card.sip.response(180)
        card.sip.send(card.sip.same_transaction(invite, "CANCEL"), door)
        assert (await phone.request("CANCEL")).headers["Via"] == got.headers["Via"]


async def test_a_dead_cards_callers_get_503_until_they_acknowledge(edge: Front, phone: Phone, card: FakeCard) -> None:
    sent, got = await invited(edge, phone, card)
    card.sip.send(answer(got, 180, tag="x"), inner(got))
    await phone.response(180)
    await card.die()
    first = await phone.response(503)
    assert bytes(await phone.response(503)) == bytes(first)  # repeated: over UDP it may get lost
    phone.send(phone.same_transaction(sent, "ACK", first.headers["To"]), edge.address)
    async with asyncio.timeout(3):
        while isinstance(event := await edge.events.get(), messages.CardFound):
            pass
    assert event == messages.CardLost("linecard0")
    assert (await edge.inventory()).cards == []
    await card.listen()
    card.sip = Phone()
    await card.sip.open()
    await edge.cards(1)


async def test_a_dead_cards_own_invites_are_cancelled(edge: Front, phone: Phone, card: FakeCard) -> None:
    held, door = await leased(edge)
    card.sip.send(leg(card, held, phone.contact.strip("<>")), door)
    got = await phone.request("INVITE")
    phone.send(answer(got, 180, tag="far"), edge.address)
    await card.sip.response(180)
    await card.die()
    cancel = await phone.request("CANCEL")
    assert (cancel.headers["Via"], cancel.target, cancel.cseq.sequence) == (got.headers["Via"], got.target, got.cseq.sequence)
    phone.send(answer(cancel, 200), edge.address)
    phone.send(answer(got, 487, tag="far"), edge.address)
    ack = await phone.request("ACK")
    assert (ack.headers["Via"], ack.to_address.parameters["tag"]) == (got.headers["Via"], "far")


async def test_a_dead_cards_invite_that_is_answered_all_the_same_gets_ack_and_bye(
    edge: Front, phone: Phone, card: FakeCard
) -> None:
    held, door = await leased(edge)
    card.sip.send(leg(card, held, phone.contact.strip("<>")), door)
    got = await phone.request("INVITE")
    await card.die()
    await edge.cards(0)
    phone.send(answer(got, 200, contact=phone.contact, tag="far"), edge.address)
    requests = {r.method: r for r in [await phone.request(), await phone.request()]}
    assert set(requests) == {"ACK", "BYE"}
    assert requests["ACK"].cseq.sequence == got.cseq.sequence
    assert requests["BYE"].to_address.parameters["tag"] == "far"
    assert "Route" not in requests["BYE"].headers
    phone.send(answer(requests["BYE"], 200), edge.address)
    await edge.until("byes.answered")


async def test_byes_for_a_dead_card(edge: Front, phone: Phone, card: FakeCard) -> None:
    _, ours = await talking(edge, phone, card)
    generation = card.control.generation
    await card.die()
    local, local_tag = ours.local.split("<")[1].split(">;tag=")
    remote, remote_tag = ours.remote.split("<")[1].split(">;tag=")
    names = (local, local_tag, remote, remote_tag)
    dialog = messages.Dialog("linecard0", generation, "c1", "p1", ours.call_id, *names, ours.target, ours.routes, 3)
    await edge.client.command(messages.SendByes("linecard0", generation, [dialog, dialog]))
    bye = await phone.request("BYE")
    again = await phone.request("BYE")  # not answered: repeated
    assert bytes(again) == bytes(bye)
    assert bye.target == phone.contact.strip("<>")
    assert "Route" not in bye.headers
    assert bye.cseq.sequence > 3
    assert (bye.from_address.parameters["tag"], bye.call_id) == ("cardtag", ours.call_id)
    phone.send(answer(bye, 200), edge.address)
    await edge.until("byes.answered")
    counters = (await edge.inventory()).counters
    assert counters["byes.sent"] == 1
    assert phone.inbox.empty()


async def test_sigterm_waits_for_the_calls_and_a_second_one_does_not(run: Path, card: FakeCard, phone: Phone) -> None:
    for patient in (True, False):
        async with edge_process(run, free_port()) as (edge, process):
            await edge.cards(1)
            _, got = await invited(edge, phone, card)
            card.arrived(got)
            await edge.used(1)
            process.terminate()
            async with asyncio.timeout(3):
                while not (await edge.inventory()).draining:
                    await asyncio.sleep(0.005)
            phone.send(phone.build("INVITE", f"sip:5000@{edge.uri}"), edge.address)
            await phone.response(503)
            assert process.returncode is None
            if patient:
                card.ended()
            else:
                process.terminate()
            assert await asyncio.wait_for(process.wait(), 5) == 0
        card.ended()
