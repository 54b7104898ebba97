"""The exchange process: the one place that decides. It owns no audio and no SIP dialog.

`house` is the state, a pure fold over the log; `ledger` logs first and lets effects out after; `lines`, `bridge`, `desks` and
`filing` carry effects out; `process` wires them.
"""
