"""What every server of ours needs: where it listens, and who may come in."""

from .addresses import Address, check_open, check_url, is_local, is_url, parse_address
from .admission import Admission, Admissions, TokenLimited
from .names import sign
from .siblings import Exchange, Siblings
from .tls import Tls
from .tokens import Token, Tokens, parse_token, read_tokens, tokens_from_env, tokens_from_file

__all__ = [
    "Address",
    "Admission",
    "Admissions",
    "Exchange",
    "Siblings",
    "Tls",
    "Token",
    "TokenLimited",
    "Tokens",
    "check_open",
    "check_url",
    "is_local",
    "is_url",
    "parse_address",
    "parse_token",
    "read_tokens",
    "sign",
    "tokens_from_env",
    "tokens_from_file",
]
