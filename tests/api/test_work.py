"""Contacts, offers, agents and queues over HTTP: who may, what is taken for what, and which errors come out."""

from __future__ import annotations

from typing import Any

import pytest

from api.channel import Callback, Change, End, Park, Pick, Requeue, Transfer
from api.errors import ApiError
from tests.api.surface import World

pytestmark = pytest.mark.layer

CHAT = {"channel": "chat", "entry_point": "chat"}
ASSIGN = {"agent": "a1"}

WHO: list[tuple[str, str, Any, set[str]]] = [
    ("POST", "/contacts", CHAT, {"supervisor", "admin"}),
    ("PATCH", "/contacts/c1", {"priority": 1}, {"supervisor", "admin"}),
    ("DELETE", "/contacts/c1", None, {"supervisor", "admin"}),
    ("GET", "/contacts/c1/now", None, {"agent1", "supervisor", "admin"}),
    ("GET", "/contacts/c1/messages", None, {"agent1", "supervisor", "admin"}),
    ("POST", "/contacts/c1/messages", {"text": "Hello"}, {"agent1", "supervisor", "admin"}),
    ("POST", "/contacts/c1/end", {}, {"agent1", "supervisor", "admin"}),
    ("POST", "/contacts/c1/park", None, {"agent1", "supervisor", "admin"}),
    ("POST", "/contacts/c1/resume", {}, {"agent1", "supervisor", "admin"}),
    ("POST", "/contacts/c1/callback", {}, {"agent1", "supervisor", "admin"}),
    ("POST", "/contacts/c1/pick", {}, {"agent1", "supervisor", "admin"}),
    ("POST", "/contacts/c1/transfer", {"kind": "queue", "id": "sales"}, {"agent1", "supervisor", "admin"}),
    ("POST", "/contacts/c1/assign", ASSIGN, {"supervisor", "admin"}),
    ("POST", "/contacts/c1/requeue", {}, {"supervisor", "admin"}),
    ("GET", "/offers", None, {"agent1", "supervisor", "admin"}),
    ("POST", "/offers/c1.1/accept", None, {"agent1"}),
    ("POST", "/offers/c1.1/decline", {}, {"agent1"}),
    ("GET", "/agents/a1/state", None, {"supervisor", "admin"}),
    ("POST", "/agents/a1/state", {"state": "idle"}, {"supervisor", "admin"}),
    ("GET", "/queues/sales/now", None, {"supervisor", "admin"}),
    ("POST", "/queues/sales/close", None, {"supervisor", "admin"}),
    ("POST", "/queues/sales/open", None, {"supervisor", "admin"}),
    ("POST", "/broadcasts", {"text": "Hello"}, {"supervisor", "admin"}),
]


async def test_who_may_do_what() -> None:
    world = World()
    async with world.client() as nobody:
        for method, path, body, _ in WHO:
            answer = await nobody.request(method, f"/api/v1{path}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not-logged-in"), path
    for name in ("agent1", "supervisor", "admin"):
        async with world.logged_in(name) as client:
            for method, path, body, who in WHO:
                answer = await client.request(method, f"/api/v1{path}", json=body)
                if name in who:
                    assert answer.status_code < 300, (name, path, answer.text)
                else:
                    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not-allowed"), (name, path)


async def test_requests_arrive_as_they_were_meant_and_with_their_keys() -> None:
    world = World()
    async with world.logged_in() as client:
        client.headers["idempotency-key"] = "k1"
        bodies: list[tuple[str, str, Any]] = [
            ("POST", "transfer", {"kind": "agent", "id": "a1", "priority": 2}),
            ("POST", "end", {"by": "customer"}),
            ("POST", "park", None),
            ("POST", "pick", {}),
            ("POST", "requeue", {"queue": "sales", "keep_place": False}),
            ("POST", "callback", {"number": "+4930", "not_before": "2026-11-22T08:00:00+01:00"}),
        ]
        for method, name, body in bodies:
            answer = await client.request(method, f"/api/v1/contacts/c1/{name}", json=body)
            assert answer.json() == {"id": "d1"}, answer.text
        await client.patch("/api/v1/contacts/c1", json={"need": {"skills": [{"skill": "german", "least": 5}]}})
        await client.delete("/api/v1/contacts/c1")
    asked = world.contacts.asked
    assert {(contact, user, key) for contact, user, _, key in asked} == {("c1", "s1", "k1")}
    actions = [action for _, _, action, _ in asked]
    assert actions[:5] == [
        Transfer(kind="agent", id="a1", priority=2),
        End(by="customer"),
        Park(),
        Pick(),
        Requeue(queue="sales", keep_place=False),
    ]
    assert isinstance(actions[5], Callback)
    assert actions[5].not_before is not None
    assert actions[5].not_before.timestamp() == 1795330800
    assert isinstance(actions[6], Change)
    assert actions[6].need is not None
    assert actions[6].need.skills[0].least == 5
    assert actions[7] == End()


