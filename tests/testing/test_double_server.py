"""The double as a server: its port, its end, its encodings, the cutting of its streams, and its use in process."""

import subprocess
import sys
import threading
import time

import anthropic
import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iron_adapters.testing import ProviderDouble, cut_off, stalled

BODY = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Grüße an 'Zoë' 你好 🎉"}],
    "stream": True,
}
KEY = {"authorization": "Bearer test"}


def stream(double, **headers):
    """Return the raw pieces of a stream, and its headers."""
    with httpx.stream(
        "POST", f"{double.openai_url}/chat/completions", json=BODY, headers=KEY | headers
    ) as answer:
        return list(answer.iter_raw()), answer.headers


def test_the_server_is_ready_on_entering_and_gone_on_leaving():
    with ProviderDouble() as double:
        url = double.openai_url
        assert httpx.get(f"{url}/models", headers=KEY).status_code == 200

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/models", headers=KEY)
    assert f"provider-double-{httpx.URL(url).port}" not in {thread.name for thread in threading.enumerate()}


def test_a_taken_port_is_an_error_at_once():
    with ProviderDouble() as double:
        port = int(double.anthropic_url.rpartition(":")[2])
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            ProviderDouble(port=port).start()


def test_a_stalled_client_does_not_hold_up_the_end():
    double = ProviderDouble()
    double.fail_next(stalled(after_events=1))
    failures = []

    def wait():
        try:
            stream(double)
        except httpx.HTTPError as error:
            failures.append(error)

    with double:
        waiting = threading.Thread(target=wait)
        waiting.start()
        while not double.requests:
            time.sleep(0.01)
        begun = time.monotonic()
    waiting.join(timeout=10)

    assert time.monotonic() - begun < 2
    assert not waiting.is_alive()


def test_without_keep_alive_every_connection_ends_with_its_answer():
    with ProviderDouble(keep_alive=False) as double:
        assert httpx.get(f"{double.openai_url}/models", headers=KEY).headers["connection"] == "close"


def test_models_can_be_added():
    with (
        ProviderDouble(models={"house-model": "house-model-7"}, keep_alive=False) as double,
        openai.OpenAI(base_url=double.openai_url) as client,
    ):
        reply = client.chat.completions.create(**BODY | {"model": "house-model", "stream": False})

    assert reply.model == "house-model-7"


def test_a_rechunked_stream_has_the_same_bytes_in_other_pieces(double):
    def masked(pieces):
        # Ids, paddings and times differ from request to request.
        return [line for line in b"".join(pieces).split(b"\n") if not line.startswith(b"data: {")]

    plain, _ = stream(double)
    double.rechunk(7)
    first, _ = stream(double)

    assert masked(plain) == masked(first)
    assert all(piece.endswith(b"\n\n") for piece in plain)
    assert sum(piece.endswith(b"\n\n") for piece in first) < len(first) / 4
    assert min(map(len, first)) <= 12


@pytest.mark.parametrize("seed", range(5))
def test_the_official_clients_read_a_rechunked_stream(double, seed):
    double.rechunk(seed)
    with (
        openai.OpenAI(base_url=double.openai_url) as gpt,
        anthropic.Anthropic(base_url=double.anthropic_url) as claude,
    ):
        chunks = list(gpt.chat.completions.create(**BODY))
        with claude.messages.stream(
            model="claude-haiku-4-5", max_tokens=99, messages=BODY["messages"]
        ) as events:
            text = events.get_final_text()

    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == text == "You said: Grüße an 'Zoë' 你好 🎉"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("seed", [None, 3])
def test_an_accepted_encoding_is_used_for_bodies_and_streams(double, encoding, seed):
    double.compress("best")
    double.rechunk(seed)
    headers = KEY | {"accept-encoding": encoding}
    url = f"{double.openai_url}/chat/completions"
    whole = httpx.post(url, json=BODY | {"stream": False}, headers=headers)
    streamed = httpx.post(url, json=BODY, headers=headers)

    assert {whole.headers["content-encoding"], streamed.headers["content-encoding"]} == {encoding}
    assert whole.json()["choices"][0]["message"]["content"].startswith("You said")
    assert streamed.text.endswith("data: [DONE]\n\n")


def test_an_encoded_stream_can_be_read_event_by_event(double):
    double.compress("gzip")
    double.pace(token_seconds=0.02)
    headers = KEY | {"accept-encoding": "gzip"}
    begun = time.monotonic()
    with httpx.stream("POST", f"{double.openai_url}/chat/completions", json=BODY, headers=headers) as answer:
        times = [time.monotonic() - begun for _ in answer.iter_text()]

    assert len(times) > 5
    assert times[-1] - times[0] > 0.1


@pytest.mark.parametrize(
    ("accepted", "sent"), [("identity", None), ("gzip;q=0.5, zstd", "zstd"), ("br, gzip", "br")]
)
def test_the_best_accepted_encoding_is_chosen(double, accepted, sent):
    double.compress("best")
    _, headers = stream(double, **{"accept-encoding": accepted})

    assert headers.get("content-encoding") == sent


def test_in_process_it_needs_no_socket():
    import asyncio

    double = ProviderDouble()

    async def main():
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(double.app), base_url="http://double"
        ) as http:
            answer = await http.post("/v1/chat/completions", json=BODY, headers=KEY)
            double.fail_next(cut_off(after_events=1))
            with pytest.raises(ConnectionResetError):
                await http.post("/v1/chat/completions", json=BODY, headers=KEY)
            return answer

    assert asyncio.run(main()).text.endswith("data: [DONE]\n\n")


def test_importing_it_needs_nothing_and_using_it_names_the_extra():
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "from iron_adapters.testing import ProviderDouble\n"
        "assert not {'uvicorn', 'openai', 'anthropic', 'httpx', 'httpx2'} & set(sys.modules)\n"
        "try: ProviderDouble()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    assert 'pip install "iron-adapters[testing]"' in done.stdout


@given(st.lists(st.binary(max_size=60), max_size=30), st.integers())
def test_cutting_loses_and_adds_nothing(fed, seed):
    from iron_adapters.testing.rechunking import Rechunker

    rechunker = Rechunker(seed)
    pieces = [piece for data in fed for piece in rechunker.feed(data)] + rechunker.flush()

    assert b"".join(pieces) == b"".join(fed)
    assert all(pieces)
