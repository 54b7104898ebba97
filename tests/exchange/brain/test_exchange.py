"""Workers, bridge and desks against cards at real control sockets: what is commanded, in which order, and what only once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

import acd.events as routing
from acd.model import AgentConfig
from api.errors import ApiError
from exchange.brain import cards as cards_module
from exchange.brain import desks as desks_module
from exchange.brain import records
from exchange.brain.ids import recording_id
from media.control import desk, line, work
from media.control.envelope import ControlError
from tests.exchange.brain.fake_cards import NO_OFFER, Card
from tests.exchange.brain.floor import Floor, Page, running_floor
from tests.exchange.brain.story import CONFIGURED

pytestmark = pytest.mark.layer

BRIDGING = (line.OpenPatch, line.HangUp, line.SetLinks, line.Record, line.PauseRecord, line.Mute, line.EndCall, line.Answer)
SEATING = (desk.Patch, desk.Unpatch, desk.Connect, desk.Disconnect)


async def to_menu(floor: Floor, number: int = 1) -> str:
    call = floor.line.call(number)
    await floor.until(lambda: floor.line.calls[call].collect)
    return call


async def to_queue(floor: Floor, number: int = 1) -> str:
    call = await to_menu(floor, number)
    floor.line.press(call, "1")
    await floor.until(lambda: floor.exchange.house.engine.position(floor.contact(call)))
    return call


async def to_talk(floor: Floor) -> tuple[Page, str]:
    page = await floor.page()
    await page.ready()
    call = await to_menu(floor)
    floor.line.press(call, "1")
    await page.accept()
    await page.talks()
    await floor.until(lambda: floor.line.calls[call].recording)
    await floor.quiet()
    return page, call


def bridging(floor: Floor) -> list[Any]:
    """Everything that was done to calls and connections so far."""
    return [*floor.line.of(*BRIDGING), *(c for card in floor.desks for c in card.of(*SEATING))]


def finals(floor: Floor) -> list[tuple[str, str]]:
    return [(row[0], row[2]) for row in floor.log.written("contact_ended")]


def unpatched(floor: Floor) -> bool:
    return all(not c.patch for card in floor.desks for c in card.connections.values())


async def nothing_is_left(floor: Floor, call: str) -> None:
    """The call is gone from house, workers, messages and card."""
    await floor.until(lambda: call in floor.line.forgotten)
    exchange = floor.exchange
    await floor.until(lambda: not exchange.workers)
    assert (exchange.house.talks, exchange.details, exchange.voicemail.messages) == ({}, {}, {})
    await floor.until(lambda: unpatched(floor))


# --- a whole call -------------------------------------------------------------------------------------------------------


async def test_a_whole_call() -> None:
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        contact, state = floor.contact(call), floor.line.calls[call]
        (party,) = state.patches
        (patch,) = [c for card in floor.desks for c in card.of(desk.Patch)]
        (opened,) = floor.line.of(line.OpenPatch)
        assert (patch.patch, patch.own, patch.peer, patch.rate) == (party, opened.peer, opened.own, 16000)
        assert set(state.links) == {line.Link(state.customer, party), line.Link(party, state.customer)}
        assert (state.music, state.recording) == (False, recording_id(contact, 1))
        assert page.now["contact"]["ani"] == "+4930123"

        await page.say("hold", on=True)
        await floor.until(lambda: state.music and not state.links)
        await page.say("mute", on=True)
        await floor.until(lambda: state.patches[party])
        await page.say("hold", on=False)
        await floor.until(lambda: not state.music and state.links)
        await page.say("record", on=False)
        await floor.until(lambda: state.paused)
        await page.say("digits", digits="12#")
        assert floor.line.of(line.SendDigits)[-1].digits == "12#"

        await page.say("hang_up")
        await page.until_state("wrap-up")
        await nothing_is_left(floor, call)
        await page.say("wrap_up", code="sold")
        await page.until_state("available")
        assert finals(floor) == [(contact, "handled")]
        assert [row[8] for row in floor.log.written("leg") if row[2] == "sip" and row[7]] == ["answered"]
        assert [row[2] for row in floor.log.written("leg")].count("webrtc") == 1
        await floor.until(lambda: [row[3] for row in floor.log.written("recording_closed")] == ["closed"])


async def test_a_number_that_is_nobodys_is_rejected() -> None:
    async with running_floor() as floor:
        call = floor.line.call(1, dnis="999")
        await floor.until(lambda: floor.line.of(line.Reject))
        assert floor.line.of(line.Reject)[0].code == 404
        await floor.until(lambda: call in floor.line.forgotten)
        assert floor.exchange.refused_calls == 1


async def test_events_are_acknowledged_when_they_are_in_the_log() -> None:
    async with running_floor() as floor:
        call = await to_menu(floor)
        floor.line.press(call, "1")
        await floor.until(lambda: floor.exchange.house.cursors["linecard0"][1] == floor.line.server.seq)  # type: ignore[union-attr]
        server = floor.line.server
        assert server is not None
        await floor.until(lambda: server.statistics().kept == 0)


@pytest.mark.parametrize("moment", ["ringing", "menu", "queue", "talk"])
async def test_a_caller_who_leaves_leaves_nothing(moment: str) -> None:
    async with running_floor() as floor:
        if moment == "ringing":
            floor.line.hold[line.Answer] = asyncio.Event()
            call = floor.line.call(1)
            await floor.until(lambda: floor.line.of(line.Answer))
        elif moment == "menu":
            call = await to_menu(floor)
        elif moment == "queue":
            await (await floor.page()).softphone()
            call = await to_queue(floor)
        else:
            _, call = await to_talk(floor)
        floor.line.hang_up(call)
        for gate in floor.line.hold.values():
            gate.set()
        await nothing_is_left(floor, call)
        assert len(finals(floor)) == 1


async def test_a_caller_who_leaves_while_the_agent_is_patched_leaves_nothing() -> None:
    async with running_floor() as floor:
        page = await floor.page()
        await page.ready()
        call = await to_queue(floor)
        gate = floor.line.hold[line.OpenPatch] = asyncio.Event()
        await page.accept()
        await floor.until(lambda: floor.line.of(line.OpenPatch))
        floor.line.hang_up(call)
        await page.until_state("wrap-up")
        gate.set()
        await nothing_is_left(floor, call)


# --- once only ----------------------------------------------------------------------------------------------------------


async def test_converging_again_changes_nothing() -> None:
    async with running_floor() as floor:
        _, call = await to_talk(floor)
        before = bridging(floor)
        for _ in range(20):
            floor.exchange.touch(floor.contact(call))
            await asyncio.sleep(0)
        await floor.quiet()
        assert bridging(floor) == before


@pytest.mark.parametrize("held", [False, True])
async def test_a_broken_control_connection_changes_nothing_for_a_talk(held: bool) -> None:
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        if held:
            await page.say("hold", on=True)
            await floor.until(lambda: floor.line.calls[call].music)
            await floor.quiet()
        before, links = bridging(floor), list(floor.line.calls[call].links)
        floor.line.cut()
        await floor.until(lambda: any(isinstance(records.decode(r.body).input, records.LineBack) for r in floor.log.rows))
        await floor.quiet()
        assert bridging(floor) == before
        assert (floor.line.calls[call].links, floor.line.calls[call].music) == (links, held)
        await page.say("hang_up")
        await nothing_is_left(floor, call)


async def test_a_restarted_exchange_finds_the_talk_as_it_was() -> None:
    async with running_floor() as floor:
        _, call = await to_talk(floor)
        contact, before = floor.contact(call), bridging(floor)
        await floor.restart()
        page = await floor.page()
        await page.talks()
        await floor.quiet()
        assert bridging(floor) == before
        assert (page.now["contact"]["id"], page.now["softphone"]) == (contact, {"state": "ready"})
        assert page.now["contact"]["recording"] == "on"
        await page.say("hang_up")
        await nothing_is_left(floor, call)
        assert finals(floor) == [(contact, "handled")]
        await floor.until(lambda: [row[3] for row in floor.log.written("recording_closed")] == ["closed"])


async def test_a_customer_on_hold_hears_music_after_a_restart() -> None:
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        await page.say("hold", on=True)
        await floor.until(lambda: floor.line.calls[call].music)
        await floor.restart()
        page = await floor.page()
        await page.talks()
        await floor.quiet()
        assert (floor.line.calls[call].music, floor.line.calls[call].links) == (True, [])
        await page.say("hold", on=False)
        await floor.until(lambda: not floor.line.calls[call].music and floor.line.calls[call].links)
        assert len(floor.line.of(line.OpenPatch)) == 1


async def test_a_digit_pressed_while_the_exchange_was_away_counts() -> None:
    async with running_floor() as floor:
        page = await floor.page()
        await page.ready()
        call = await to_menu(floor)
        await floor.stop()
        floor.line.press(call, "2")
        await floor.start()
        page = await floor.page()
        await page.until(lambda: page.now["offer"])
        assert page.now["offer"]["queue"] == "support"
        assert len(floor.line.of(line.Collect)) == len(floor.line.of(line.Answer)) == 1, "neither is done twice"


async def test_callers_who_came_and_left_while_the_exchange_was_away() -> None:
    async with running_floor() as floor:
        leaves, stays = await to_menu(floor, 1), await to_menu(floor, 2)
        gone = floor.contact(leaves)
        await floor.stop()
        floor.line.hang_up(leaves)
        comes = floor.line.call(3)
        await floor.start()
        await floor.until(lambda: floor.line.calls[comes].collect)
        await floor.until(lambda: leaves in floor.line.forgotten)
        assert finals(floor) == [(gone, "flowed-out")]
        assert {floor.contact(comes), floor.contact(stays)} == set(floor.exchange.house.talks)


async def test_a_card_that_has_forgotten_its_events_is_compared_by_inventory() -> None:
    async with running_floor() as floor:
        leaves, stays = await to_menu(floor, 1), await to_menu(floor, 2)
        gone = floor.contact(leaves)
        await floor.stop()
        comes, unknown = floor.line.call(3, silent=True), floor.line.call(4, silent=True)
        floor.line.calls[unknown].answered = 1.0
        del floor.line.calls[leaves]
        server = floor.line.server
        assert server is not None
        server.seq += 100  # so that what came after our cursor cannot be told any more
        server._kept.clear()
        await floor.start()
        await floor.until(lambda: floor.line.calls[comes].collect)
        await floor.until(lambda: unknown in floor.line.forgotten)
        assert finals(floor) == [(gone, "flowed-out")]
        assert {floor.contact(comes), floor.contact(stays)} == set(floor.exchange.house.talks)


# --- agents who move ----------------------------------------------------------------------------------------------------


async def test_a_new_connection_is_patched_before_the_old_one_goes() -> None:
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        state = floor.line.calls[call]
        (old,) = state.patches
        await floor.quiet()
        seen = len(floor.line.done)
        again = await floor.page()
        new_connection = await again.softphone()
        await floor.until(lambda: old not in state.patches and state.links)
        (party,) = state.patches
        assert set(state.links) == {line.Link(state.customer, party), line.Link(party, state.customer)}
        after = [c for c in floor.line.done[seen:] if isinstance(c, line.OpenPatch | line.HangUp)]
        assert [(type(c), c.party) for c in after] == [(line.OpenPatch, party), (line.HangUp, old)]
        assert floor.desk_of(new_connection).connections[new_connection].patch == party
        assert sum(len(card.connections) for card in floor.desks) == 1, "the old connection was closed"
        await page.until(lambda: page.now["softphone"]["state"] == "replaced")
        assert again.now["contact"]["state"] == "talking"
        assert len(floor.line.of(line.Record)) == 1
        await again.say("hang_up")
        await nothing_is_left(floor, call)


async def test_an_offer_that_is_no_good_takes_no_softphone_away() -> None:
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        connection = floor.exchange.desks._seats["agent1"].connection
        again = await floor.page()
        with pytest.raises(ApiError) as caught:
            await again.say("softphone", sdp=NO_OFFER)
        assert (caught.value.status, caught.value.code) == (400, "bad-sdp")
        await floor.quiet()
        assert floor.exchange.desks._seats["agent1"].connection == connection
        assert page.now["softphone"]["state"] == "ready"
        assert page.now["contact"]["state"] == "talking"
        floor.desk_of(connection).change(connection, "lost")
        await page.until(lambda: page.now["softphone"]["state"] == "lost")
        await page.say("hang_up")
        await nothing_is_left(floor, call)


async def test_one_agent_has_so_many_pages_and_a_closed_one_makes_room() -> None:
    async with running_floor() as floor:
        pages = [await floor.page() for _ in range(16)]
        with pytest.raises(ApiError) as caught:
            await floor.page()
        assert caught.value.code == "too-many-pages"
        pages[3].session.close(meant=True)
        await floor.page()


async def test_web_callers_have_so_many_pages_and_a_closed_one_makes_room() -> None:
    async with running_floor(web_calls_a_minute=1) as floor:
        web = floor.exchange.web
        pages = [web.open(f"192.0.2.{n % 8}", lambda item: None) for n in range(32)]  # 4 of each address
        for address in ("192.0.2.3", "198.51.100.1"):
            with pytest.raises(ApiError) as caught:
                web.open(address, lambda item: None)
            assert (caught.value.status, caught.value.code) == (503, "too-many-pages")
        for number in (0, 3):
            pages[number].close(meant=number == 0)
        web.open("192.0.2.3", lambda item: None)
        web.open("198.51.100.1", lambda item: None)


async def test_a_page_that_comes_by_another_network_keeps_its_softphone() -> None:
    async with running_floor() as floor:
        old = await Page(floor, "agent1").open("page-1")
        connection = await old.ready()
        again = await Page(floor, "agent1").open("page-1")
        assert again.now["softphone"]["state"] == "ready"
        # The old WebSocket's end is noticed late; what it says then takes nothing away.
        old.session.close(meant=False)
        assert again.now["softphone"]["state"] == "ready"
        other = await Page(floor, "agent1").open("page-2")
        assert other.now["softphone"]["state"] == "replaced"
        assert floor.exchange.desks._seats["agent1"].connection == connection
        again.session.close(meant=True)
        assert (await Page(floor, "agent1").open("page-3")).now["softphone"]["state"] == "ready"


async def test_a_softphone_that_comes_back_is_linked_again_without_a_new_patch() -> None:
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        state = floor.line.calls[call]
        connection = floor.exchange.desks._seats["agent1"].connection
        card = floor.desk_of(connection)
        card.change(connection, "lost")
        await floor.until(lambda: state.music and not state.links)
        card.change(connection, "connected")
        await floor.until(lambda: not state.music and state.links)
        assert len(floor.line.of(line.OpenPatch)) == 1
        await page.say("hang_up")
        await nothing_is_left(floor, call)


async def test_a_desk_card_that_dies_costs_the_agent_only_a_moment() -> None:
    async with running_floor(lost_seconds=30.0) as floor:
        page, call = await to_talk(floor)
        state = floor.line.calls[call]
        dead = floor.desk_of(floor.exchange.desks._seats["agent1"].connection)
        await dead.die()
        await floor.until(lambda: state.music and not state.links)
        await page.until(lambda: page.now["softphone"]["state"] == "lost")
        await page.softphone()
        await page.talks()
        await floor.until(lambda: not state.music and state.links)
        assert len(state.patches) == 1
        await dead.start()
        await floor.quiet()
        assert page.now["softphone"]["state"] == "ready"
        await page.say("hang_up")
        await nothing_is_left(floor, call)


async def test_an_agent_who_stays_away_is_lost_and_the_caller_waits_again() -> None:
    async with running_floor() as floor:
        _, call = await to_talk(floor)
        contact, state = floor.contact(call), floor.line.calls[call]
        connection = floor.exchange.desks._seats["agent1"].connection
        floor.desk_of(connection).change(connection, "failed")
        await floor.until(lambda: floor.exchange.house.engine.position(contact) == 1)
        await floor.until(lambda: not state.patches and state.music)
        view = floor.exchange.house.engine.agent("agent1")
        assert view is not None
        assert view.state == "logged-out"
        floor.line.hang_up(call)
        await nothing_is_left(floor, call)


async def test_an_agent_who_does_not_come_back_after_a_restart_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks_module, "RETURN_GRACE", 0.2)
    async with running_floor() as floor:
        _, call = await to_talk(floor)
        contact = floor.contact(call)
        await floor.stop()
        for card in floor.desks:
            card.connections.clear()
        await floor.start()
        await floor.until(lambda: floor.exchange.house.engine.position(contact) == 1)
        floor.line.hang_up(call)
        await nothing_is_left(floor, call)


async def test_who_does_not_come_back_is_told_of_in_one_record_and_who_does_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks_module, "RETURN_GRACE", 0.2)
    four = [*CONFIGURED.agents, AgentConfig("agent3", "Agent3"), AgentConfig("agent4", "Agent4")]
    async with running_floor(configured=msgspec.structs.replace(CONFIGURED, agents=four)) as floor:
        pages = [await floor.page(agent.id) for agent in four]
        for page in pages:
            await page.ready()
        pages[-1].session.close(meant=True)  # known to be away before
        await floor.stop()
        monkeypatch.setattr(desks_module, "LOG_OUT_AFTER", 0.2)
        for card in floor.desks:
            card.connections = {id: made for id, made in card.connections.items() if made.owner == "agent3"}
        known = len(floor.log.rows)
        await floor.start()
        await floor.page("agent3")
        engine = floor.exchange.house.engine
        gone = "logged-out"
        await floor.until(lambda: [view.state for view in engine.agents()] == [gone, gone, "available", gone])
        inputs = [records.decode(row.body).input for row in floor.log.rows[known:]]
    changes = [input.changes for input in inputs if isinstance(input, records.Presences)]
    away = [routing.AgentReachable(0, agent, False, "no-page") for agent in ("agent1", "agent2")]
    assert changes == [tuple(away), tuple(routing.AgentLoggedOut(0, agent) for agent in ("agent1", "agent2", "agent4"))]


async def test_an_offer_outlives_a_restart() -> None:
    async with running_floor() as floor:
        page = await floor.page()
        await page.ready()
        call = await to_queue(floor)
        await page.until(lambda: page.now["offer"])
        offer = page.now["offer"]["id"]
        await floor.restart()
        page = await floor.page()
        await floor.quiet()
        assert page.now["offer"]["id"] == offer
        await page.accept()
        await page.talks()
        await page.say("hang_up")
        await nothing_is_left(floor, call)


async def test_pages_decide_over_presence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks_module, "LOG_OUT_AFTER", 0.1)
    async with running_floor() as floor:
        page = await floor.page()
        await page.ready()
        other = await floor.page()
        engine = floor.exchange.house.engine

        def agent() -> tuple[str, bool]:
            view = engine.agent("agent1")
            assert view is not None
            return view.state, view.reachable

        assert agent() == ("available", True)
        page.session.close(meant=True)
        page.session.close(meant=True)
        assert agent() == ("available", True), "there is another page"
        other.session.close(meant=False)
        assert agent() == ("available", False)
        await floor.until(lambda: agent() == ("logged-out", False))


async def test_who_leaves_in_a_talk_is_logged_out_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks_module, "LOG_OUT_AFTER", 0.1)
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        page.session.close(meant=True)
        await asyncio.sleep(0.25)  # the time to be logged out passes twice, in the talk
        floor.line.hang_up(call)
        await nothing_is_left(floor, call)
        await floor.until(lambda: floor.exchange.house.engine.agent("agent1").state == "logged-out")  # type: ignore[union-attr]


async def test_a_log_in_that_fails_leaves_no_page_behind() -> None:
    async with running_floor() as floor:
        floor.exchange.ledger._stopped = True
        with pytest.raises(ApiError) as error:
            await floor.page()
        assert (error.value.status, error.value.code) == (503, "restarting")
        assert floor.exchange.desks._seats["agent1"].sessions == []
        with pytest.raises(ApiError) as error:
            await floor.page("supervisor")
        assert error.value.code == "no-agent"


NONSENSE: list[tuple[str, dict[str, Any], int, str]] = [
    ("nothing", {}, 400, "unknown-type"),
    ("set_state", {}, 422, "invalid"),
    ("set_state", {"state": "engaged"}, 422, "invalid"),
    ("set_state", {"state": "idle", "code": "no-such-code"}, 409, "unknown-code"),
    ("set_state", {"state": ["idle"]}, 422, "invalid"),
    ("accept", {"offer": 7}, 422, "invalid"),
    ("accept", {"offer": "none"}, 409, "offer-gone"),
    ("decline", {"offer": "none", "reason": "Mr Smith is rude"}, 422, "invalid"),
    ("decline", {"offer": "none", "reason": "busy"}, 409, "offer-gone"),
    ("hold", {"on": True}, 409, "no-contact"),
    ("hang_up", {}, 409, "no-contact"),
    ("digits", {"digits": "12x"}, 422, "invalid"),
    ("digits", {"digits": "12"}, 409, "no-contact"),
    ("wrap_up", {"code": "sold"}, 409, "not-in-wrap-up"),
    ("softphone", {"sdp": "x" * 70_000}, 422, "invalid"),
    ("softphone", {"sdp": None}, 422, "invalid"),
]


async def test_what_a_page_says_wrongly_has_an_error_and_no_effect() -> None:
    async with running_floor() as floor:
        page = await floor.page()
        before = len(floor.log.rows)
        for kind, fields, status, code in NONSENSE:
            with pytest.raises(ApiError) as error:
                await page.say(kind, **fields)
            assert (error.value.status, error.value.code) == (status, code), (kind, fields)
        assert len(floor.log.rows) == before


async def test_nothing_about_people_is_in_the_log() -> None:
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        with pytest.raises(ApiError):
            await page.say("hold", on="yes")
        await page.say("set_state", state="available", code="Ann called again")
        await page.say("hang_up")
        await nothing_is_left(floor, call)
        told = b"".join(row.body for row in floor.log.rows)
        assert b"+4930123" not in told
        assert b"Ann" not in told
        assert [row[2] for row in floor.log.written("contact_arrived")] == ["+4930123"], "it is with the contact"


# --- failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("card", "command"), [("line", line.OpenPatch), ("desk", desk.Patch)])
async def test_a_bridge_that_fails_gives_the_caller_back(card: str, command: type) -> None:
    async with running_floor() as floor:
        cards: list[Card] = [floor.line] if card == "line" else list(floor.desks)
        for each in cards:
            each.refuse[command] = ControlError("no-socket", "No.")
        page = await floor.page()
        await page.ready()
        call = await to_queue(floor)
        await page.accept()
        await page.until_state("idle")
        assert page.now["agent"]["code"] == "connect-failed"
        assert floor.exchange.house.engine.position(floor.contact(call)) == 1
        await floor.until(lambda: not floor.line.calls[call].patches)
        await floor.until(lambda: unpatched(floor))
        assert floor.line.calls[call].recording == ""
        floor.line.hang_up(call)
        await nothing_is_left(floor, call)


async def test_a_recording_that_cannot_begin_is_an_alarm_and_not_tried_for_ever() -> None:
    async with running_floor() as floor:
        floor.line.refuse[line.Record] = ControlError("refused-by-pjsua2", "Disk full.")
        page = await floor.page()
        await page.ready()
        call = await to_queue(floor)
        await page.accept()
        await page.until(lambda: (page.now["contact"] or {}).get("recording") == "failed")
        await page.talks()
        await page.say("mute", on=True)
        await floor.quiet()
        assert len(floor.line.of(line.Record)) == 1
        assert floor.exchange.filing.statistics().failed == 1
        assert [row[1] for row in floor.log.written("recording_failed")] == ["refused-by-pjsua2"]
        await page.say("hang_up")
        await nothing_is_left(floor, call)


async def test_a_line_card_that_dies_ends_its_contacts_and_frees_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards_module, "DEAD_AFTER", 0.1)
    async with running_floor() as floor:
        page, call = await to_talk(floor)
        contact = floor.contact(call)
        await floor.line.die()
        await floor.until(lambda: finals(floor) == [(contact, "failed")])
        await page.until(lambda: page.now["contact"] is None)
        await floor.until(lambda: not floor.exchange.workers)
        await floor.until(lambda: unpatched(floor))
        await floor.line.start()
        again = await to_queue(floor, 2)
        await page.accept()
        await page.talks()
        floor.line.hang_up(again)
        await nothing_is_left(floor, again)


async def test_a_line_card_that_died_with_the_exchange_is_noticed() -> None:
    async with running_floor() as floor:
        call = await to_menu(floor)
        contact = floor.contact(call)
        await floor.stop()
        await floor.line.die()
        await floor.line.start()
        await floor.start()
        await floor.until(lambda: finals(floor) == [(contact, "failed")])
        assert floor.exchange.filing._salvage


async def test_a_line_card_that_is_no_more_takes_its_contacts_along() -> None:
    async with running_floor() as floor:
        _, call = await to_talk(floor)
        contact = floor.contact(call)
        await floor.stop()
        floor.line_cards = ["linecard7"]
        await floor.start()
        await floor.until(lambda: finals(floor) == [(contact, "failed")])
        await floor.until(lambda: not floor.exchange.workers)


async def test_a_closing_exchange_declares_no_card_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards_module, "DEAD_AFTER", 0.01)
    async with running_floor() as floor:
        call = await to_menu(floor)
        await floor.stop()
        await asyncio.sleep(0.05)  # the card's death would be logged by now
        await floor.start()
        assert floor.contact(call)
        assert finals(floor) == []


async def test_a_card_that_could_not_be_greeted_is_greeted_again() -> None:
    async with running_floor() as floor:
        floor.line.refuse[line.TakeInventory] = ControlError("busy", "Not now.")
        floor.exchange.cards.rates.clear()
        floor.line.cut()
        await floor.until(lambda: floor.exchange.cards.line_cards_up)
        floor.line.refuse.clear()
        await floor.until(lambda: floor.exchange.cards.rates)
        await to_menu(floor)


async def test_an_event_that_raises_makes_nobody_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_floor() as floor:
        taken = floor.exchange.entry_points

        def broken() -> Any:
            floor.exchange.entry_points = taken
            raise KeyError

        floor.exchange.entry_points = broken
        floor.line.call(1)
        await to_menu(floor, 2)


async def test_a_worker_that_fails_costs_its_own_call_only() -> None:
    async with running_floor() as floor:
        safe, unlucky = await to_menu(floor, 1), await to_menu(floor, 2)
        converge, contact = floor.exchange.bridge.converge, floor.contact(unlucky)

        async def broken(worker: Any) -> None:
            if worker.contact == contact:
                raise ZeroDivisionError
            await converge(worker)

        floor.exchange.bridge.converge = broken  # type: ignore[method-assign]
        floor.line.press(unlucky, "1")
        await floor.until(lambda: unlucky in floor.line.forgotten)
        await floor.until(lambda: [c for c, _ in finals(floor)] == [contact])
        floor.line.press(safe, "1")
        await floor.until(lambda: floor.line.of(line.Record) or floor.line.calls[safe].collect)


async def test_without_speech_the_flow_ends_and_the_caller_is_let_go() -> None:
    async with running_floor() as floor:
        floor.speech.refuse[work.Speak] = ControlError("bad-voice", "No.")
        call = floor.line.call(1)
        await floor.until(lambda: call in floor.line.forgotten)
        await nothing_is_left(floor, call)
        assert [final for _, final in finals(floor)] == ["flowed-out"]


# --- voicemail ----------------------------------------------------------------------------------------------------------


async def to_voicemail(floor: Floor) -> str:
    call = await to_menu(floor)
    floor.line.press(call, "1")
    await floor.until(lambda: floor.line.calls[call].recording)
    await floor.until(lambda: floor.line.calls[call].collect)
    return call


@pytest.mark.parametrize(
    ("seconds", "quiet", "state"), [(7.0, 0.0, "closed"), (7.0, 4.0, "closed"), (0.5, 0.0, "dropped"), (4.5, 4.0, "dropped")]
)
async def test_a_message_is_kept_or_dropped_by_its_length(seconds: float, quiet: float, state: str) -> None:
    async with running_floor() as floor:
        call = await to_voicemail(floor)
        contact = floor.contact(call)
        recording = floor.line.calls[call].recording
        assert [(r[0], r[1], r[2], r[3]) for r in floor.log.written("recording_opened")] == [
            (recording, contact, "voicemail", "sales")
        ]
        if not quiet:
            floor.line.refuse[line.StopRecord] = ControlError("no", "the test ends the recording")
            floor.line.press(call, "", "enough")
        floor.line.recorded(call, recording, seconds, quiet=quiet)
        await floor.until(lambda: [r[3] for r in floor.log.written("recording_closed")] == [state])
        await nothing_is_left(floor, call)
        assert finals(floor) == [(contact, "flowed-out")]


async def test_a_caller_who_hangs_up_after_the_message_has_left_one() -> None:
    async with running_floor() as floor:
        call = await to_voicemail(floor)
        floor.line.hang_up(call)
        await floor.until(lambda: [r[3] for r in floor.log.written("recording_closed")] == ["closed"])
        await nothing_is_left(floor, call)


async def test_a_caller_who_hangs_up_in_the_prompt_leaves_nothing() -> None:
    async with running_floor() as floor:
        call = await to_menu(floor)
        floor.line.plays = False
        floor.line.press(call, "1")
        await floor.until(lambda: floor.line.calls[call].player.endswith("/prompt"))
        floor.line.hang_up(call)
        await nothing_is_left(floor, call)
        assert floor.log.written("recording_opened") == floor.log.written("recording_closed") == []


async def test_a_prompt_that_cannot_be_played_does_not_keep_anybody_from_speaking() -> None:
    async with running_floor() as floor:
        call = await to_menu(floor)
        floor.line.plays = False
        floor.line.press(call, "1")
        player = await floor.until(lambda: floor.line.calls[call].player)
        floor.line.emit(line.PlayEnded(call, floor.line.calls[call].customer, player, "failed"))
        await floor.until(lambda: floor.line.calls[call].recording)


async def test_a_message_outlives_a_restart() -> None:
    async with running_floor() as floor:
        call = await to_voicemail(floor)
        recording, done = floor.line.calls[call].recording, len(floor.line.of(line.Play, line.Record, line.Collect))
        await floor.restart()
        await floor.quiet()
        assert len(floor.line.of(line.Play, line.Record, line.Collect)) == done, "the prompt is not spoken into the message"
        floor.line.recorded(call, recording, 9.0, quiet=4.0)
        await floor.until(lambda: [r[3] for r in floor.log.written("recording_closed")] == ["closed"])
        await nothing_is_left(floor, call)


async def test_a_message_that_ended_while_the_exchange_was_away_is_not_lost() -> None:
    async with running_floor() as floor:
        call = await to_voicemail(floor)
        contact, recording = floor.contact(call), floor.line.calls[call].recording
        floor.line.calls[call].recording = ""  # its end comes later than the call's
        floor.line.hang_up(call)
        await floor.until(lambda: finals(floor))
        await floor.stop()
        floor.queries.unfiled_rows = [{"id": recording, "contact": contact}]
        floor.line.recorded(call, recording, 9.0)
        await floor.start()
        closed = [(recording, contact, "closed")]
        await floor.until(lambda: [(r[0], r[1], r[3]) for r in floor.log.written("recording_closed")] == closed)
