"""Files of any bytes, as hypothesis draws them."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE

from hypothesis import strategies as st

from nmt.lines import is_wide

NASTY = "\r\n\x00\u2028\u2029\x85\x0b\x0c\x1c\ufeff\u200b\u202e\xa0 aß東🦜\ud7ff\U0010ffff"
UTF16 = (BOM_UTF16_LE, BOM_UTF16_BE)


def is_refused(content: bytes) -> bool:
    """Whether a file is in UTF-16, or its lines end in carriage returns alone."""
    first, *rest = content.split(b"\n")
    text = first.removesuffix(b"\r")
    one_line_of_many = rest in ([], [b""]) and (text if rest else first).count(b"\r") > 1
    return content.startswith(UTF16) or is_wide(text) or one_line_of_many


TEXTS = (st.binary() | st.text(alphabet=NASTY).map(str.encode)).filter(
    lambda made: not is_refused(made)
)
"""Files that are translated, whatever is in them."""
