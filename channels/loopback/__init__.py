"""A scripted customer who chats: proves blended routing, and is the pattern for the channels to come.

`script` is what a customer will do, `customer` decides step by step without a clock, `channel` carries it out over the
internal API.
"""
