"""The frame of each page, and the pages but for the table's."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .assets import SCRIPT, STYLE
from .markup import form, path_of, text

if TYPE_CHECKING:
    from .board import Row

__all__ = ["confirm_page", "denied_page", "document", "login_page"]


def document(title: str, header: str, main: str, *, script: bool = False, refresh: int = 0) -> str:
    """A page.

    Args:
        title: Its title.
        header: What stands above it, as HTML.
        main: The rest, as HTML.
        script: Whether it is kept up to date.
        refresh: Seconds after which it is loaded again where there are no scripts; 0: not by itself.
    """
    again = f'<noscript><meta http-equiv="refresh" content="{refresh}"/></noscript>' if refresh else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        '<meta name="color-scheme" content="light dark"/><meta name="robots" content="noindex"/>'
        f'<link rel="icon" href="data:,"/>{again}<title>{text(title)}</title><style>{STYLE}</style></head><body>'
        f"<header>{header}</header><main>{main}</main><footer>stable_openai</footer>"
        f"{f'<script>{SCRIPT}</script>' if script else ''}</body></html>\n"
    )


def login_page(csrf: str, problem: str = "", *, for_admins: bool = False) -> str:
    """Asks for a token.

    Args:
        csrf: What its form holds.
        problem: What was wrong with the one before.
        for_admins: Whether it has to be one of an administrator's.
    """
    whose = "a token of an administrator of the gateway" if for_admins else "one of the gateway's tokens"
    told = f'<p role="alert" id="problem"><strong class="failed">{text(problem, 300)}</strong></p>' if problem else ""
    described = ' aria-describedby="problem" aria-invalid="true"' if problem else ""
    return document(
        "Log in: status of the gateway",
        "<h1>Status of the gateway</h1>",
        '<section class="narrow" aria-labelledby="login"><h2 id="login">Log in</h2>'
        f"<p>This page asks for {whose}. It is not kept in the browser.</p>"
        f'{told}<form method="post" action="/status/login"><input type="hidden" name="csrf" value="{escape(csrf)}"/>'
        '<label for="token">Token</label><input type="password" id="token" name="token" required="" '
        f'autocomplete="current-password" spellcheck="false"{described}/><button class="main">Log in</button></form>'
        "</section>",
    )


def confirm_page(row: Row, csrf: str) -> str:
    """Asks whether a key is really to be removed."""
    name = text(row.status.name)
    sure = '<input type="hidden" name="sure" value="yes"/>'
    remove = form(path_of(row, "remove"), csrf, f"Remove {name}", more=sure, label=' class="grave"')
    return document(
        f"Remove {row.status.name}?",
        "<h1>Status of the gateway</h1>",
        f'<section class="narrow" aria-labelledby="ask"><h2 id="ask">Remove the key {name}?</h2>'
        f"<p>{name} (<code>{text(row.status.masked)}</code>) is taken out of use at once; calls that run with it go "
        "on. It can't be undone here: the key comes back when the gateway is started again with it. Where gateways "
        "share a store, it is out for all of them until it is revived. To rest it for a while, park it instead.</p>"
        f'<div class="row">{remove}<a href="/status">Keep it</a></div></section>',
    )


def denied_page(title: str, told: str) -> str:
    """Says what was wrong and what to do."""
    return document(
        title,
        "<h1>Status of the gateway</h1>",
        f'<section class="narrow" aria-labelledby="what"><h2 id="what">{text(title)}</h2><p>{text(told, 500)}</p>'
        '<p><a href="/status">To the status page</a></p></section>',
    )
