"""What one says to a model: text, images and content parts, made into the content of one message."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from stable_openai.errors import ConfigurationError

__all__ = [
    "Image",
    "Message",
    "Said",
    "assistant_msg",
    "content_of",
    "image_part",
    "images_of",
    "system_msg",
    "tool_msg",
    "user_msg",
]

Message: TypeAlias = dict[str, Any]
Image: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str]"
Said: TypeAlias = "str | bytes | os.PathLike[str] | Mapping[str, Any]"

_LARGEST: Final = 20 << 20  # bytes of one image; OpenAI's documents name 20 MB
# The first bytes of the formats that OpenAI's vision guide names, and their media types (RFC 2046, RFC 6838).
_MAGIC: Final = ((b"\x89PNG\r\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_BYTES: Final = (bytes, bytearray, memoryview)
_URLS: Final = ("https://", "http://", "data:")


def user_msg(*said: Said, images: Iterable[Image] = ()) -> Message:
    """A message of the user's: ``{"role": "user", "content": …}``.

    Args:
        said: Text, images (``bytes`` or a ``Path``) and raw content parts (mappings with a ``type``), in order.
        images: More images: ``bytes``, a path, or a URL.

    Raises:
        ConfigurationError: A part is none of these, or an image can't be read.
    """
    return {"role": "user", "content": content_of(said, images)}


def assistant_msg(content: str) -> Message:
    """A message of the model's: ``{"role": "assistant", "content": …}``."""
    return {"role": "assistant", "content": content}


def system_msg(content: str) -> Message:
    """A message that tells the model how to behave: ``{"role": "system", "content": …}``."""
    return {"role": "system", "content": content}


def tool_msg(tool_call_id: str, content: str) -> Message:
    """What a tool has returned: ``{"role": "tool", "tool_call_id": …, "content": …}``."""
    return {"role": "tool", "tool_call_id": tool_call_id, "content": content}


def content_of(said: Iterable[Said], images: Iterable[Image] = ()) -> str | list[dict[str, Any]]:
    """The content of a message: a text where there is nothing but one, else a list of parts.

    Raises:
        ConfigurationError: A part is of no known kind, or there is none.
    """
    parts = [_part_of(part, f"content[{index}]") for index, part in enumerate(said)]
    parts += [image_part(image, f"images[{index}]") for index, image in enumerate(images_of(images))]
    if not parts:
        raise ConfigurationError("content", "is empty: say something")
    if len(parts) == 1 and parts[0]["type"] == "text" and set(parts[0]) == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _part_of(part: Any, where: str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, (*_BYTES, os.PathLike)):
        return image_part(part, where)
    if isinstance(part, Mapping) and isinstance(part.get("type"), str):
        return dict(part)
    raise ConfigurationError(
        where, f"must be text, an image (bytes or Path) or a part with a type, not {type(part).__name__}"
    )


def images_of(images: Any) -> list[Any]:
    """Images, of which one alone need not stand in a list."""
    return [images] if isinstance(images, (*_BYTES, str, os.PathLike)) else list(images)


def image_part(image: Image, where: str = "image") -> dict[str, Any]:
    """An image as a content part: a URL as it is, anything else as a ``data:`` URL (RFC 2397).

    Raises:
        ConfigurationError: The file can't be read, is too large, or is no PNG, JPEG, GIF or WebP.
    """
    if isinstance(image, str) and image.lower().startswith(_URLS):
        return {"type": "image_url", "image_url": {"url": image}}
    if not isinstance(image, (*_BYTES, str, os.PathLike)):
        raise ConfigurationError(where, f"must be bytes, a path or a URL, not {type(image).__name__}")
    data = bytes(image) if isinstance(image, _BYTES) else _read(Path(image), where)
    if len(data) > _LARGEST:
        raise ConfigurationError(where, f"is larger than {_LARGEST >> 20} MB, the most that is taken")
    kind = "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None
    kind = kind or next((media for magic, media in _MAGIC if data.startswith(magic)), None)
    if kind is None:
        raise ConfigurationError(where, "is no PNG, JPEG, GIF or WebP image")
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(data).decode()}"}}


def _read(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)  # no more than shows that it is too large
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise ConfigurationError(where, f"can't be read: {problem} ({str(path)!r:.200})") from None
