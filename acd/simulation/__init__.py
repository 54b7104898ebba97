"""A contact centre in virtual time: the real `acd.engine.Engine` with customers and agents who are drawn or replayed.

Pure and deterministic by seed. Every random number hangs on a contact's id and what it is for, so that the same contact has
the same patience and the same handling time under two rule sets: the difference between two runs is the rules' alone.
`simulator` runs, `observer` makes plans of a log, `figures` counts, `compare` says how sure it is, `erlang` has the formulas
that it is tested against.
"""
