"""Errors of the storage room.

StorageError
├── EmbeddedPostgresError   the embedded server cannot be prepared or does not come up
├── MigrationError          the database is not one this version can use
├── DatabaseAway            PostgreSQL does not answer (retryable)
├── BadSearch               what is searched for cannot be in the database
└── Superseded              another writer of the log has a newer epoch; this one must stop
"""

from __future__ import annotations


class StorageError(Exception):
    """Root of the room's errors."""


class EmbeddedPostgresError(StorageError):
    """The embedded server cannot be prepared or does not come up."""


class MigrationError(StorageError):
    """The database is not one this version can use."""


class DatabaseAway(StorageError):
    """PostgreSQL does not answer; the same may work in a moment."""


class BadSearch(StorageError):
    """What is searched for cannot be in the database: no cursor of ours, a text or a time that it cannot hold."""


class Superseded(StorageError):
    """Another writer of the log has a newer epoch; this one must stop."""
