"""The routing lab: explain, replay, what-if and shadow, over the event log or a file of it. It only reads.

May import `acd`, `storage`, and of the exchange what reads the log (`exchange.brain.records`, `logged`, `house`).
"""
