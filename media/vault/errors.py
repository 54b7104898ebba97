"""The vault's errors: one class, told apart by `code`.

`bad-name` `bad-audio` `empty` `not-found` `encoding` (making a recording); `key-file` (the master key cannot be
used); `wrong-key` `tampered` `truncated` `not-a-recording` (reading one).
"""

from __future__ import annotations


class VaultError(Exception):
    """Something the vault cannot do; `code` is for machines, the text for people."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
