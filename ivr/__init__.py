"""Flow documents, their validation and the runner that walks a caller through one.

The runner is a pure state machine: inputs in, effects out; the exchange does what the effects say. May import `acd` types.
Others import `ivr.document`, `ivr.validation`, `ivr.runner`, `ivr.state`, `ivr.effects`, `ivr.inputs`, and to try a flow
`ivr.simulator` with `ivr.script`.
"""
