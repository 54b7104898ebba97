"""The vault worker: encodes, analyses, encrypts and salvages recordings at low priority."""
