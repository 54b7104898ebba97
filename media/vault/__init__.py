"""The vault worker: encodes, analyses, encrypts and salvages recordings at low priority; and the vault itself.

The exchange imports `media.vault.store.Vault` and `media.vault.keys.load_master_key` to read what the worker wrote; everything
else here is the worker's own.
"""
