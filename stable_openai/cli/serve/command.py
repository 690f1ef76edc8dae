"""``stable-openai serve``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Final

import click

from stable_openai.cli.complaints import complaints

__all__ = ["command"]

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_SECONDS: Final = click.FloatRange(0.0)
_COUNT: Final = click.IntRange(1)


@click.command("serve", short_help="Serve the gateway, and the chat service by gRPC and HTTP.")
@click.option("--gateway", metavar="HOST:PORT", help="An OpenAI-compatible endpoint over the keys: /v1/…, /status.")
@click.option("--grpc", metavar="HOST:PORT", help="The chat service by gRPC.  [default: localhost:50052 if alone]")
@click.option("--http", metavar="HOST:PORT", help="The chat service by HTTP.")
@click.option("--pool", type=_FILE, metavar="FILE", help="A keys.toml.  [default: the kept keys, or the environment's]")
@click.option("--store", metavar="URL", help="Where the pool's counts are.  [default: the file's, else memory://]")
@click.option("--base-url", metavar="URL", help="The provider, for keys without one of their own.")
@click.option(
    "--token",
    "tokens",
    multiple=True,
    metavar="NAME=SECRET",
    help="Callers have to show one of these; may be "
    "repeated. Better in STABLE_OPENAI_TOKENS or a file, where other users of the machine can't see them.",
)
@click.option("--token-file", type=_FILE, metavar="FILE", help="A TOML file of [[tokens]], with their limits.")
@click.option(
    "--admin",
    "admins",
    multiple=True,
    metavar="NAME",
    help="The token whose bearer may see /status and use its buttons; may be repeated.  [default: all]",
)
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="Speak TLS with this certificate (PEM, its chain behind).")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Its key (PEM, chmod 600).")
@click.option("--behind-proxy", is_flag=True, default=None, help="A proxy in front sets X-Forwarded-Proto.")
@click.option("--workers", type=_COUNT, metavar="N", help="Processes of the gateway; they need a shared --store.")
@click.option(
    "--session-base-url",
    "session_base_urls",
    multiple=True,
    metavar="URL",
    help="A provider that sessions with keys of their own may name; may be repeated; '*' is any, also in your own "
    "network.  [default: any without tokens; with tokens none but --base-url]",
)
@click.option("--model", metavar="NAME", help="The model of sessions that name none.")
@click.option(
    "--sessions", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Keep sessions over a restart."
)
@click.option("--max-sessions", type=_COUNT, metavar="N", help="The most sessions at once.  [default: 1000]")
@click.option("--idle", type=_SECONDS, metavar="SECONDS", help="Clear sessions that nobody uses.  [default: 3600]")
@click.option("--max-wait", type=_SECONDS, metavar="SECONDS", help="The longest to wait for a key.  [default: 120]")
@click.option("--drain", type=_SECONDS, metavar="SECONDS", help="For requests to end, when it stops.  [default: 30]")
@click.option(
    "--config",
    "file",
    type=_FILE,
    metavar="FILE",
    help='A TOML file with any of these, as in token_file = "…"; what may be repeated is a list: [[tokens]], admins, '
    "session_base_urls. [bounds] bounds requests to the gateway: max_body (bytes), idle_timeout (seconds), …",
)
@click.option("--debug", is_flag=True, default=None, help="Log everything; gRPC tells what it serves.")
def command(file: Path | None, **told: Any) -> None:
    """Serve what is asked for, all over the same keys, until Ctrl-C.

    The gateway is for any program in any language: let its base URL be http://localhost:8000/v1, and each request goes
    out under a key that is free, and on with the next where one fails. The chat service keeps conversations.

    Where others than this machine can come, callers need a token. SIGHUP has the keys and the certificate read again.

    \b
    Environment:
      STABLE_OPENAI_TOKENS  tokens, separated by commas
      GRPC_REFLECTION       True: gRPC tells what it serves, as grpcurl wants it (False)
      CHATGPT_COOLDOWN      seconds between two requests to a session's own key (75)

    \b
    Examples:
      stable-openai serve --gateway localhost:8000 --pool keys.toml
      stable-openai serve --gateway 0.0.0.0:8000 --token-file tokens.toml --store redis://cache/0 --workers 4
      stable-openai serve --gateway 0.0.0.0:8443 --token-file tokens.toml --tls-cert server.pem --tls-key server.key
      stable-openai serve --grpc localhost:50052 --http localhost:9006 --sessions sessions.db
    """
    import asyncio

    from .running import look, serve
    from .settings import Settings
    from .workers import Workers, is_worker

    with complaints():
        settings = Settings.of(file, {**told, "is_worker": is_worker() or None})
        _log(debug=settings.debug)
        if settings.workers > 1 and not settings.is_worker:
            look(settings)
            sys.exit(Workers(settings.workers, sys.argv[1:]).run())
        try:
            asyncio.run(serve(settings))
        except KeyboardInterrupt:
            sys.exit(130)


def _log(*, debug: bool) -> None:
    """Events and requests go to stderr, a line each."""
    told = logging.StreamHandler()
    told.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("stable_openai")
    logger.addHandler(told)
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    access = logging.getLogger("stable_openai.access")
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter("%(message)s"))
    access.addHandler(plain)
    access.propagate = False
