"""The speech worker: text to speech, cached as files, away from everything that has a clock.

Others import `media.speech.prompts` (`prompt_path`, `find_prompt`: is it spoken already?), which needs no voice.
"""
