"""The routing engine: contacts, queues, agents, offers, decided by a pure `engine.handle(event) -> list[Effect]`.

No I/O, no clock, no randomness of its own: time and ids arrive in events. Everybody may import `acd.model`, `acd.events`,
`acd.effects` (types), `acd.engine` (the decider) and `acd.document` (configuration as YAML's plain values); this room imports
no other. `docs/routing.md` has the rules, and says at its end which file does what.

    events ─► engine ─► contacts, agents, talks, wrapup, callbacks, supervisors, deadlines, configuration    (what happened)
                        entry, visits ─► matching ─► ranking, strategies/ ─► offers, explanations            (who gets it)
                        state, people, cases, roster, lanes, heads, ordered, timers, capacity, eligibility   (what is known)
    effects ◄─┘         snapshots, views, estimates, sentences; figures/ (folds), simulation/ (virtual time)
"""
