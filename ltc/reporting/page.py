"""The file that is written: contents, plots and tables in one page.

Everything that comes from outside goes through the template's escaping, into text or into JSON. The
page's own Content-Security-Policy lets no other scripts run than the two it was written with, and
nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import bokeh
import jinja2
from bokeh.embed import json_item
from bokeh.resources import Resources

from ltc.reporting import rows
from ltc.reporting.contents import Contents, Queries, Unavailable
from ltc.reporting.dynamics import WINDOW
from ltc.reporting.figures import draw_all
from ltc.reporting.lookup import pack_lookup
from ltc.reporting.packing import pack_text
from ltc.reporting.palette import COLOURS, DASHES, HUES, MARKERS
from ltc.reporting.pictures import picture_source
from ltc.reporting.warnings import find_warnings
from ltc.stability import STABLE, Stability
from ltc.tables import run_facts, scores_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LIMIT", "render"]

LIMIT: Final = 5_000_000  # bytes of the file
_MARGIN: Final = 20_000  # of what is written around the data
_SIDES: Final = ("aligned", "conflicting")
_KINDS: Final = {
    "highest": "Highest scores",
    "lowest": "Lowest scores",
    "undecided": "Most undecided: scores closest to 0",
}
# How the dashes of the lines look beside a table.
_PATTERNS: Final = {"solid": "none", "dashed": "5 3", "dotted": "1.5 3", "dashdot": "6 3 1.5 3"}


def render(contents: Contents) -> bytes:
    """Return the page."""
    plan = contents.plan
    library, script = _library(), _resource("report.js")
    values: dict[str, Any] = {
        "contents": contents,
        "plan": plan,
        "title": f"{_basename(plan.store.path)}: training samples by their loss trajectories",
        "name": _basename(plan.store.path),
        "policy": _policy((library, script)),
        "style": _resource("report.css"),
        "script": script,
        "colours": COLOURS,
        "library": pack_text(library),
        "version": bokeh.__version__,
        "figures": {name: json_item(plot) for name, plot in draw_all(contents).items()},
        "warnings": find_warnings(contents),
        "run_facts": run_facts(plan.store),
        "score_facts": scores_facts(plan.scores.metadata),
        "names": [plan.name(label) for label in contents.classes.labels.tolist()],
        "rows": rows,
        "extremes": list(_extremes(contents)),
        "queries": list(_queries(contents)),
        "stable": _stable(contents),
        "unavailable": _unavailable(contents),
        "swatches": _swatches(),
        "legends": _legends(contents),
        "lookup": None,
    }
    template = _environment().get_template("report.html")
    size = len(_encoded(template.render(values)))
    values["lookup"] = pack_lookup(contents, max(LIMIT - size - _MARGIN, 0))
    return _encoded(template.render(values))


def _encoded(page: str) -> bytes:
    return page.encode("utf-8", "replace")


@cache
def _library() -> str:
    """BokehJS, without the parts for widgets, tables and formulas."""
    (path,) = Resources(mode="absolute", components=["bokeh"]).js_files
    return Path(path).read_text(encoding="utf-8")


def _resource(name: str) -> str:
    return files("ltc.reporting").joinpath("page", name).read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def _policy(scripts: Iterable[str]) -> str:
    """The page's Content-Security-Policy: these scripts by their digests, and nothing fetched."""
    digests = (hashlib.sha256(script.encode("utf-8")).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _basename(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _swatches() -> list[tuple[str, str]]:
    """Colour and dash pattern of each line of a plot, for the table beside it."""
    names = {light: name for name, (light, _) in COLOURS.items()}
    return [(names[hue], _PATTERNS[dash]) for hue, dash in zip(HUES, DASHES, strict=True)]


def _legends(contents: Contents) -> dict[str, list[tuple[str, str, float, str]]]:
    """Colour, pattern or shape, width (none for a mark) and name of each strategy."""
    named = list(zip(_swatches(), MARKERS.values(), contents.taken, strict=False))
    return {
        "lines": [(colour, dash, 2.5, each.title) for (colour, dash), _, each in named],
        "marks": [(colour, shape, 0, each.title) for (colour, _), shape, each in named],
    }


def _unavailable(contents: Contents) -> dict[str, str]:
    parts = {
        "map": contents.dynamics,
        "queries": contents.queries,
        "stability": contents.stability,
        "coverage": contents.clusters,
    }
    found = {name: part.reason for name, part in parts.items() if isinstance(part, Unavailable)}
    if isinstance(contents.dynamics, Unavailable):
        found["beta"] = contents.dynamics.reason
    elif contents.dynamics.dual is None:
        found["beta"] = f"DUAL's score needs losses at {WINDOW} checkpoints at least"
    return found


def _stable(contents: Contents) -> dict[str, Any] | None:
    found = contents.stability
    if not isinstance(found, Stability):
        return None
    return {
        "found": found,
        "from": f"{found.stable_from():g}",
        "limit": f"{STABLE:g}",
        "table": rows.stability_table(found),
    }


def _extremes(contents: Contents) -> Iterable[dict[str, Any]]:
    for kind, samples in contents.extremes.items():
        if samples.size:
            yield {
                "title": _KINDS[kind],
                "figure": f"extremes-{kind}",
                "table": rows.extremes_table(contents, kind, samples),
                "pictures": _pictures(contents, "train", samples.tolist()),
                "compared": any(sample in contents.references for sample in samples.tolist()),
            }


def _queries(contents: Contents) -> Iterable[dict[str, Any]]:
    queries = contents.queries
    if not isinstance(queries, Queries):
        return
    for row, query in enumerate(queries.found.queries.tolist()):
        sides = []
        for side in _SIDES:
            samples = getattr(queries.found, side).indices[row]
            sides.append(
                {
                    "title": f"Most {side}",
                    "figure": f"query-{query}-{side}",
                    "table": rows.query_table(contents, queries, row, side),
                    "pictures": _pictures(contents, "train", samples[samples >= 0].tolist()),
                }
            )
        yield {
            "index": query,
            "id": rows.sample_id(contents, "val", query),
            "class": rows.sample_class(contents, "val", query),
            "why": queries.why[row],
            "pictures": _pictures(contents, "val", [query]),
            "sides": sides,
        }


def _pictures(contents: Contents, split: str, samples: Iterable[int]) -> list[tuple[str, str]]:
    """What is said of each picture and where it is; of those samples that have one."""
    function, found = contents.plan.pictures, []
    for sample in samples if function is not None else ():
        picture = function(split, sample) if function is not None else None
        if picture is not None:
            name = {"train": "training sample", "val": "validation sample"}[split]
            kind = rows.sample_class(contents, split, sample)
            said = f"{name} {sample}" + (f", class {kind}" if kind is not None else "")
            found.append((said, picture_source(picture, said)))
    return found
