"""What the type `svg` takes: XML without a DOCTYPE around one drawing, script or no script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import ContentRefused
from handiwork.types.artifact_type import Checked
from handiwork.types.svg_image import DEEPEST, NAMESPACE, svg_type

SVG = svg_type()


def refusal(content: object) -> ContentRefused:
    with pytest.raises(ContentRefused) as refused:
        SVG.check(content)
    return refused.value


def taken(content: str) -> Checked | ContentRefused:
    try:
        return SVG.check(content)
    except ContentRefused as refused:
        return refused


@pytest.mark.parametrize(
    "text",
    [
        "<svg/>",
        f'<svg xmlns="{NAMESPACE}"><rect width="1"/></svg>',
        f'<s:svg xmlns:s="{NAMESPACE}"><s:g/></s:svg>',
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<!-- a chart --><svg>é</svg>\n',
        "\ufeff<svg/>",
        "<svg><text>&lt;&gt;&amp;&quot;&apos;&#233;&#xe9;</text></svg>",
        '<svg xmlns:xlink="http://www.w3.org/1999/xlink"><use xlink:href="#a" xml:space="preserve"/></svg>',
        "<svg><style><![CDATA[a > b {}]]></style></svg>",
    ],
)
def test_a_well_formed_drawing_is_taken_and_kept_as_it_is(text: str):
    assert SVG.check(text).data == text.encode()


def test_script_is_not_refused_since_the_frame_is_the_wall():
    assert SVG.check('<svg onload="alert(1)"><script>alert(1)</script><foreignObject/></svg>')


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        ("", "line 1, column 1", "no element found"),
        ("plain text", "line 1, column 1", "syntax error"),
        ("<svg><g></svg>", "line 1, column 11", "`</g>`"),
        ("<svg>\n<rect width=1/>\n</svg>", "line 2, column 13", "not well-formed"),
        ('<svg a="1" a="2"/>', "line 1, column 12", "duplicate attribute"),
        ("<svg/><svg/>", "line 1, column 7", "junk after document element"),
        ("<svg>&nbsp;</svg>", "line 1, column 6", "undefined entity"),
        ("<svg>a & b</svg>", "line 1, column 9", "not well-formed"),
        ("<svg>\x01</svg>", "line 1, column 6", "not well-formed"),
        ("<html><svg/></html>", "line 1, column 1", "`<html>`"),
        ('<svg xmlns="http://www.w3.org/1999/xhtml"/>', "line 1, column 1", NAMESPACE),
        ('<svg><use xlink:href="#a"/></svg>', "line 1, column 6", "`xlink:href`"),
        ('<svg><g xmlns:q="u"/><q:r/></svg>', "line 1, column 22", "`q:r`"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><svg/>', "line 1, column 1", "UTF-8"),
        ("<svg>\0</svg>", "line 1, column 6", "NUL"),
    ],
)
def test_what_is_no_drawing_is_refused_with_its_place(text: str, where: str, told: str):
    refused = refusal(text)
    assert refused.where == where
    assert told in str(refused)


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE svg><svg/>",
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"><svg/>',
        '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
        '<!DOCTYPE svg [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><svg>&b;</svg>',
        '<!DOCTYPE svg [<!ENTITY % p SYSTEM "http://127.0.0.1/x">%p;]><svg/>',
    ],
)
def test_a_doctype_is_refused_whatever_it_declares(text: str):
    refused = refusal(text)
    assert refused.expected == "no DOCTYPE"
    assert "DOCTYPE" in (refused.hint or "")


def test_elements_may_be_as_deep_as_the_limit_and_no_deeper():
    assert SVG.check("<svg>" + "<g>" * (DEEPEST - 1) + "</g>" * (DEEPEST - 1) + "</svg>")
    assert refusal("<svg>" + "<g>" * DEEPEST + "</g>" * DEEPEST + "</svg>").limit == DEEPEST


@pytest.mark.parametrize(
    "text",
    [
        "<svg>" + "<g>" * 80_000,
        "<" * 100_000,
        "<svg>" + "<a/>" * 50_000 + "</svg>",
        '<svg xmlns:a="' + "x" * 130_000 + '">' + "<a:b/>" * 20_000 + "</svg>",
        "<svg " + " ".join(f'a{n}="1"' for n in range(20_000)) + "/>",
        "<svg " + " ".join(f'xmlns:a{n}="1"' for n in range(9_000)) + ">" + '<g xmlns:b="2"/>' * 3_000 + "</svg>",
        "<svg " + "x" * 200_000 + "/>",
        "<" + "x" * 200_000 + "/>",
    ],
)
def test_hostile_drawings_are_taken_or_refused_in_little_time(text: str):
    match taken(text):
        case Checked(data=data):
            assert data == text.encode()
        case refused:
            assert len(str(refused)) < 1000


def test_bytes_in_another_encoding_are_refused():
    assert refusal("<svg>é</svg>".encode("latin-1")).where == "byte 6"
    assert refusal("<svg/>".encode("utf-16")).where == "byte 1"


@given(st.text(alphabet="<>/ svg=\"'&;:!?x-[]", max_size=60))
def test_whatever_comes_is_taken_or_refused(text: str):
    match taken(text):
        case Checked(data=data):
            assert data == text.encode()
        case refused:
            assert refused.where
