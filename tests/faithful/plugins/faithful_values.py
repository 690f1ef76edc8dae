"""The least value, as JSON carries it, that a type accepts: what assert_matches_type of openai's suite asks for."""

from __future__ import annotations

import collections.abc
import datetime
import types
from typing import Any, Literal, Union, get_args, get_origin

from openai import BaseModel
from openai._utils import is_annotated_type, is_type_alias_type

_DEEPEST = 12  # types refer to themselves: lists are empty and optional things absent from here on
_SCALARS: dict[Any, Any] = {
    str: "string",
    int: 0,
    float: 0.5,
    bool: True,
    bytes: "",
    datetime.datetime: "2019-12-27T18:11:19.117Z",
    datetime.date: "2019-12-27",
    type(None): None,
    None: None,
    object: {},
    Any: {},
}

_LISTS = {list, tuple, set, collections.abc.Iterable, collections.abc.Sequence}


def least_value(type_: Any, depth: int = 0) -> Any:
    """A value that JSON can carry and that openai's models read as ``type_``."""
    type_ = _bare(type_)
    if type_ in _SCALARS:
        return _SCALARS[type_]
    if isinstance(type_, type) and issubclass(type_, BaseModel):
        return _model(type_, depth)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Literal:
        return arguments[0]
    if origin in {Union, types.UnionType}:
        return None if type(None) in arguments else least_value(arguments[0], depth + 1)
    if origin in _LISTS:
        return [] if depth > _DEEPEST else [least_value(arguments[0], depth + 1)]
    return {}


def _bare(type_: Any) -> Any:
    """The type without its alias and its annotations."""
    if is_type_alias_type(type_):
        type_ = type_.__value__
    return get_args(type_)[0] if is_annotated_type(type_) else type_


def _model(model: type[BaseModel], depth: int) -> dict[str, Any]:
    return {
        field.alias or name: least_value(field.annotation, depth + 1)
        for name, field in model.model_fields.items()
        if field.is_required() or field.default is not None
    }
