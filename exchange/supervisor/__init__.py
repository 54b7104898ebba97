"""`switchroom serve`: starts the processes, adopts those that live, restarts what dies, stops them in order.

`table` says what runs, `records` what a run directory remembers of it, `process` and `child` watch one process each,
`supervisor` is the whole, `messages` what `supervisor.ctl` understands, `screen` what the terminal shows.
"""
