"""Cutting streams into packets and putting them together again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from greenroom.signalling.file_names import escapes_directory
from greenroom.signalling.stream_assembly import Assembly, StreamFault
from greenroom.signalling.stream_framing import (
    CHUNK_BYTES,
    Cutter,
    cut_to_bytes,
    deflate,
    split_bytes,
    split_text,
)

Header, Chunk, Trailer = models.DataStream.Header, models.DataStream.Chunk, models.DataStream.Trailer
DEFLATE = models.DataStream.CompressionType.DEFLATE_RAW


def header(text: bool = True, total: int | None = None, **fields: object) -> models.DataStream.Header:
    kind = "text_header" if text else "byte_header"
    built = Header(stream_id="s", **{kind: {}}, **fields)  # type: ignore[arg-type]
    if total is not None:
        built.total_length = total
    return built


def feed(
    assembly: Assembly, pieces: list[bytes], trailer: models.DataStream.Trailer | None = None
) -> list[bytes | str]:
    got: list[bytes | str] = []
    for index, content in enumerate(pieces):
        got += assembly.chunk(Chunk(stream_id="s", chunk_index=index, content=content))
    got += assembly.trailer(trailer or Trailer(stream_id="s"))
    return got


# ---- splitting ----


@given(st.text(max_size=300), st.integers(4, 40))
def test_text_is_split_between_characters(text: str, size: int) -> None:
    pieces = list(split_text(text.encode(), size))
    assert "".join(piece.decode() for piece in pieces) == text
    assert all(0 < len(piece) <= size for piece in pieces)
    assert all(len(piece) > size - 4 for piece in pieces[:-1]), "pieces are as full as characters allow"


def test_pieces_too_small_for_a_character_are_refused() -> None:
    with pytest.raises(ValueError, match="4 or more"):
        list(split_text(b"abc", 3))


@given(st.binary(max_size=300), st.integers(1, 40))
def test_bytes_are_split_into_full_pieces(data: bytes, size: int) -> None:
    pieces = list(split_bytes(data, size))
    assert b"".join(pieces) == data
    assert all(len(piece) == size for piece in pieces[:-1])


@given(st.lists(st.integers(0, 40_000), max_size=8))
def test_a_cutter_gives_full_chunks_whatever_comes_in(sizes: list[int]) -> None:
    cutter = Cutter()
    chunks = [chunk for number, size in enumerate(sizes) for chunk in cutter.add(bytes([number]) * size)]
    assert all(len(chunk) == CHUNK_BYTES for chunk in chunks)
    assert b"".join(chunks) + cutter.rest() == b"".join(bytes([n]) * size for n, size in enumerate(sizes))


@given(st.text(max_size=50), st.integers(0, 60))
def test_a_cut_text_is_a_whole_beginning(text: str, limit: int) -> None:
    cut = cut_to_bytes(text, limit)
    assert text.startswith(cut)
    assert len(cut.encode()) <= limit
    assert cut == text or len(cut.encode()) > limit - 4


# ---- assembly ----


@given(st.text(max_size=200), st.integers(1, 20), st.booleans(), st.booleans())
def test_text_survives_any_cut_even_inside_characters(
    text: str, size: int, known: bool, compressed: bool
) -> None:
    data = text.encode()
    sent = header(total=len(data) if known else None, **({"compression": DEFLATE} if compressed else {}))
    got = feed(Assembly(sent), list(split_bytes(deflate(data) if compressed else data, size)))
    assert "".join(got) == text  # type: ignore[arg-type]
    assert all(got), "nothing empty reaches readers"


@given(st.binary(max_size=2_000), st.integers(1, 300), st.booleans())
def test_bytes_survive(data: bytes, size: int, compressed: bool) -> None:
    sent = header(text=False, total=len(data), **({"compression": DEFLATE} if compressed else {}))
    assert (
        b"".join(feed(Assembly(sent), list(split_bytes(deflate(data) if compressed else data, size)))) == data
    )  # type: ignore[arg-type]


@given(st.binary(max_size=500), st.booleans())
def test_whole_payloads_in_the_header_survive(data: bytes, compressed: bool) -> None:
    sent = header(text=False, total=len(data), inline_content=deflate(data) if compressed else data)
    if compressed:
        sent.compression = DEFLATE
    assert b"".join(Assembly(sent).inline()) == data  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 6))
def test_only_consecutive_chunks_are_taken(indexes: list[int], total: int) -> None:
    assembly = Assembly(header(text=False, total=total))
    got = b""
    try:
        for index in indexes:
            got += b"".join(assembly.chunk(Chunk(chunk_index=index, content=bytes([index]))))  # type: ignore[arg-type]
        list(assembly.trailer(Trailer()))
    except StreamFault:
        assert indexes != list(range(len(indexes))) or len(indexes) != total
    else:
        assert indexes == list(range(len(indexes)))
        assert len(indexes) == total
    assert got == bytes(range(len(got))), "what was given is never out of order"


@given(st.binary(max_size=200), st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_hostile_content_only_ever_raises_stream_fault(
    inline: bytes, chunks: list[bytes], text: bool
) -> None:
    sent = header(text=text, compression=DEFLATE, inline_content=inline)
    for run in (lambda: list(Assembly(sent).inline()), lambda: feed(Assembly(sent), chunks)):
        with contextlib.suppress(StreamFault):
            run()


FAULTS: list[tuple[str, models.DataStream.Header, list[bytes], models.DataStream.Trailer, str]] = [
    ("too long", header(text=False, total=3), [b"abcd"], Trailer(), "exceeded total length"),
    ("too short", header(text=False, total=3), [b"ab"], Trailer(), "incomplete"),
    ("aborted", header(), [b"ab"], Trailer(reason="gave up"), "stream closed abnormally: gave up"),
    ("no UTF-8", header(), [b"\xff"], Trailer(), "no UTF-8"),
    ("half a character", header(), ["é".encode()[:1]], Trailer(), "no UTF-8"),
    ("damaged", header(text=False, compression=DEFLATE), [b"\xff\xff\xff"], Trailer(), "damaged"),
    ("cut off", header(text=False, compression=DEFLATE), [deflate(b"abcabc")[:-2]], Trailer(), "incomplete"),
    (
        "going on",
        header(text=False, compression=DEFLATE),
        [deflate(b"a"), b"more"],
        Trailer(),
        "after its end",
    ),
]


@pytest.mark.parametrize(
    ("_", "sent", "pieces", "trailer", "message"), FAULTS, ids=[fault[0] for fault in FAULTS]
)
def test_faults_say_what_is_wrong(
    _: str,
    sent: models.DataStream.Header,
    pieces: list[bytes],
    trailer: models.DataStream.Trailer,
    message: str,
) -> None:
    with pytest.raises(StreamFault, match=message):
        feed(Assembly(sent), pieces, trailer)


def test_a_missing_chunk_is_named() -> None:
    with pytest.raises(StreamFault, match="chunk 0 is missing: chunk 1 came"):
        list(Assembly(header()).chunk(Chunk(chunk_index=1, content=b"a")))


def test_a_repeated_compressed_chunk_is_skipped() -> None:
    assembly = Assembly(header(text=False, compression=DEFLATE))
    data = deflate(b"abc")
    first = Chunk(chunk_index=0, content=data[:2])
    got = [
        *assembly.chunk(first),
        *assembly.chunk(first),
        *assembly.chunk(Chunk(chunk_index=1, content=data[2:])),
    ]
    assert b"".join([*got, *assembly.trailer(Trailer())]) == b"abc"  # type: ignore[list-item]


def test_a_small_packet_can_not_stand_for_endless_bytes() -> None:
    bomb = deflate(bytes(50_000_000))
    assembly = Assembly(header(text=False, compression=DEFLATE), max_payload_bytes=100_000)
    with pytest.raises(StreamFault, match="larger than the limit of 100000 bytes"):
        feed(assembly, [bomb])
    assert assembly.received_bytes < 200_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: Assembly(header(total=11), max_payload_bytes=10),
        lambda: Assembly(header(compression=7)),
    ],
    ids=["declared too large", "unknown compression"],
)
def test_headers_that_can_not_be_served_are_refused(make: Callable[[], Assembly]) -> None:
    with pytest.raises(StreamFault):
        make()


def test_the_trailer_adds_attributes() -> None:
    assembly = Assembly(header(attributes={"a": "1", "b": "1"}))
    feed(assembly, [], Trailer(attributes={"b": "2", "c": "2"}))
    assert assembly.attributes == {"a": "1", "b": "2", "c": "2"}


# ---- names ----


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "\\\\host\\x", "C:\\x", "c:x", "a\\..\\x", "a\0", ".."]
)
def test_names_that_lead_out_of_a_directory(name: str) -> None:
    assert escapes_directory(name)


@pytest.mark.parametrize("name", ["", "a.txt", "a/b.txt", "..a", "a..", "été", ".hidden"])
def test_names_that_stay(name: str) -> None:
    assert not escapes_directory(name)
