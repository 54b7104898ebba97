"""PostgreSQL: migrations (plain SQL), queries (asyncpg), the event log.

May import `acd` types. Others import the query modules and `storage.log.EventLog`. The recordings' files are not here but in
`media.vault.store`: the vault worker writes them and may know nothing of this room; their rows and wrapped keys are here.
"""
