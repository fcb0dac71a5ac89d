"""The walk over parts whose shape nobody fixed."""

from __future__ import annotations

import json

import pytest

from iron_adapters.wire.json_texts import JsonTexts


def listed(value):
    texts = JsonTexts()
    texts.walk({"x": value}, "x", "user", "x")
    return [text.text for text in texts.texts]


def test_a_part_of_unknown_type_is_walked_but_for_identifiers_and_encoded_bytes():
    part = {
        "type": "hologram",
        "id": "h_1",
        "caption": "who is on it",
        "layers": [{"note": "a name", "media_type": "audio/x-pcm", "data": "QUJD" * 40}],
        "signature": "c2ln" * 16,
        "source": {"type": "base64", "media_type": "image/png", "data": "QUJD" * 40},
        "poster": {"url": "https://example.com/alice"},
        "thumbnail": {"url": "data:image/png;base64," + "QUJD" * 40},
    }

    assert listed(part) == ["who is on it", "a name", "https://example.com/alice"]


@pytest.mark.parametrize(
    "hidden",
    [
        "data:text/plain,alice@example.com",
        "data:text/plain;base64,QUJD alice@example.com",
        "data:;base64,alice@example.com",
        "alice@example.com " + "A" * 80,
        "+14155550100",
    ],
)
def test_text_that_poses_as_encoded_bytes_is_text(hidden):
    assert listed({"type": "hologram", "data": hidden}) == [hidden]
    assert listed({"type": "image_url", "image_url": {"url": hidden}}) == [hidden]


def test_a_plain_text_document_is_text_however_it_looks():
    assert listed({"type": "text", "media_type": "text/plain", "data": "A" * 80}) == ["A" * 80]


def test_a_free_key_is_a_text_and_stands_in_no_place():
    texts = JsonTexts()
    texts.walk({"x": {"alice@example.com": {"note": "admin"}}}, "x", "user", "x")

    assert [text.text for text in texts.texts] == ["alice@example.com", "admin"]
    assert not any("alice" in text.place for text in texts.texts)


def arguments(raw):
    call = {"arguments": raw if isinstance(raw, str) else json.dumps(raw)}
    texts = JsonTexts()
    texts.walk_json(call, "arguments", "assistant", "arguments", "send")
    return call, texts


def test_arguments_give_their_strings_keys_and_long_numbers():
    _, texts = arguments(
        {"to": ["a@b.c", {"deep": "x"}], "card": 4111111111111111, "zip": 94110, "big": 1e15, "ok": True}
    )

    said = [text.text for text in texts.texts]
    assert said == [
        "to",
        "a@b.c",
        "deep",
        "x",
        "card",
        "4111111111111111",
        "zip",
        "big",
        "1000000000000000",
        "ok",
    ]
    assert {text.tool_name for text in texts.texts} == {"send"}


def test_a_rewritten_number_becomes_a_string_and_a_key_keeps_its_place():
    call, texts = arguments({"first": 1, "a@b.c": 4111111111111111, "last": 2})

    texts.rewrite(
        [{"a@b.c": "<E>", "4111111111111111": "<C>"}.get(text.text, text.text) for text in texts.texts]
    )
    assert list(json.loads(call["arguments"]).items()) == [("first", 1), ("<E>", "<C>"), ("last", 2)]


def test_keys_that_become_one_keep_apart():
    call, texts = arguments({"a@b.c": 1, "d@e.f": 2, "[E]_2": 3})

    texts.rewrite(["[E]" if "@" in text.text else text.text for text in texts.texts])
    assert sorted(json.loads(call["arguments"]).values()) == [1, 2, 3]


def test_arguments_that_nobody_alters_keep_their_spacing():
    raw = '{ "a" : 1.50, "b":"x" }'
    call, texts = arguments(raw)

    assert texts.rewrite([text.text for text in texts.texts]) is False
    assert call["arguments"] == raw


@pytest.mark.parametrize("raw", ["not json", '{"a": "b"', '"quoted"', '{"a":"secret","a":"b"}', "[" * 2000])
def test_arguments_that_are_no_clear_json_are_one_raw_text(raw):
    _, texts = arguments(raw)

    assert [(text.text, text.in_json) for text in texts.texts] == [(raw, True)]


def test_an_effect_comes_once_and_only_where_its_texts_changed():
    holder = {"a": "1", "b": "2", "c": "3"}
    done = []
    texts = JsonTexts()
    texts.add(holder, "a", "user", "a")
    first = len(texts.texts)
    texts.add(holder, "b", "user", "b")
    texts.add(holder, "c", "user", "c")
    texts.when_changed(first, lambda: done.append(dict(holder)))

    texts.rewrite(["1!", "2", "3"])
    assert done == []
    texts.rewrite(["1", "2!", "3!"])
    assert done == [{"a": "1!", "b": "2!", "c": "3!"}]


def test_as_many_texts_come_back_as_were_listed():
    texts = JsonTexts()
    texts.add({"a": "1"}, "a", "user", "a")

    with pytest.raises(ValueError, match="longer"):
        texts.rewrite([])
