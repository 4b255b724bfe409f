"""Compose the season calendar as an SVG: good days, precipitation and highs of the twelve months."""

from pathlib import Path

import pandas as pd
from lxml import etree

WIDTH, HEIGHT = 1200, 720
LEFT, PITCH, TILE = 212, 79, 70
INK, MUTED, RULE = "#1f2933", "#5f6c7b", "#d5dbe1"
COLORS = {"Seattle": "#0b6e99", "New York": "#e07a1f"}
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
SVG = "http://www.w3.org/2000/svg"

picture = etree.Element(
    f"{{{SVG}}}svg", nsmap={None: SVG}, viewBox=f"0 0 {WIDTH} {HEIGHT}", width=str(WIDTH), height=str(HEIGHT),
    role="img", attrib={"aria-labelledby": "title about", "font-family": "DejaVu Sans, Verdana, Arial, sans-serif"},
)  # fmt: skip


def add(tag, words=None, **attributes):
    """One element; `text_anchor` becomes `text-anchor`."""
    element = etree.SubElement(picture, f"{{{SVG}}}{tag}")
    for name, value in attributes.items():
        element.set(name.replace("_", "-"), f"{value:.1f}" if isinstance(value, float) else str(value))
    element.text = words


def write(words, x, y, size=14, color=INK, **attributes):
    add("text", words, x=x, y=y, font_size=size, fill=color, **attributes)


def shade(share):
    """From a pale to a deep green, as the share goes from 0 to 1."""
    pale, deep = (229, 241, 237), (0, 70, 56)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(pale, deep, strict=True))


def draw_city(city, months, top):
    write(city, 48, top + 26, 22, font_weight="bold")
    write(f"{months['good_days'].sum():.0f} good days a year", 48, top + 50, 13, MUTED)
    write("Precipitation, mm", 48, top + 150, 13, MUTED)
    write("Mean high, °C", 48, top + 208, 13, MUTED)
    floor, points = top + 152, []
    for month in months.itertuples():
        x = LEFT + PITCH * (month.month - 1)
        center = x + TILE / 2
        add("rect", x=x, y=top, width=TILE, height=62, rx=10, fill=shade(month.good_share))
        number_color = "white" if month.good_share > 0.55 else INK
        write(f"{month.good_days:.0f}", center, top + 39, 22, number_color, font_weight="bold", text_anchor="middle")
        height = month.precipitation_mm * 0.32
        add("rect", x=center - 13, y=floor - height, width=26, height=height, rx=3, fill="#6fa8dc")
        write(f"{month.precipitation_mm:.0f}", center, floor - height - 5, 12, MUTED, text_anchor="middle")
        points.append((center, top + 221 - month.mean_high_c * 1.25, month.mean_high_c))
    add("line", x1=LEFT, x2=LEFT + 11 * PITCH + TILE, y1=floor, y2=floor, stroke=RULE)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    add("polyline", points=path, fill="none", stroke=COLORS[city], stroke_width=2.5, stroke_linejoin="round")
    for x, y, high in points:
        add("circle", cx=x, cy=y, r=4, fill=COLORS[city], stroke="white", stroke_width=1.5)
        write(f"{high:.0f}°", x, y + 19, 12, MUTED, text_anchor="middle")


summary = pd.read_csv("inputs/season-summary.csv")
add("title", "Season calendar of Seattle and New York", id="title")
add("desc", "Good outdoor days, precipitation and mean high of each month, average of 2012 to 2015", id="about")
add("rect", width=WIDTH, height=HEIGHT, fill="white")
write("The outdoor season, month by month", 48, 58, 28, font_weight="bold")
write("Good days in an average month: the deeper the green, the larger their share", 48, 86, 15, MUTED)
for position, name in enumerate(MONTHS):
    write(name, LEFT + PITCH * position + TILE / 2, 128, 14, MUTED, text_anchor="middle")
for top, city in ((142, "Seattle"), (416, "New York")):
    draw_city(city, summary[summary["city"] == city], top)
add("line", x1=48, x2=WIDTH - 48, y1=396, y2=396, stroke=RULE)
rule = (
    "Good day: less than 1 mm of rain or snow and a high of 10 to 30 °C. Source: NOAA daily observations, 2012 to 2015."
)
write(rule, 48, 694, 12, MUTED)

data = etree.tostring(picture, xml_declaration=True, encoding="UTF-8", pretty_print=True)
Path("season-calendar.svg").write_bytes(data)
print(f"season-calendar.svg: {WIDTH} x {HEIGHT}, {len(picture)} elements")
