"""pydantic's errors as problems of a file, with what would have been right."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from twin.city.spelling import did_you_mean
from twin.errors import Problem

__all__ = ["partly", "schema_problems"]

M = TypeVar("M", bound=BaseModel)

_WORDS = (
    ("Input should be ", ""),
    ("String should ", "text that should "),
    ("Value error, ", ""),
    ("valid tuple", "list"),
    ("valid dictionary or object to extract fields from", "table"),
    ("valid dictionary or instance of ", "table: "),
    ("valid dictionary", "table"),
    ("valid integer", "whole number"),
    ("valid ", ""),
)
LONGEST = 60


def schema_problems(
    error: ValidationError, model: type[BaseModel], data: Any, file: str
) -> Iterator[Problem]:
    """Yield what a model found wrong with `data`.

    Parameters
    ----------
    model : that was asked
    data : as the file has it; entries of lists are named in places where they have a name
    file : named in problems
    """
    for item in error.errors():
        location, kind = item["loc"], item["type"]
        place = _place(location, data)
        owner, info = _known(model, location)
        if kind == "extra_forbidden":
            owner, _ = _known(model, location[:-1])
            known = sorted(owner.model_fields) if owner is not None else []
            allowed = f"one of {', '.join(known)}{did_you_mean(str(location[-1]), known)}"
            yield Problem(file, place, f"unknown key (= {_shown(item['input'])})", allowed)
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            context = item.get("ctx", {})
            known = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
            key = str(context.get("discriminator", "")).strip("'")
            given = context.get("tag")
            means = did_you_mean(str(given), known) if given is not None else ""
            allowed = f"one of {', '.join(known)}{means}" if known else f"a {key}"
            yield Problem(
                file, f"{place}.{key}", "missing" if given is None else repr(given), allowed
            )
        elif kind == "missing":
            described = None if info is None else info.description
            yield Problem(file, place, "missing", described or "a value")
        elif kind == "value_error" and isinstance(item["input"], dict):
            for rule in _words(item["msg"]).split("; "):
                yield Problem(file, place, "does not fit together", rule)
        else:
            described = None if info is None else info.description
            allowed = _words(item["msg"]) + (f" ({described})" if described else "")
            yield Problem(file, place, _shown(item["input"]), allowed)


def partly(model: type[M], row: dict[str, Any]) -> tuple[M, frozenset[str]]:
    """Return what could be read of an entry, and the fields that could not.

    No rule of the whole entry was applied. A field that is lost has its default, or is not there.
    """
    values: dict[str, Any] = {}
    lost: set[str] = set()
    for name, info in model.model_fields.items():
        if name not in row:
            if info.is_required():
                lost.add(name)
            continue
        try:
            field: TypeAdapter[Any] = TypeAdapter(cast(Any, Annotated[info.annotation, info]))
            values[name] = field.validate_python(row[name])
        except ValidationError:
            part = _part(info, row[name])
            if part is None:
                lost.add(name)
            else:
                values[name] = part
    return model.model_construct(**values), frozenset(lost)


def _part(info: FieldInfo, value: Any) -> BaseModel | None:
    """Return a section of which every field is well, though they do not fit together."""
    sections = list(_sections(info.annotation))
    if len(sections) != 1 or not isinstance(value, dict):
        return None
    part, lost = partly(sections[0], value)
    return None if lost or set(value) - set(sections[0].model_fields) else part


def _place(location: Sequence[int | str], data: Any) -> str:
    """Return the dotted place; an entry of a list with its name, a union's tag left out."""
    parts: list[str] = []
    node = data
    for part in location:
        if isinstance(node, dict) and part not in node and part == node.get("driver"):
            continue
        node = _at(node, part)
        name = node.get("name") if isinstance(node, dict) and isinstance(part, int) else None
        parts.append(f"{part} ({name})" if isinstance(name, str) else str(part))
    return ".".join(parts) or "file"


def _at(node: Any, part: int | str) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and 0 <= part < len(node):
        return node[part]
    return None


def _known(
    model: type[BaseModel], location: Sequence[int | str]
) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Return the section at a location (None for a plain key) and the field that it is."""
    owner: type[BaseModel] | None = model
    info: FieldInfo | None = None
    choices: list[type[BaseModel]] = []
    for part in location:
        if isinstance(part, int):
            continue
        tagged = [c for c in choices if part in _tags(c)]
        if tagged:
            owner, choices = tagged[0], []
        elif owner is not None and part in owner.model_fields:
            info = owner.model_fields[part]
            choices = list(_sections(info.annotation))
            owner = choices[0] if choices else None
    return owner, info


def _tags(model: type[BaseModel]) -> tuple[object, ...]:
    field = model.model_fields.get("driver")
    return () if field is None else typing.get_args(field.annotation)


def _sections(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the sections that an annotation holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for held in typing.get_args(annotation):
        yield from _sections(held)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _words(message: str) -> str:
    for pydantic, plain in _WORDS:
        message = message.replace(pydantic, plain)
    return message
