"""Rows of text cells as an aligned table, or as HTML."""


def align(rows):
    """Rows of text cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def html_table(rows):
    """The same rows as an HTML table, the first as its header, everything escaped."""
    from html import escape

    head, *body = [[escape(cell) for cell in row] for row in rows]
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body]
    header = "".join(f"<th>{cell}</th>" for cell in head)
    return f"<table><tr>{header}</tr>{''.join(lines)}</table>"
