"""Who comes second at the border is told so, with a code; nothing is done twice, and nobody has what is not theirs."""

from __future__ import annotations

import asyncio

import pytest

from tests.exchange.brain.border import running_border

pytestmark = pytest.mark.layer


# --- two at once ------------------------------------------------------------------------------------------------------


async def test_an_offer_is_accepted_once() -> None:
    async with running_border() as border:
        page = await border.page()
        contact = await border.chat()
        offer = await border.offered(page)
        path = f"/offers/{offer}/accept"
        answers = await asyncio.gather(*(border.post(path, by="agent1") for _ in range(3)))
        assert sorted(answers, key=str) == [(200, {"id": offer}), (409, "offer-gone"), (409, "offer-gone")]
        assert (await border.state(contact), (await border.now(contact))["agent"]) == ("engaged", "agent1")
        assert len(border.floor.log.written("segment_started")) == 1


async def test_the_same_accept_with_its_key_is_one_accept() -> None:
    async with running_border() as border:
        page = await border.page()
        await border.chat()
        path = f"/offers/{await border.offered(page)}/accept"
        answers = await asyncio.gather(*(border.post(path, by="agent1", key="k") for _ in range(3)))
        assert {status for status, _ in answers} == {200}
        assert len(border.floor.log.written("segment_started")) == 1


async def test_an_offer_is_accepted_by_whom_it_is_made_to() -> None:
    async with running_border() as border:
        page = await border.page()
        await border.chat()
        offer = await border.offered(page)
        assert await border.post(f"/offers/{offer}/accept", by="agent2") == (409, "not-your-offer")
        assert await border.post(f"/offers/{offer}/accept", by="supervisor") == (403, "not-allowed")
        assert await border.post("/offers/none/accept", by="agent1") == (404, "no-such-offer")
        assert (await border.ask("GET", "/offers", by="agent2"))[1] == {"items": []}
        assert [item["id"] for item in (await border.ask("GET", "/offers"))[1]["items"]] == [offer]


async def test_an_accept_after_the_offer_was_declined_or_withdrawn() -> None:
    async with running_border() as border:
        page = await border.page()
        contact = await border.chat()
        offer = await border.offered(page)
        assert (await border.post(f"/offers/{offer}/decline", {"reason": "busy"}, by="agent1"))[0] == 200
        assert await border.post(f"/offers/{offer}/accept", by="agent1") == (409, "offer-gone")
        assert await border.state(contact) == "waiting"
        await page.say("set_state", state="available")
        second = await border.offered(page)
        assert (await border.ask("DELETE", f"/contacts/{contact}"))[0] == 200
        assert await border.post(f"/offers/{second}/accept", by="agent1") == (409, "offer-gone")
        assert border.final(contact) == "flowed-out"


async def test_the_customer_leaves_before_the_accept() -> None:
    async with running_border() as border:
        page = await border.page()
        contact = await border.chat()
        offer = await border.offered(page)
        left, accepted = await asyncio.gather(
            border.post(f"/contacts/{contact}/end", {"by": "customer"}), border.post(f"/offers/{offer}/accept", by="agent1")
        )
        assert left[0] == 200
        assert (accepted, border.final(contact)) in [
            ((409, "offer-gone"), "short-abandoned"),
            ((200, {"id": offer}), "handled"),
        ]
        await page.until(lambda: page.now["offer"] is None)


@pytest.mark.parametrize("first", ["customer", "agent"])
async def test_accept_and_leaving_in_either_order(first: str) -> None:
    async with running_border() as border:
        page = await border.page()
        contact = await border.chat()
        offer = await border.offered(page)
        if first == "agent":
            assert (await border.post(f"/offers/{offer}/accept", by="agent1"))[0] == 200
            assert (await border.post(f"/contacts/{contact}/end", {"by": "customer"}))[0] == 200
            assert border.final(contact) == "handled"
        else:
            assert (await border.post(f"/contacts/{contact}/end", {"by": "customer"}))[0] == 200
            assert await border.post(f"/offers/{offer}/accept", by="agent1") == (409, "offer-gone")
            assert border.final(contact) == "short-abandoned"
        assert await border.post(f"/contacts/{contact}/end", {"by": "customer"}) == (409, "contact-ended")


