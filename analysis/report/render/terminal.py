"""Tables and paragraphs as plain text of a terminal."""

from collections.abc import Iterable

from analysis.report.blocks import Paragraph, Table, cell_text


def plain_text(blocks: Iterable[Table | Paragraph]) -> str:
    """Blocks with an empty line between them."""
    return "\n\n".join(_table(block) if isinstance(block, Table) else block.text for block in blocks)


def _table(table: Table) -> str:
    """Columns of equal width below the title; the first column is text, the others are numbers."""
    lines = [list(map(cell_text, line)) for line in [table.header, *table.rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    columns = [
        "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in lines
    ]
    return "\n".join([*([table.title] if table.title else []), *columns])
