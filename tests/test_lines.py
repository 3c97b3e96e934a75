"""Files line by line: nothing is lost, joined or split."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.errors import UserError
from nmt.lines import Line, one_line, read_lines, read_texts


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", [Line("one", "\n"), Line("two", "\n")]),
        (b"one\r\ntwo\r\n", [Line("one", "\r\n"), Line("two", "\r\n")]),
        (b"one\ntwo", [Line("one", "\n"), Line("two", "")]),
        (b"\n\n", [Line("", "\n"), Line("", "\n")]),
        (b"one\rtwo\n", [Line("one\rtwo", "\n")]),
        (b"carriage\r", [Line("carriage\r", "")]),
        ("a\u2028b\x85c\x0bd\n".encode(), [Line("a\u2028b\x85c\x0bd", "\n")]),
    ],
)
def test_lines_end_at_line_feeds_alone(content: bytes, lines: list[Line]) -> None:
    assert list(read_lines(io.BytesIO(content), "in.txt")) == lines


@given(st.text())
def test_texts_and_endings_give_the_file_back(text: str) -> None:
    content = text.encode()
    lines = list(read_lines(io.BytesIO(content), "in.txt"))
    assert "".join(line.text + line.ending for line in lines).encode() == content
    assert len(lines) == content.count(b"\n") + (content[-1:] not in (b"", b"\n"))


def test_broken_utf8_is_refused_naming_the_line() -> None:
    message = r"in\.txt, line 2: expected UTF-8, found the byte 0xe9 at position 4"
    with pytest.raises(UserError, match=message):
        list(read_lines(io.BytesIO(b"fine\ncaf\xe9\n"), "in.txt"))
    message = r"in\.txt, line 1: expected UTF-8, found the byte 0xff at position 6"
    with pytest.raises(UserError, match=message):
        list(read_lines(io.BytesIO(b"\xef\xbb\xbfab\xff\n"), "in.txt"))


@pytest.mark.parametrize("text", ["\ufeffone\ntwo\n", "A sentence.\n", "four"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_refused_even_where_wrong_bytes_are_replaced(encoding: str, text: str) -> None:
    """Notepad and PowerShell write it; its Latin letters are valid UTF-8 with NULs in between."""
    stream = io.BytesIO(text.encode(encoding))
    with pytest.raises(UserError, match="in: expected UTF-8, found UTF-16; convert the file"):
        list(read_lines(stream, "in", lambda number: None))


def test_a_file_whose_lines_end_in_carriage_returns_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\rtwo\rthree\r")
    with pytest.raises(UserError, match=r"a\.txt: .* found one line with 3 carriage returns"):
        read_texts(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rand\ra half\n")  # two lines
    assert read_texts(tmp_path / "a.txt") == ["one", "two\rand\ra half"]


def test_read_texts_unpacks_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress("één\r\ntwee".encode()))
    (tmp_path / "a.txt").write_bytes("één\r\ntwee".encode())
    assert read_texts(tmp_path / "a.gz") == read_texts(tmp_path / "a.txt") == ["één", "twee"]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\r\n")
    assert read_texts(tmp_path / "a.txt") == ["one", "", "two"]


def test_files_that_cannot_be_read_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "plain.gz").write_bytes(b"not packed")
    (tmp_path / "torn.gz").write_bytes(gzip.compress(b"words " * 100)[:-9])
    for name in ("missing.txt", "plain.gz", "torn.gz", "."):
        with pytest.raises(UserError, match=f"{tmp_path / name}: expected"):
            read_texts(tmp_path / name)


def test_one_line_keeps_everything_but_line_breaks() -> None:
    assert one_line("a\nb\r\nc\rd\u2028e\t") == "a b c d\u2028e\t"