async def test_a_supervisor_assigns_while_the_agent_accepts() -> None:
    async with running_border() as border:
        first, _ = await border.page("agent1"), await border.page("agent2")
        contact = await border.chat()
        offer = await border.offered(first)
        force = {"agent": "agent2", "force": True}
        assert (await border.post(f"/contacts/{contact}/assign", force))[0] == 200
        assert await border.post(f"/offers/{offer}/accept", by="agent1") == (409, "offer-gone")
        assert (await border.now(contact))["agent"] == "agent2"
        assert await border.post(f"/contacts/{contact}/assign", force) == (409, "not-waiting")
        await first.until(lambda: first.now["agent"]["state"] == "available")


async def test_a_supervisor_requeues_while_the_agent_accepts() -> None:
    async with running_border() as border:
        page = await border.page()
        contact = await border.chat()
        offer = await border.offered(page)
        assert (await border.post(f"/contacts/{contact}/requeue", {"queue": "sales"}))[0] == 200
        assert await border.post(f"/offers/{offer}/accept", by="agent1") == (409, "offer-gone")
        second = await border.offered(page)
        assert (await border.post(f"/offers/{second}/accept", by="agent1"))[0] == 200
        assert (await border.post(f"/contacts/{contact}/requeue", {"queue": "support"}))[0] == 200
        now = await border.now(contact)
        assert (now["agent"], now["queue"], now["state"] in {"waiting", "offered"}) == ("", "support", True)


# --- keys -------------------------------------------------------------------------------------------------------------


async def test_a_contact_is_created_once_for_each_key_also_across_a_restart() -> None:
    async with running_border() as border:
        body = {"channel": "chat", "entry_point": "chat"}
        answers = await asyncio.gather(*(border.post("/contacts", body, key="k1") for _ in range(4)))
        assert len({str(answer) for answer in answers}) == 1
        await border.floor.restart()
        assert await border.post("/contacts", body, key="k1") == answers[0]
        assert await border.post("/contacts", {**body, "name": "Jo"}, key="k1") == (422, "key-reused")
        assert (await border.post("/contacts", body, key="k1", by="other"))[1] != answers[0][1], "keys are each user's own"
        assert len(border.floor.exchange.house.engine.contacts()) == 2


async def test_a_refusal_is_an_answer_too() -> None:
    async with running_border() as border:
        contact = await border.chat()
        path = f"/contacts/{contact}/park"
        assert await border.post(path, key="k") == (409, "not-engaged")
        page = await border.page()
        assert (await border.post(f"/offers/{await border.offered(page)}/accept", by="agent1"))[0] == 200
        assert await border.post(path, key="k") == (409, "not-engaged")
        await border.floor.restart()
        assert await border.post(path, key="k") == (409, "not-engaged")
        assert (await border.post(path, key="k2"))[0] == 200
        assert await border.state(contact) == "parked"


# --- whose, and what --------------------------------------------------------------------------------------------------


async def test_a_queue_that_takes_nobody_rejects() -> None:
    async with running_border() as border:
        assert (await border.post("/queues/support/close"))[0] == 200
        assert await border.post("/queues/support/close") == (409, "closed-already")
        status, code = await border.post("/contacts", {"channel": "chat", "entry_point": "chat"}, key="k")
        assert (status, code) == (409, "queue-closed")
        assert [row[2] for row in border.floor.log.written("contact_ended")] == ["rejected"]
        assert await border.post("/contacts", {"channel": "chat", "entry_point": "chat"}, key="k") == (status, code)
        assert (await border.ask("GET", "/queues/support/now"))[1]["closed"]
        assert (await border.post("/queues/support/open"))[0] == 200
        assert await border.chat()


