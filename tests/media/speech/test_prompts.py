"""Texts, names and the bounds of the prompt cache."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.speech.errors import SpeechError
from media.speech.prompts import DEFAULT_VOICE, PromptCache, clean_text, find_prompt, prompt_path

pytestmark = pytest.mark.unit

SECOND = np.zeros(8000, dtype=np.int16)
SIZE = 16_044


def test_the_name_depends_on_what_is_heard(tmp_path: Path) -> None:
    path = prompt_path(tmp_path, "You are number 3.", "", 8000)
    assert path == prompt_path(tmp_path, "  You are\nnumber  3. ", DEFAULT_VOICE, 8000)
    others = [("You are number 4.", "", 8000), ("You are number 3.", "", 16000), ("You are number 3.", "other", 8000)]
    assert len({path, *(prompt_path(tmp_path, *other) for other in others)}) == 4


@pytest.mark.parametrize("text", ["", "  \n", "a\0b", "bell\x07", "\x1b[2J", "x" * 2001, "\ud800"])
def test_bad_texts(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpeechError) as caught:
        prompt_path(tmp_path, text, "", 8000)
    assert caught.value.code == "bad-text"


@pytest.mark.parametrize("rate", [0, -1, 11025, 44100])
def test_bad_rates(tmp_path: Path, rate: int) -> None:
    with pytest.raises(SpeechError) as caught:
        prompt_path(tmp_path, "hello", "", rate)
    assert caught.value.code == "bad-rate"


@given(text=st.text(max_size=300))
def test_cleaning_is_stable(text: str) -> None:
    try:
        once = clean_text(text)
    except SpeechError:
        assert not text.strip() or not text.replace("\n", "").replace("\t", "").isprintable()
        return
    assert clean_text(once) == once
    assert once == once.strip() != ""


def test_written_is_found(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path)
    cache.prepare()
    assert find_prompt(tmp_path, "hello", "", 8000) is None
    path = prompt_path(tmp_path, "hello", "", 8000)
    assert cache.seconds(path) is None
    cache.write(path, SECOND, 8000)
    assert find_prompt(tmp_path, "hello", "", 8000) == path
    assert cache.seconds(path) == 1.0


@pytest.mark.parametrize("content", [b"", b"garbage", b"RIFF"])
def test_a_broken_file_is_no_prompt(tmp_path: Path, content: bytes) -> None:
    cache = PromptCache(tmp_path)
    path = prompt_path(tmp_path, "hello", "", 8000)
    path.parent.mkdir()
    path.write_bytes(content)
    assert cache.seconds(path) is None
    cache.write(path, SECOND, 8000)
    assert cache.seconds(path) == 1.0


def test_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, limit=10 * SIZE)
    cache.prepare()
    paths = [prompt_path(tmp_path, f"prompt {n}", "", 8000) for n in range(11)]
    for age, path in enumerate(paths[:10]):
        cache.write(path, SECOND, 8000)
        os.utime(path, (1_700_000_000 + age, 1_700_000_000 + age))
    assert find_prompt(tmp_path, "prompt 0", "", 8000)  # used just now
    cache.write(paths[10], SECOND, 8000)
    assert [path.exists() for path in paths] == [True, False, False, *[True] * 8]
    assert (cache.statistics().files, cache.statistics().bytes, cache.statistics().dropped) == (9, 9 * SIZE, 2)


def test_what_was_used_lately_is_never_removed(tmp_path: Path) -> None:
    cache = PromptCache(tmp_path, limit=2 * SIZE)
    paths = [prompt_path(tmp_path, f"prompt {n}", "", 8000) for n in range(5)]
    for path in paths:
        cache.write(path, SECOND, 8000)
    assert all(path.exists() for path in paths)


def test_a_new_writer_counts_and_clears_half_written_files(tmp_path: Path) -> None:
    first = PromptCache(tmp_path)
    path = prompt_path(tmp_path, "hello", "", 8000)
    first.write(path, SECOND, 8000)
    half = path.with_name(f".{path.name}.0000")
    half.touch()
    second = PromptCache(tmp_path)
    second.prepare()
    assert not half.exists()
    assert second.statistics().files == 1
