"""Set the season report as a PDF of three pages, with the charts that were drawn before."""

from pathlib import Path

import matplotlib
import pandas as pd
from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Image, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

INK, MUTED, RULE, BLUE, PALE = (HexColor(code) for code in ("#1f2933", "#5f6c7b", "#d5dbe1", "#0b6e99", "#f3f6f9"))
TITLE = "When to work outdoors"
LEFT, RIGHT = 20 * mm, A4[0] - 20 * mm
WIDTH = RIGHT - LEFT
EVERYWHERE = ((0, 0), (-1, -1))

# DejaVu Sans comes with matplotlib and has Greek and Cyrillic letters.
fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
pdfmetrics.registerFont(TTFont("Sans", fonts / "DejaVuSans.ttf"))
pdfmetrics.registerFont(TTFont("Sans-Bold", fonts / "DejaVuSans-Bold.ttf"))
pdfmetrics.registerFontFamily("Sans", normal="Sans", bold="Sans-Bold", italic="Sans", boldItalic="Sans-Bold")

STYLES = {"body": ParagraphStyle("body", fontName="Sans", fontSize=9.5, leading=14.5, textColor=INK, spaceAfter=7)}
for name, base, changes in (
    ("heading", "body", {"fontName": "Sans-Bold", "fontSize": 13, "leading": 18, "spaceBefore": 10, "spaceAfter": 5}),
    ("small", "body", {"fontSize": 8, "leading": 11.5, "textColor": MUTED}),
    ("label", "small", {"alignment": 1, "spaceAfter": 0}),
    ("figure", "label", {"fontName": "Sans-Bold", "fontSize": 19, "leading": 26, "textColor": BLUE}),
    ("title", "body", {"fontName": "Sans-Bold", "fontSize": 25, "leading": 32, "textColor": white, "spaceAfter": 4}),
    ("lead", "body", {"fontSize": 11, "leading": 16, "textColor": HexColor("#d9e8ef"), "spaceAfter": 0}),
):
    STYLES[name] = ParagraphStyle(name, parent=STYLES[base], **changes)


