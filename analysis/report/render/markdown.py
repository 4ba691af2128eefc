"""Blocks as Markdown."""

from collections.abc import Iterable

from analysis.claims.verdicts import Agreement, Answer
from analysis.report.blocks import Block, Cell, Code, Figure, Heading, Listing, Paragraph, Table, cell_text


def document(blocks: Iterable[Block]) -> str:
    """The text of a Markdown file; the pictures of its figures lie in figures/."""
    return "\n\n".join(map(_block, blocks)) + "\n"


def marked(cell: Cell) -> str:
    """A cell as text; an answer is printed bold."""
    return f"**{cell}**" if isinstance(cell, Answer | Agreement) else cell_text(cell)


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text, answer):
            return text + (marked(answer) if answer else "")
        case Listing(items):
            return "\n".join(f"- {item}" for item in items)
        case Code(text):
            return f"```\n{text}\n```"
        case Table():
            return _table(block)
        case Figure(chart, caption):
            picture = f"![{block.title}](figures/{chart.name}.png)"
            return "\n\n".join([picture, *map(_block, caption)])


def _table(table: Table) -> str:
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join("| " + " | ".join(marked(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
