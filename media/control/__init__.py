"""The control protocol: typed messages (msgspec, msgpack, length-prefixed) on a unix stream socket that the card listens on.

`envelope` is the framing, `line`, `desk`, `edge` and `work` say what each kind of card understands and reports,
`server` is the card's side, `client` the exchange's. One commander, several observers.
"""
