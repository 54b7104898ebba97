"""The digital channels, one folder for each; each talks to the ACD by the internal API alone. Empty until its issue comes."""