class NumberedCanvas(Canvas):
    """Holds the pages back until their number is known, then adds the header and the footer."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pages = []

    def showPage(self):  # noqa: N802
        self.pages.append(dict(self.__dict__))
        self._startPage()

    def save(self):
        for number, page in enumerate(self.pages, start=1):
            self.__dict__.update(page)
            self.setStrokeColor(RULE)
            self.setFillColor(MUTED)
            self.setFont("Sans", 8)
            self.drawString(LEFT, A4[1] - 14 * mm, TITLE)
            self.drawRightString(RIGHT, A4[1] - 14 * mm, "Seattle and New York, 2012 to 2015")
            self.line(LEFT, A4[1] - 16.5 * mm, RIGHT, A4[1] - 16.5 * mm)
            self.line(LEFT, 16 * mm, RIGHT, 16 * mm)
            self.drawString(LEFT, 11 * mm, "Data: NOAA daily observations")
            self.drawRightString(RIGHT, 11 * mm, f"Page {number} of {len(self.pages)}")
            super().showPage()
        super().save()


def text(words, style="body"):
    return Paragraph(words, STYLES[style])


def chart(name):
    return Image(f"inputs/{name}", WIDTH, WIDTH * 9 / 16)


def cover(subtitle):
    padding = [(f"{side}PADDING", *EVERYWHERE, 24) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")]
    look = [("BACKGROUND", *EVERYWHERE, INK), ("ROUNDEDCORNERS", [8] * 4), *padding]
    return Table([[[text(TITLE, "title"), text(subtitle, "lead")]]], [WIDTH], style=look)


def key_figures(pairs):
    cells = [[text(value, "figure"), text(label, "label")] for value, label in pairs]
    look = [("BACKGROUND", *EVERYWHERE, PALE), ("ROUNDEDCORNERS", [6] * 4), ("LINEBEFORE", (1, 0), (-1, -1), 2, white),
            ("TOPPADDING", *EVERYWHERE, 9), ("BOTTOMPADDING", *EVERYWHERE, 12)]  # fmt: skip
    return Table([cells], [WIDTH / len(pairs)] * len(pairs), style=look)


def monthly_table(summary):
    cities = ["Seattle", "New York"]
    rows = [["Month", "Good days", "", "Precipitation, mm", "", "Mean high, °C", ""], ["", *cities * 3]]
    for month, name in enumerate(pd.date_range("2015-01-01", periods=12, freq="MS").strftime("%B"), start=1):
        at = summary.xs(month, level="month").loc[cities]
        numbers = [f"{days:.1f}" for days in at["good_days"]] + [f"{rain:.0f}" for rain in at["precipitation_mm"]]
        rows.append([name, *numbers, *(f"{high:.1f}" for high in at["mean_high_c"])])
    year = summary.groupby("city").sum().loc[cities]
    rows.append(["Year", *(f"{value:,.0f}" for value in [*year["good_days"], *year["precipitation_mm"]]), "", ""])
    look = [
        ("FONT", *EVERYWHERE, "Sans", 8.5), ("TEXTCOLOR", *EVERYWHERE, INK), ("VALIGN", *EVERYWHERE, "MIDDLE"),
        ("BACKGROUND", (0, 0), (-1, 1), INK), ("TEXTCOLOR", (0, 0), (-1, 1), white),
        ("FONT", (0, 0), (-1, 1), "Sans-Bold", 8.5), ("FONT", (0, -1), (-1, -1), "Sans-Bold", 8.5),
        ("ALIGN", (1, 0), (-1, 0), "CENTER"), ("ALIGN", (1, 1), (-1, -1), "RIGHT"),
        ("RIGHTPADDING", (1, 1), (-1, -1), 12),
        *[("SPAN", (column, 0), (column + 1, 0)) for column in (1, 3, 5)],
        ("ROWBACKGROUNDS", (0, 2), (-1, -2), [white, PALE]), ("LINEABOVE", (0, -1), (-1, -1), 1, INK),
    ]  # fmt: skip
    return Table(rows, [WIDTH * 0.19, *[WIDTH * 0.135] * 6], [8 * mm, 6.5 * mm, *[6.8 * mm] * 13], style=look)


summary = pd.read_csv("inputs/season-summary.csv").set_index(["city", "month"])
good = summary["good_days"].groupby("city").sum()
july = summary.xs(7, level="month")
rain = summary["precipitation_mm"].groupby("city")
span = {city: f"{months.min():.0f} to {months.max():.0f}" for city, months in rain}
story = [
    cover("A season plan for outdoor crews in Seattle and New York<br/>Four years of daily weather, 2012 to 2015"),
    Spacer(1, 6 * mm),
    key_figures([
        (f"{good['Seattle']:.0f}", "good outdoor days<br/>a year in Seattle"),
        (f"{good['New York']:.0f}", "good outdoor days<br/>a year in New York"),
        (f"{july.loc['Seattle', 'precipitation_mm']:.0f} mm", "of rain in an average<br/>July in Seattle"),
        (f"{100 * july.loc['New York', 'good_share']:.0f} %", "of July days are good<br/>in New York"),
    ]),
    Spacer(1, 3 * mm),
    text("As many good days, at different times", "heading"),
    text("A <b>good day</b> has less than 1\xa0mm of rain or snow and a high of 10 to 30\xa0°C. By that measure the "
         "cities are nearly equal over a year. Seattle keeps a steady season from May to September. New York has two, "
         "in spring and in autumn, with a hot and showery July between them."),
    chart("good-days-line.png"),
    text("What to do", "heading"),
    text("Plan long outdoor jobs in Seattle between May and September. In New York, start in April, keep July for work "
         "that bears heat, and count on October, the best month of all."),
    PageBreak(),
    text("Rain decides in Seattle", "heading"),
    text(f"An average month brings {span['Seattle']}\xa0mm in Seattle and {span['New York']}\xa0mm in New York. "
         "In Seattle a crew can plan around the rain; in New York it comes in every season."),
    chart("rain-bar.png"),
    text("Why days are lost", "heading"),
    chart("lost-days-pie.png"),
    PageBreak(),
    text("The months in numbers", "heading"),
    monthly_table(summary),
    Spacer(1, 3 * mm),
    text("Averages of 2012 to 2015. Good days and precipitation are per month, in the last row per year.", "small"),
    text("Method and limits", "heading"),
    text("Each city has one record a day and none is missing: 1,461 days each. Four years show the seasons well and "
         "rare events badly; two wet Junes lift New York's June average. The limits of 1\xa0mm, 10\xa0°C and "
         "30\xa0°C are a working definition, and the workbook holds the daily data to try others."),
    text("Where next", "heading"),
    text("Any city with daily records can be read in the same way. Candidates for the next round, with their own "
         "names for the search in local archives: Athens (Αθήνα), Thessaloniki (Θεσσαλονίκη), Sofia (София) "
         "and Kyiv (Київ)."),
]  # fmt: skip
# The frame adds 6 points inside each margin.
document = SimpleDocTemplate(
    "season-report.pdf", pagesize=A4, title=f"{TITLE}: Seattle and New York", author="Season study", lang="en",
    leftMargin=LEFT - 6, rightMargin=LEFT - 6, topMargin=22 * mm, bottomMargin=20 * mm,
)  # fmt: skip
document.build(story, canvasmaker=NumberedCanvas)
print(f"season-report.pdf: {document.page} pages")
