"""Compose the three charts and the key figures on one board, with a small copy for a preview."""

from pathlib import Path

import matplotlib
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = (1600, 900)
MARGIN, GAP, RADIUS = 48, 24, 18
PAPER, INK, MUTED, BLUE, ORANGE = "#eef2f6", "#1f2933", "#5f6c7b", "#0b6e99", "#b85f12"

fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")


def font(size, *, bold=False):
    return ImageFont.truetype(fonts / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), size)


def add_card(board, box):
    """A white rounded card with a soft shadow."""
    left, top, right, bottom = box
    shadow = Image.new("RGBA", SIZE)
    ImageDraw.Draw(shadow).rounded_rectangle((left, top + 6, right, bottom + 6), RADIUS, fill=(31, 41, 51, 46))
    board.alpha_composite(shadow.filter(ImageFilter.GaussianBlur(10)))
    ImageDraw.Draw(board).rounded_rectangle(box, RADIUS, fill="white")


def add_chart(board, name, box, inset):
    """The chart scaled to the width of its card, with its corners inside the card's."""
    left, top, right, _ = box
    width = right - left - 2 * inset
    with Image.open(f"inputs/{name}") as chart:
        scaled = chart.convert("RGB").resize((width, width * chart.height // chart.width), Image.Resampling.LANCZOS)
    board.paste(scaled, (left + inset, top + inset))


summary = pd.read_csv("inputs/season-summary.csv")
good = summary.groupby("city")["good_days"].sum()
july = summary[summary["month"] == 7].set_index("city")

board = Image.new("RGBA", SIZE, PAPER)
draw = ImageDraw.Draw(board)
draw.text((MARGIN, 40), "When to work outdoors", font=font(42, bold=True), fill=INK)
draw.text((MARGIN, 98), "Seattle and New York compared, daily weather of 2012 to 2015", font=font(22), fill=MUTED)

top, bottom, split = 152, 842, 970
large = (MARGIN, top, split, bottom)
middle = (top + bottom) // 2
upper = (split + GAP, top, SIZE[0] - MARGIN, middle - GAP // 2)
lower = (split + GAP, middle + GAP // 2, SIZE[0] - MARGIN, bottom)
for box, name in ((large, "good-days-line.png"), (upper, "rain-bar.png"), (lower, "lost-days-pie.png")):
    add_card(board, box)
    add_chart(board, name, box, inset=12)

figures = [
    (f"{good['Seattle']:.0f}", "good days a year\nin Seattle", BLUE),
    (f"{good['New York']:.0f}", "good days a year\nin New York", ORANGE),
    (f"{july.loc['Seattle', 'good_days']:.0f}", "good days in July\nin Seattle", BLUE),
    (f"{july.loc['New York', 'good_days']:.0f}", "good days in July\nin New York", ORANGE),
]
step = (large[2] - large[0]) / len(figures)
draw.line((large[0] + 40, 690, large[2] - 40, 690), fill="#d5dbe1", width=2)
for index, (value, label, color) in enumerate(figures):
    center = large[0] + step * (index + 0.5)
    draw.text((center, 738), value, font=font(44, bold=True), fill=color, anchor="mm")
    draw.multiline_text((center, 796), label, font=font(17), fill=MUTED, anchor="mm", align="center", spacing=6)
rule = "Good day: less than 1 mm of rain or snow, high of 10 to 30 °C. Data: NOAA."
draw.text((MARGIN, 872), rule, font=font(16), fill=MUTED, anchor="lm")

picture = board.convert("RGB")
picture.save("season-board.png", optimize=True)
picture.resize((800, 450), Image.Resampling.LANCZOS).save("season-board-small.jpg", quality=88)
print("season-board.png: 1600 x 900 pixels; season-board-small.jpg: 800 x 450 pixels")
