"""What a scripted customer does, as a YAML document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from api.channel import NewContact, Words

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class ScriptError(ValueError):
    """The document is not a script; the message says where, in a sentence."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Say(_Part):
    """Write something."""

    say: Words


class Wait(_Part):
    """Until some seconds have passed, an agent is there, or an agent has written since the customer last did."""

    wait: Seconds | Literal["agent", "answer"]
    patience: Seconds = 0.0
    """After so many seconds of `agent` or `answer` the customer leaves; 0: never."""


class Leave(_Part):
    """Go."""

    leave: bool = True


Step = Say | Wait | Leave


class Script(_Part):
    """A customer's whole visit. When the steps are done the customer stays until the conversation is ended."""

    contact: NewContact
    patience: Seconds = 0.0
    """Without an agent for so many seconds, and the customer leaves; 0: never."""
    steps: tuple[Step, ...] = Field(min_length=1, max_length=1000)

    @field_validator("steps", mode="before")
    @classmethod
    def _short_forms(cls, steps: Any) -> Any:
        """`- leave` is short for `- leave: true`."""
        return [{"leave": True} if step == "leave" else step for step in steps] if isinstance(steps, list) else steps


def parse(text: str) -> Script:
    """Raises ScriptError."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScriptError(f"That is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(found, dict):
        raise ScriptError("A script has the fields contact, steps and, if wanted, patience.")
    contact = found.get("contact")
    if isinstance(contact, dict):
        found["contact"] = {"channel": "chat", **contact}
    try:
        return Script.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ScriptError(f"{where or 'The script'}: {first['msg']}.") from error
