"""Tags are taken out and put back: none lost, none moved where it must not be, none made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.documents.masking import Masked
from nmt.documents.parts import CHOSEN, Translated, difference, parts
from nmt.documents.segments import Piece, Segment, Tag, written
from tests.documents.standin import Say, backwards, echo, result, shout

WORDS = st.sampled_from(["ba", "be", "bi", "ba", "東京", "é", "x1", ",", ".", "(", ")", "—", "!"])
TAGS = st.sampled_from(
    [
        "%s",
        "%(name)s",
        "%1$d",
        "%%",
        "{0}",
        "{}",
        "{name!r}",
        "${x}",
        "{{y}}",
        "<br/>",
        "&nbsp;",
        "http://a.b/c?d=e",
        "a@b.org",
    ]
)
SPACE = st.sampled_from([" ", "  ", "\u00a0", "\t", " \n ", ""])
PAIRS = (("<b>", "</b>"), ("<i class='x'>", "</i>"), ('<a href="y">', "</a>"))


def around(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    # White space between what stands within and what stands without: no pair is within a word.
    return st.tuples(st.sampled_from(PAIRS), inside, SPACE).map(
        lambda made: f" {made[0][0]}{made[2]}{made[1]}{made[0][1]} "
    )


MIXTURE = st.recursive(
    st.tuples(WORDS | TAGS, SPACE).map("".join),
    lambda inner: st.lists(inner | around(inner), max_size=5).map("".join),
    max_leaves=15,
)


@given(MIXTURE)
def test_what_is_said_again_gets_its_tags_back_where_they_were(text: str) -> None:
    found = result(text, echo)
    assert (found.text, found.fault) == (text, None)


@given(MIXTURE, st.booleans(), st.sampled_from([shout, backwards]))
def test_either_all_tags_are_there_or_someone_is_told(
    text: str, paragraphs: bool, say: Say
) -> None:
    found = result(text, say, paragraphs=paragraphs)
    wanted = sorted(tag.text for tag in Segment.of([text]).tags)
    there = sorted(tag.text for tag in Segment.of([found.text]).tags)
    assert wanted == there or found.fault


@given(st.text(alphabet="ab %s{}<b>/&;_\n\ufffc.@1$()", max_size=40), st.booleans())
def test_no_text_is_lost_before_it_is_translated(text: str, paragraphs: bool) -> None:
    segment = Segment.of([text])
    assert written(segment.pieces()) == text
    cut = parts(segment, "en", paragraphs=paragraphs)
    pieces = [piece for one in cut for piece in (one.before, *one.segment.pieces(), one.after)]
    assert written(pieces) == text
    assert not [one for one in cut if one.masked and "\ufffc" in one.masked.text]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("no tag at all", []),
        ("%s of %1$d, %(name)r: %5.2f%%", ["%s", "%1$d", "%(name)r", "%5.2f", "%%"]),
        ("100 % of 5% are %1, %L2 or %n", ["%1", "%L2", "%n"]),
        ("100%-cotton, 5%-steps, 50%-off, eine 5%ige Lösung, 100%done", []),
        ("%-10s|%-*d|%1$-8s|%+d|%05.2f|%lld", ["%-10s", "%-*d", "%1$-8s", "%+d", "%05.2f", "%lld"]),
        (
            "{} {0} {a.b[0]:>8} ${x} {{y}} #{z} { no }",
            ["{}", "{0}", "{a.b[0]:>8}", "${x}", "{{y}}", "#{z}"],
        ),
        (
            "{n, plural, one {# file} other {# files}}!",
            ["{n, plural, one {# file} other {# files}}"],
        ),
        (
            "{g, select, male {{n, plural, one {his # file} other {his}}} other {their}} end",
            ["{g, select, male {{n, plural, one {his # file} other {his}}} other {their}}"],
        ),
        ("a < b and c > d <b>e</b><br/>", ["<b>", "</b>", "<br/>"]),
        ("see https://a.b/c?d=e&f=g. Or a.b@c.org!", ["https://a.b/c?d=e&f=g", "a.b@c.org"]),
        ("&File E&xit R&D AT&T a & b &amp;", ["&", "&", "&amp;"]),
        ("_Open a_b __init__", ["_"]),
        ("%#@files@ in %1$#@all@", ["%#@files@", "%1$#@all@"]),
        ("%1% of %2%: %1%2, %1%%2%", ["%1%", "%2%", "%1", "%2", "%1%", "%2%"]),
        ("%<PRIu64> bytes, %5<PRIx32>", ["%<PRIu64>", "%5<PRIx32>"]),
        ("$path or ${path}/$a$b: $5, US$ 5, 100% sure", ["$path", "${path}", "$a$b"]),
    ],
)
def test_what_counts_as_a_tag(text: str, wanted: list[str]) -> None:
    assert [tag.text for tag in Segment.of([text]).tags] == wanted


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Press %s now.", "Press now."),
        ("Saved in %s.", "Saved in."),
        ("Hello, %s!", "Hello,!"),
        ("E&xit", "Exit"),
        ("one %s &two <b>three</b>", "one two three"),
        ("un<b>believ</b>able", "unbelievable"),
        ("a%sb", "a b"),
        ("Open <b>it</b>, {0}", "Open it,"),
    ],
)
def test_what_the_model_reads(text: str, masked: str) -> None:
    assert Masked(Segment.of([text])).text == masked


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("%s one two", "%s TWO ONE"),
        ("one %s two", "%s TWO ONE"),
        ("one two %s", "TWO ONE %s"),
        ("one <b>two three</b> four.", "FOUR <b>THREE TWO</b> ONE."),
        ("one <b>two <i>three</i></b>", "<b><i>THREE</i> TWO</b> ONE"),
        ("<a>one</a> <b>two</b>", "<b>TWO</b> <a>ONE</a>"),
        ("one <b>two %s three</b>", "<b>%s THREE TWO</b> ONE"),
        ("&one two", "TWO &ONE"),
        ('one "_two"', '"_TWO" ONE'),
        ("one two%s", "TWO ONE%s"),
        ("one%s two", "TWO ONE%s"),
        ("one <b>%s</b> two three", "THREE <b>%s</b> TWO ONE"),
        ("one. %s", "ONE. %s"),
        ("  one two\n", "  TWO ONE\n"),
        ("one two\nthree four", "TWO ONE\nFOUR THREE"),
        ("%s", "%s"),
        ("<b>1</b> – %d", "<b>1</b> – %d"),
        ('one <a href="%1$s">two</a> %2$s three', '%2$s THREE <a href="%1$s">TWO</a> ONE'),
    ],
)
def test_tags_go_where_the_words_beside_them_went(text: str, wanted: str) -> None:
    found = result(text, backwards)
    assert (found.text, found.fault) == (wanted, None)


def replies(text: str) -> Say:
    return lambda source: Translated(text, echo(source).aligned)


@pytest.mark.parametrize(
    ("text", "say", "said", "fault"),
    [
        ("one", replies("%s ONE"), "%s ONE", "expected %s not at all, found it once"),
        ("%s one", replies("%s ONE"), "%s ONE", "expected %s once, found it twice"),
        ("one two", replies("</b> ONE"), "</b> ONE", "expected </b> not at all, found it once"),
        ("<b>one</b>", replies(" "), " ", "expected a translation, found none"),
        (
            "%s one %d two %s three",
            backwards,
            "THREE TWO ONE",
            "expected %s, %d, %s in this order, found another",
        ),
        (
            'one <a href="%s">two</a> %s three',
            backwards,
            "THREE TWO ONE",
            'expected <a href="%s">, %s in this order, found another',
        ),
        (
            "one http://a.b/%s two {} three",
            backwards,
            "THREE TWO ONE",
            "expected http://a.b/%s, {} in this order, found another",
        ),
    ],
)
def test_a_translation_with_other_tags_is_told_and_has_none(
    text: str, say: Say, said: str, fault: str
) -> None:
    found = result(text, say)
    assert (found.text, found.fault) == (said, fault)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{n, plural, one {a file} other {# files}}", "{n, plural, one {a file} other {# files}}"),
        ("in {g, select, a {his} other {their}} %s", "IN {g, select, a {his} other {their}} %s"),
    ],
)
def test_a_choice_that_is_not_translated_is_told(text: str, said: str) -> None:
    found = result(text)
    assert (found.text, found.fault) == (said, CHOSEN)


def test_a_pair_without_a_place_is_told() -> None:
    source = ["one", " two", "</s>"]
    alike = backwards("one two").aligned
    assert alike.source == source
    # Both pairs came from the one word that there is.
    found = result("<a>one</a> <b>two</b>", lambda text: Translated("EINS", shout("one").aligned))
    assert found.fault and "> around words, found no place for that" in found.fault
    assert found.text == "EINS"


def test_no_text_is_too_deep_and_no_sign_too_odd() -> None:
    found = result("<b>" * 2000 + "one" + "</b>" * 2000)
    assert found.fault and "tags that stand within so many others" in found.fault
    assert found.text == "ONE"
    found = result("one %s", replies("a\ufffcb"))
    assert (found.text, found.fault) == ("a\ufffdb %s", None)


def test_pairs_that_cross_are_told() -> None:
    source = Segment.of([tag("1", "open"), "one", tag("1", "close"), " two"])
    assert difference(source, [tag("1", "close"), "one", tag("1", "open")]) == (
        "expected each pair of tags one within or beside the other, found them crossing"
    )
    assert difference(source, source.pieces()) is None


def tag(pair: str, kind: str) -> Piece:
    made = {"open": "<x>", "close": "</x>"}
    return Tag(made[kind], "open" if kind == "open" else "close", pair, element=kind)
