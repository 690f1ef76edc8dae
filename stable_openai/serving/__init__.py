"""What every server of ours needs: where it listens, and who may come in."""

from .addresses import Address, check_open, is_local, parse_address
from .admission import Admission, Admissions, TokenLimited
from .siblings import Exchange, Siblings
from .tokens import Token, Tokens, parse_token, read_tokens, tokens_from_env, tokens_from_file

__all__ = [
    "Address",
    "Admission",
    "Admissions",
    "Exchange",
    "Siblings",
    "Token",
    "TokenLimited",
    "Tokens",
    "check_open",
    "is_local",
    "parse_address",
    "parse_token",
    "read_tokens",
    "tokens_from_env",
    "tokens_from_file",
]
