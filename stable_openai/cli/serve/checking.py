"""Settings that can't be, or that say nothing together, are refused before anything is opened."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stable_openai.errors import ConfigurationError
from stable_openai.serving import check_url
from stable_openai.stores.opening import MEMORY, check_store
from stable_openai.stores.shared.sqlite.urls import check_sqlite_url

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["SERVERS", "check"]

SERVERS: Final = ("gateway", "grpc", "http")
_SECONDS: Final = ("idle", "max_wait", "drain")
_COUNTS: Final = ("workers", "max_sessions")
_FILES: Final = ("pool", "token_file", "tls_cert", "tls_key")
_OF_GATEWAY: Final = ("admins", "behind_proxy", "bounds")
_OF_SERVICE: Final = ("session_base_urls", "model", "sessions", "max_sessions", "idle")


def check(settings: Settings) -> None:
    """Check settings one by one, and together.

    Raises:
        ConfigurationError: One is wrong; the message says where it was told, and what to do.
    """
    _check_numbers(settings)
    _check_addresses(settings)
    _check_urls(settings)
    _check_paths(settings)
    _check_folder_of_store(settings)
    _check_uses(settings)
    if settings.workers > 1:
        _check_workers(settings)


def _check_numbers(settings: Settings) -> None:
    for name in _COUNTS:
        count = getattr(settings, name)
        if count is not None and count < 1:
            raise ConfigurationError(settings.where(name), f"must be at least 1, not {count}")
    for name in _SECONDS:
        seconds = getattr(settings, name)
        if seconds is not None and not 0 <= seconds < math.inf:
            raise ConfigurationError(settings.where(name), f"must be a number of seconds from 0 up, not {seconds}")


def _check_addresses(settings: Settings) -> None:
    taken: dict[object, str] = {}
    for name in SERVERS:
        if getattr(settings, name) is None:
            continue
        address = settings.address(name)
        if address.port and address in taken:
            raise ConfigurationError(settings.where(name), f"{address} is the address of {taken[address]} already")
        taken[address] = name


def _check_urls(settings: Settings) -> None:
    if settings.store is not None:
        with settings.explained():
            check_store(settings.store)
    variable = os.environ.get("OPENAI_BASE_URL")
    if settings.base_url is not None:
        check_url(settings.base_url, settings.where("base_url"))
    elif variable and settings.gateway:
        check_url(variable, "OPENAI_BASE_URL")
    for index, url in enumerate(settings.session_base_urls or ()):
        if url != "*":
            check_url(url, settings.where(f"session_base_urls[{index}]"))


def _check_paths(settings: Settings) -> None:
    for name in _FILES:
        path = getattr(settings, name)
        if path is not None and (not path.exists() or path.is_dir()):
            raise ConfigurationError(settings.where(name), f"there is no file {path.absolute()}")
        if path is not None and not os.access(path, os.R_OK):
            told = f"{path.absolute()} can't be read: it has to belong to the user who runs this"
            raise ConfigurationError(settings.where(name), told)
    if settings.sessions is not None and not settings.sessions.absolute().parent.is_dir():
        told = f"there is no folder {settings.sessions.absolute().parent}: make it first"
        raise ConfigurationError(settings.where("sessions"), told)


def _check_folder_of_store(settings: Settings) -> None:
    """Refuse a file in no folder: a store that is lost later stops nobody, one that was never there is a mistake."""
    if settings.counted_in.startswith("sqlite:"):
        folder = Path(check_sqlite_url(settings.counted_in).path).parent
        if not folder.is_dir():
            raise ConfigurationError(settings.where("store"), f"there is no folder {folder}: make it first")


def _check_uses(settings: Settings) -> None:
    """Refuse what has no effect: somebody has meant it to have one."""
    for one, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if getattr(settings, one) is not None and getattr(settings, other) is None:
            raise ConfigurationError(settings.where(one), f"needs {other} too: a certificate goes with its key")
    if settings.gateway is None:
        _refuse_told(settings, _OF_GATEWAY, "is for the gateway: give --gateway too, or leave it out")
    if settings.grpc is None and settings.http is None:
        _refuse_told(settings, _OF_SERVICE, "is for the chat service: give --grpc or --http too, or leave it out")


def _refuse_told(settings: Settings, names: tuple[str, ...], problem: str) -> None:
    for name in names:
        if getattr(settings, name) not in (None, (), False, {}):
            raise ConfigurationError(settings.where(name), problem)


def _check_workers(settings: Settings) -> None:
    where = settings.where("workers")
    if settings.grpc or settings.http:
        raise ConfigurationError(where, "is for the gateway alone: the chat service keeps its sessions in one process")
    if settings.counted_in == MEMORY:
        raise ConfigurationError(
            where,
            "needs a store that processes share, or each would count for itself: --store sqlite:///keys.db or "
            "--store redis://host/0",
        )
    if settings.address("gateway").port == 0:
        raise ConfigurationError(settings.where("gateway"), "needs a port of its own, where there are several workers")
