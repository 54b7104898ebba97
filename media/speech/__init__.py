"""The speech worker: text to speech, cached as files, away from everything that has a clock."""
