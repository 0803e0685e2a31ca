"""Tables as printed and as kept: text for people, JSON for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks import machine

FOLDER = Path(__file__).parent / "results"


@dataclass
class Table:
    """A titled table of strings, with notes below."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Append a row."""
        if len(cells) != len(self.columns):
            raise ValueError(f"a row must have {len(self.columns)} cells, got {len(cells)}")
        self.rows.append(list(cells))

    def note(self, text: str) -> None:
        """Append a note."""
        self.notes.append(text)

    def __str__(self) -> str:
        """Markdown, with columns padded to be read as it is."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [self.title, ""]
        for cells in [self.columns, ["-" * width for width in widths], *self.rows]:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            lines.append("| " + " | ".join(padded) + " |")
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])


def keep(
    name: str,
    tables: list[Table],
    folder: Path = FOLDER,
    described: Mapping[str, str] | None = None,
) -> Path:
    """Write tables with the machine they were measured on, as ``name.md``, ``.json`` and ``.png``.

    Without matplotlib there is no plot.
    """
    described = dict(described or machine.describe())
    folder.mkdir(parents=True, exist_ok=True)
    head = [f"# {name}", "", *(f"- {key}: {value}" for key, value in described.items())]
    text = "\n\n".join(["\n".join(head), *map(str, tables)]) + "\n"
    (folder / f"{name}.md").write_text(text)
    values = {
        "machine": described,
        "tables": [
            {
                "title": table.title,
                "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
                "notes": table.notes,
            }
            for table in tables
        ],
    }
    (folder / f"{name}.json").write_text(json.dumps(values, indent=2) + "\n")
    if find_spec("matplotlib") is not None:
        from benchmarks import plots

        where = described.get("device", described["processor"])
        heading = f"{name}: {where}, commit {described['commit']}"
        plots.save(folder / f"{name}.png", heading, tables)
    return folder / f"{name}.md"