async def test_what_waits_can_be_changed_and_what_does_not_cannot() -> None:
    async with running_border() as border:
        first, second = await border.chat(), await border.chat()
        assert ((await border.now(second))["wait"] or {}).get("position") == 2
        assert (await border.ask("PATCH", f"/contacts/{second}", {"priority": 1}))[0] == 200
        now = await border.now(second)
        assert (now["priority"], now["wait"]["position"], now["wait"]["mean"]) == (1, 1, None), "nobody works here"
        assert (await border.ask("PATCH", f"/contacts/{second}", {"queue": "sales"}))[0] == 200
        assert (await border.now(second))["queue"] == "sales"
        assert await border.ask("PATCH", f"/contacts/{second}", {"queue": "none"}) == (422, "no-such-queue")
        assert (await border.ask("DELETE", f"/contacts/{first}"))[0] == 200
        assert await border.ask("PATCH", f"/contacts/{first}", {"priority": 1}) == (409, "contact-ended")
        assert await border.ask("PATCH", "/contacts/none", {"priority": 1}) == (404, "no-such-contact")


async def test_agents_touch_what_is_theirs() -> None:
    async with running_border() as border:
        page = await border.page()
        contact = await border.chatting(page)
        other = {"by": "agent2"}
        for path, body in (("end", {}), ("park", None), ("transfer", {"kind": "queue", "id": "sales"})):
            assert await border.post(f"/contacts/{contact}/{path}", body, **other) == (403, "not-your-contact")
        assert await border.post(f"/contacts/{contact}/messages", {"text": "x", "author": "agent"}, **other) == (
            403,
            "not-your-contact",
        )
        for path in ("messages", "now"):
            assert await border.ask("GET", f"/contacts/{contact}/{path}", **other) == (403, "not-your-contact")
        assert await border.post(f"/contacts/{contact}/assign", {"agent": "agent2"}, **other) == (403, "not-allowed")
        assert await border.post(f"/contacts/{contact}/messages", {"text": "x", "author": "agent"}) == (403, "not-your-contact")
        assert (await border.post(f"/contacts/{contact}/transfer", {"kind": "queue", "id": "sales"}, by="agent1"))[0] == 200
        assert await border.post(f"/contacts/{contact}/pick", {"agent": "agent1"}, **other) == (403, "not-allowed")


async def test_states_are_forced_and_words_are_spread() -> None:
    async with running_border() as border:
        page = await border.page()
        assert (await border.post("/agents/agent1/state", {"state": "idle", "code": "break"}))[0] == 200
        await page.until_state("idle")
        assert await border.post("/agents/agent1/state", {"state": "idle", "code": "nonsense"}) == (409, "unknown-code")
        assert await border.post("/agents/nobody/state", {"state": "idle"}) == (404, "no-such-agent")
        status, said = await border.post("/broadcasts", {"text": "The lift is broken."}, key="k")
        assert (status, (await border.post("/broadcasts", {"text": "The lift is broken."}, key="k"))[1]) == (201, said)
        await page.until(lambda: page.now["broadcasts"])
        (shown,) = page.now["broadcasts"]
        assert (shown["text"], shown["by"]) == ("The lift is broken.", "Supervisor")
        await border.floor.restart()
        page = await border.floor.page()
        await page.until(lambda: page.now["broadcasts"])
        await page.say("put_away", broadcast=shown["id"])
        await page.until(lambda: not page.now["broadcasts"])
        assert (await border.post("/agents/agent1/state", {"state": "logged-out"}))[0] == 200
        await page.until_state("logged-out")
        assert await border.post("/agents/agent1/state", {"state": "logged-out"}) == (409, "not-logged-in")
        status, agent = await border.ask("GET", "/agents/agent1/state")
        assert (status, agent["state"], agent["works"]) == (200, "logged-out", [])


