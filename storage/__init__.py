"""PostgreSQL and the recording vault: migrations (plain SQL), queries (asyncpg), the event log, encrypted files.

May import `acd` types. Others import the query modules, `storage.log.EventLog` and `storage.vault.Vault`.
"""
