"""Who pickles exceptions by ways of their own, as Dask does through tblib, sends no key along either."""

from __future__ import annotations

import copyreg
import pickle
import sys

import openai
import pytest

from stable_openai import KeyPool, stable

HTTPX = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
SECRET = "sk-processes-RECOGNISABLE-0123456789"


def as_tblib_does(error):
    """What tblib 3 tells copyreg, whenever Dask sends an exception."""
    kind = type(error)
    if kind.__reduce__ in (OSError.__reduce__, BaseException.__reduce__):
        return (lambda: 0), (kind, vars(error), error.__cause__, error.__context__)
    function, args, *_ = error.__reduce__()
    return as_told, (function, args, error.__cause__, error.__context__)


def as_told(function, args, cause, context):
    error = function(*args)
    error.__cause__, error.__context__ = cause, context
    return error


@pytest.mark.parametrize("status", [429, None])
def test_where_another_speaks_for_the_classes(status, monkeypatch):
    """tblib tells copyreg its own way for each class, over ours; type, notes and the secrecy of the key stay."""

    def transmit(request):
        if status is None:
            raise HTTPX.ConnectError("gone", request=request)
        return HTTPX.Response(status, json={"error": {"message": "no", "code": "c"}})

    client = openai.OpenAI(
        api_key=SECRET,
        base_url="http://x.invalid/v1",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(transport=HTTPX.MockTransport(transmit)),
    )
    ask = stable(pool=KeyPool([SECRET]), stop=lambda s: True)(lambda api_key: client.models.list())
    with pytest.raises(openai.APIError) as caught:
        ask()
    link = caught.value
    while link is not None:
        monkeypatch.setitem(copyreg.dispatch_table, type(link), as_tblib_does)
        link = link.__cause__ or link.__context__
    sent = pickle.dumps(caught.value)
    assert b"RECOGNISABLE" not in sent
    again = pickle.loads(sent)
    assert type(again) is type(caught.value)
    assert again.__notes__ == caught.value.__notes__