# --- calls ------------------------------------------------------------------------------------------------------------


async def test_a_call_is_worked_with_by_the_same_requests() -> None:
    async with running_border() as border:
        floor = border.floor
        pages = [await floor.page(agent) for agent in ("agent1", "agent2")]
        for page in pages:
            await page.softphone()
        call = floor.line.call(1)
        await floor.until(lambda: floor.line.calls[call].collect)
        floor.line.press(call, "1")
        contact = floor.contact(call)
        await floor.until(lambda: floor.line.calls[call].music)
        assert (await border.now(contact))["wait"]["position"] == 1
        assert await border.post(f"/contacts/{contact}/pick", by="agent1") == (200, {"id": contact})
        await pages[0].talks()
        assert (await border.post(f"/contacts/{contact}/requeue", {"queue": "support"}))[0] == 200
        await floor.until(lambda: floor.line.calls[call].music)
        assert (await border.post(f"/contacts/{contact}/assign", {"agent": "agent2", "force": True}))[0] == 200
        await pages[1].talks()
        assert await border.post(f"/contacts/{contact}/park", by="agent2") == (409, "not-for-voice")
        assert await border.post(f"/contacts/{contact}/end", {"by": "customer"}) == (409, "not-for-voice")
        assert await border.post(f"/contacts/{contact}/messages", {"text": "x"}) == (409, "no-messages")
        assert (await border.post(f"/contacts/{contact}/transfer", {"kind": "agent", "id": "agent1"}, by="agent2"))[0] == 200
        await pages[0].say("wrap_up")
        await pages[0].say("set_state", state="available")
        await pages[0].accept()
        await pages[0].talks()
        assert (await border.post(f"/contacts/{contact}/end", by="agent1"))[0] == 200
        await floor.until(lambda: call in floor.line.forgotten)
        assert (border.final(contact), floor.exchange.house.talks) == ("handled", {})
        queues = [row[3] for row in floor.log.written("segment_started")]
        assert queues == ["sales", "support", "support"]


async def test_a_call_that_waits_can_be_ended_from_outside() -> None:
    async with running_border() as border:
        floor = border.floor
        await floor.page()
        call = floor.line.call(1)
        await floor.until(lambda: floor.line.calls[call].collect)
        floor.line.press(call, "1")
        contact = floor.contact(call)
        await floor.until(lambda: floor.line.calls[call].music)
        assert (await border.ask("DELETE", f"/contacts/{contact}"))[0] == 200
        await floor.until(lambda: call in floor.line.forgotten)
        assert (border.final(contact), floor.exchange.house.talks) == ("flowed-out", {})


async def test_a_callback_is_asked_for() -> None:
    async with running_border() as border:
        body = {"channel": "voice", "queue": "sales", "callback": {"number": "+4930123", "not_before": "2099-01-01T00:00:00Z"}}
        status, made = await border.post("/contacts", body)
        assert status == 201, made
        now = await border.now(made["id"])
        assert (now["state"], now["callback"], now["visits"][0]["kind"]) == ("scheduled", True, "callback")
        await border.floor.restart()
        assert border.floor.exchange.details[made["id"]].callback == "+4930123"
        assert (await border.ask("DELETE", f"/contacts/{made['id']}"))[0] == 200
        assert border.final(made["id"]) == "flowed-out"
        assert await border.post("/contacts", {**body, "queue": "none"}) == (422, "no-such-queue")
        assert await border.post("/contacts", {**body, "entry_point": "chat"}) == (422, "no-such-entry-point")
        assert await border.post("/contacts", {**body, "queue": "", "entry_point": "5000"}) == (422, "no-such-queue")
        assert (await border.post("/contacts", {**body, "entry_point": "5000"}))[0] == 201
        waiting = await border.chat()
        assert await border.post(f"/contacts/{waiting}/callback", {"number": "+4930124"}) == (409, "not-for-chat")
