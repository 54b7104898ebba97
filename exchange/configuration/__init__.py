"""The configuration outside the engine: its YAML text, its calendars, what may be changed, and where it is kept.

Knows acd, storage and the ledger; the API and the command line come to it.
"""
