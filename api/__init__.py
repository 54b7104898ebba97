"""The HTTP and WebSocket surface: authentication, desk WebSocket, contacts, recordings, OpenAPI, metrics and health.

Knows everybody's types and nobody's internals: what it needs of the exchange is the Protocol in `api.ports`.
"""
