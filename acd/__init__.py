"""The routing engine: contacts, queues, agents, offers, decided by a pure `engine.handle(event) -> list[Effect]`.

No I/O, no clock, no randomness of its own: time and ids arrive in events. Everybody may import `acd.model`, `acd.events`,
`acd.effects` (types) and `acd.engine` (the decider); this room imports no other.
"""
