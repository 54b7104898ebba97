"""Plain SQL, numbered; `storage.migrate` runs it."""
