"""Documents for properties: every field of every type, within what a document can hold."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from acd.document import SECTIONS, Document, in_order
from acd.model import Code

IDS = st.from_regex(r"[A-Za-z0-9+][A-Za-z0-9_.@+-]{0,7}", fullmatch=True)
TEXTS = st.one_of(
    st.sampled_from(
        ["", "yes", "off", "true", "null", "007", "+4930", "1.5", "5 pm", "a: b", "- x", "#", "1e5", "all", "*", " x "]
    ),
    st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=8),
)
SECONDS = st.one_of(
    st.sampled_from([0.0, 1.0, 30.0, 60.0, 90.0, 600.0, 3600.0, 86400.0, 0.25]),
    st.floats(0, 1e8, allow_nan=False),
)
INTEGERS = st.integers(-(10**14), 10**14)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    origin = get_origin(kind)
    if origin is Literal:
        return st.sampled_from(get_args(kind))
    if origin in (Union, types.UnionType):
        if float in get_args(kind) and str in get_args(kind):
            return st.one_of(TEXTS, INTEGERS, st.floats(allow_nan=False, allow_infinity=False), st.booleans())
        return st.one_of(*(st.none() if k is type(None) else values(k) for k in get_args(kind)))
    if origin is tuple:
        item = get_args(kind)[0]
        unique = {"unique_by": lambda code: code.code} if item is Code else {}
        return st.lists(values(item), max_size=3, **unique).map(tuple)
    if origin is dict:
        return st.dictionaries(values(get_args(kind)[0]), values(get_args(kind)[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return structs(kind)
    simple: dict[type, st.SearchStrategy[Any]] = {str: TEXTS, int: INTEGERS, bool: st.booleans(), float: SECONDS}
    return simple[kind]


def structs(kind: type[msgspec.Struct], **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of a Struct; about half of the fields keep their defaults."""
    needed, free = {}, {}
    for info in msgspec.structs.fields(kind):
        (needed if info.required else free)[info.name] = fixed.get(info.name, values(info.type))
    return st.fixed_dictionaries(needed, optional=free).map(lambda found: kind(**found))


def documents() -> st.SearchStrategy[Document]:
    """Whole documents, whether they make sense or not."""
    sections = {
        name: st.lists(structs(kind, id=IDS), max_size=2, unique_by=lambda item: item.id).map(in_order)
        for name, kind in SECTIONS.items()
    }
    return structs(Document, **sections)
