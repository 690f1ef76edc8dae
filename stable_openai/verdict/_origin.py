"""Where an exception came from: the modules of its traceback and of its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from stable_openai.verdict._text import word_set

if TYPE_CHECKING:
    from types import TracebackType

Origin = Literal["http", "socket", "foreign", "own", "unknown"]

# Libraries that speak HTTP, and those of providers that are built on them.
HTTP_LIBRARIES: Final = word_set(
    "openai httpx httpx2 httpcore httpcore2 requests urllib3 aiohttp anthropic groq mistralai cohere together litellm "
    "ollama replicate huggingface_hub google_genai cerebras fireworks voyageai zhipuai zai dashscope qianfan "
    "volcenginesdkarkruntime xai_sdk ai21 deepinfra botocore boto3 aiobotocore curl_cffi pycurl tornado treq httplib2 "
    "websockets wsproto h11 h2 niquests urllib3_future grequests aiohttp_retry requests_toolbelt hishel httpx_sse "
    "azure_ai_inference"
)
_GOOGLE: Final = ("google.genai", "google.api_core", "google.generativeai", "google.auth", "azure.core", "azure.ai")
_SOCKET_MODULES: Final = word_set("socket ssl http urllib selectors asyncio anyio sniffio trio uvloop socks")
_HTTP_STDLIB: Final = ("http.client", "urllib.request", "urllib.error", "urllib.response")
# Frameworks of servers: their exceptions are answers that the user gives, not those he gets.
SERVER_LIBRARIES: Final = word_set(
    "starlette fastapi flask werkzeug django rest_framework sanic falcon quart litestar bottle click typer ninja"
)
_MAX_FRAMES: Final = 300


def module_of(obj: object) -> str:
    """The module of an exception's class."""
    return str(getattr(type(obj), "__module__", "") or "")


def is_http_library(module: str) -> bool:
    """Whether a module belongs to a library that speaks HTTP."""
    return module.partition(".")[0] in HTTP_LIBRARIES or module.startswith(_GOOGLE) or module in _HTTP_STDLIB


def frame_modules(traceback: TracebackType | None) -> list[tuple[str, str]]:
    """The (module, file) of each frame of a traceback, outermost first."""
    frames: list[tuple[str, str]] = []
    while traceback is not None and len(frames) < _MAX_FRAMES:
        frame = traceback.tb_frame
        frames.append((str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename))
        traceback = traceback.tb_next
    return frames


def origin_of(exc: BaseException) -> Origin:
    """Whether an exception arose in HTTP code, in sockets, in another library or in the user's own code."""
    frames = frame_modules(exc.__traceback__)
    if not frames:
        return "unknown"
    for module, file in reversed(frames):
        if is_http_library(module):
            return "http"
        root = module.partition(".")[0]
        if root in _SOCKET_MODULES or file.startswith("<frozen"):
            continue
        if "site-packages" in file or "dist-packages" in file:
            return "foreign"
        # The first frame of neither kind is the caller's: what lies below it decides.
        innermost = frames[-1][0].partition(".")[0]
        return "socket" if innermost in _SOCKET_MODULES - {"asyncio", "anyio", "trio", "selectors"} else "own"
    return "socket"


def came_through_http(exc: BaseException) -> bool:
    """Whether an HTTP library is anywhere in the traceback."""
    return any(is_http_library(module) for module, _ in frame_modules(exc.__traceback__))


def parsed_by_http(exc: BaseException) -> bool:
    """Whether an HTTP client asked for the parsing of JSON, not the user nor a parser of model output."""
    for module, _ in reversed(frame_modules(exc.__traceback__)):
        if module.partition(".")[0] in {"json", "simplejson", "orjson", "ujson"}:
            continue
        return is_http_library(module) and not module.startswith("openai.lib")
    return False
