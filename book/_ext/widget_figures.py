"""The static figures of the widgets, drawn at each build: one function for each, it gives a figure.

They are what print, PDF and readers without JavaScript see, so each shows what the widget shows first.
"""

import matplotlib

SETTINGS = {
    "svg.fonttype": "none",  # letters stay text: a tenth of the size
    "svg.hashsalt": "widget",  # the same file at every build
    "font.family": "sans-serif",
}


def save(draw, path):
    """Write what `draw` draws as SVG for screens and PDF for paper."""
    import matplotlib.pyplot as plt

    with matplotlib.rc_context(SETTINGS):
        figure = draw()
        for ending in ("svg", "pdf"):
            name = path.with_suffix(f".{ending}")
            key = "Date" if ending == "svg" else "CreationDate"
            figure.savefig(name, bbox_inches="tight", metadata={key: None})
        plt.close(figure)