BAD: list[tuple[str, Any, str]] = [
    ("/contacts", {"channel": "pigeon", "entry_point": "chat"}, "channel"),
    ("/contacts", {"channel": "chat"}, "an entry_point or a queue"),
    ("/contacts", {"channel": "voice", "entry_point": "5000"}, "callback"),
    ("/contacts", {"channel": "voice", "queue": "sales", "callback": {}}, "number"),
    ("/contacts", {"channel": "chat", "queue": "sales", "callback": {"number": "1"}}, "voice"),
    ("/contacts", {**CHAT, "cad": {f"n{n}": "v" for n in range(51)}}, "cad"),
    ("/contacts", {**CHAT, "customer": "x" * 201}, "customer"),
    ("/contacts", {**CHAT, "priority": 11}, "priority"),
    ("/contacts", {**CHAT, "colour": "red"}, "colour"),
    ("/contacts", [CHAT], "body"),
    ("/contacts/c1/callback", {"not_before": "2026-11-22T08:00:00"}, "zone"),
    ("/contacts/c1/callback", {"not_before": "2026-11-22T08:00:00Z", "not_after": "2026-11-22T07:00:00Z"}, "later"),
    ("/contacts/c1/transfer", {"kind": "voicemail", "id": "x"}, "kind"),
    ("/contacts/c1/end", {"by": "weather"}, "by"),
    ("/contacts/c1/messages", {"text": ""}, "text"),
    ("/contacts/c1/messages", {"text": "x" * 4001}, "text"),
    ("/contacts/c1/assign", {}, "agent"),
    ("/agents/a1/state", {"state": "asleep"}, "state"),
    ("/broadcasts", {"text": "  "}, "text"),
]


async def test_what_makes_no_sense_is_422_and_says_where() -> None:
    world = World()
    async with world.logged_in() as client:
        for path, body, words in BAD:
            answer = await client.post(f"/api/v1{path}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid"), (path, body)
            assert words in answer.json()["error"]["message"], answer.text
        assert (await client.patch("/api/v1/contacts/c1", json={})).status_code == 422
        assert (await client.get("/api/v1/contacts/c1/messages?after=-1")).status_code == 422
        for key in ("x" * 101, "a b"):
            answer = await client.post("/api/v1/contacts", json=CHAT, headers={"idempotency-key": key})
            assert answer.status_code == 422, key
    async with world.logged_in("agent1") as client:
        assert (await client.post("/api/v1/offers/c1.1/decline", json={"reason": "Because of Jo"})).status_code == 422
    assert world.contacts.asked == world.floor.asked == []


async def test_refusals_come_out_with_their_code_and_sentence() -> None:
    world = World()
    world.contacts.refusal = world.floor.refusal = ApiError(409, "offer-gone", "Offer c1.1 is over.")
    async with world.logged_in() as client:
        for method, path, body, who in WHO:
            if "supervisor" in who and method != "GET":
                answer = await client.request(method, f"/api/v1{path}", json=body)
                told = {"error": {"code": "offer-gone", "message": "Offer c1.1 is over."}}
                assert (answer.status_code, answer.json()) == (409, told), path


async def test_a_contact_that_is_open_tells_how_it_is() -> None:
    world = World()
    async with world.logged_in() as client:
        assert (await client.get("/api/v1/contacts/c1")).json()["now"]["wait"]["p90"] == 25.0
        answer = await client.get("/api/v1/contacts/c2/now")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no-such-contact")
