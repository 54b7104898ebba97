"""The figures of the contact centre as a fold over the engine's effects: by interval, queue and agent, and as they are now.

Pure: no I/O, no clock. `Fold.take(at, effect)` is the only way in; live and historical figures are the same fold, asked now or
stored by the quarter of an hour. `definitions` says of each figure what it is, how it is computed, and what is behind it.
May be imported by everybody who may import `acd`.
"""
