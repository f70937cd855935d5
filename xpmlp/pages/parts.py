"""The parts of an HTML page that stands alone: escaped text, tables, pictures inside the page."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from struct import unpack

PIXELS_PER_DOT = 0.64  # pictures have 150 dots an inch, and a page 96 pixels
NOTHING_LOADED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<header>
<h1>$title</h1>
$lead
<nav aria-label="Sections"><ul>
$links
</ul></nav>
</header>
<main>
$sections
</main>
<footer>$footer</footer>
</body>
</html>
""")
_SECTION = Template("""\
<section aria-labelledby="$id">
<h2 id="$id">$title</h2>
$body
</section>""")
_TABLE = Template("""\
<div class="scroll" role="region" tabindex="0" aria-label="$label">
<table$classes>
<thead>
$head
</thead>
<tbody>
$body
</tbody>$foot
</table>
</div>""")
_PICTURE = Template("""\
<figure>
<img src="data:image/png;base64,$data" width="$width" height="$height" alt="$alt">
<figcaption>$caption</figcaption>
</figure>""")


class Markup(str):
    """Text that is HTML already; every other text is escaped on its way into the page."""

    __slots__ = ()


class Row(tuple[str, ...]):
    """The cells of a row that stands out."""

    __slots__ = ()


def markup(text: str) -> str:
    """Return text as HTML."""
    return text if isinstance(text, Markup) else escape(text)


def element(tag: str, text: str, css: str = "") -> Markup:
    """Return an element around a text."""
    return Markup(f"<{tag}{_classes(css)}>{markup(text)}</{tag}>")


def joined(parts: Sequence[str], between: str = "\n") -> Markup:
    """Return parts as one piece of HTML."""
    return Markup(between.join(map(markup, parts)))


def table(
    label: str,
    heading: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    last: Sequence[Sequence[str]] = (),
    css: str = "",
) -> Markup:
    """Return a table that scrolls inside its box; a row starts with its heading.

    label: what a screen reader says of it. last: rows below a line. css: `texts` for columns
    that are not numbers. A `Row` stands out.
    """
    foot = f"\n<tfoot>\n{_rows(last)}\n</tfoot>" if last else ""
    return Markup(
        _TABLE.substitute(
            label=escape(label),
            classes=_classes(css),
            head="<tr>"
            + "".join(f'<th scope="col">{markup(cell)}</th>' for cell in heading)
            + "</tr>",
            body=_rows(rows),
            foot=foot,
        )
    )


def _rows(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(
        f"<tr{_classes('changed' if isinstance(row, Row) else '')}>"
        f'<th scope="row">{markup(row[0])}</th>'
        + "".join(f"<td>{markup(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )


def picture(png: bytes, alt: str, caption: str) -> Markup:
    """Return a PNG as a part of the page."""
    width, height = unpack(">II", png[16:24])
    return Markup(
        _PICTURE.substitute(
            data=b64encode(png).decode(),
            width=round(width * PIXELS_PER_DOT),
            height=round(height * PIXELS_PER_DOT),
            alt=escape(alt),
            caption=markup(caption),
        )
    )


def whole_page(title: str, lead: str, sections: dict[str, str], footer: str) -> str:
    """Return a whole page: title, lead, and sections by their titles; empty ones are left out."""
    shown = {name: body for name, body in sections.items() if body}
    ids = {name: name.lower().replace(" ", "-") for name in shown}
    return _PAGE.substitute(
        policy=NOTHING_LOADED,
        title=markup(title),
        style=files("xpmlp.pages").joinpath("html_report.css").read_text(encoding="utf-8"),
        lead=markup(lead),
        links="\n".join(f'<li><a href="#{ids[name]}">{escape(name)}</a></li>' for name in shown),
        sections="\n".join(
            _SECTION.substitute(id=ids[name], title=escape(name), body=markup(body))
            for name, body in shown.items()
        ),
        footer=markup(footer),
    )


def _classes(names: str) -> str:
    return f' class="{escape(names)}"' if names else ""
