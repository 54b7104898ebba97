"""The digital channels, one folder for each (docs/channels.md).

A channel knows the API's types and the Protocol `api.ports.Contacts`: `api.channel`, `api.ports`, `api.models`, `api.errors`,
and nothing else of ours.
"""
