"""Write the season workbook (summary and cleaned daily data) and the summary as CSV."""

import pandas as pd

CITIES = {"Seattle": "#0B6E99", "New York": "#E07A1F"}
NOTE = "Good day: less than 1 mm of rain or snow and a high of 10 to 30 °C. Mean of 2012 to 2015. Source: NOAA."

days = pd.read_csv("inputs/weather.csv", parse_dates=["date"]).sort_values(["location", "date"])
days["good"] = (days["precipitation"] < 1) & days["temp_max"].between(10, 30)
days["month"] = days["date"].dt.month

summary = days.groupby(["location", "month"], as_index=False).agg(
    good_days=("good", "sum"),
    good_share=("good", "mean"),
    precipitation_mm=("precipitation", "sum"),
    mean_high_c=("temp_max", "mean"),
    mean_low_c=("temp_min", "mean"),
)
summary[["good_days", "precipitation_mm"]] /= days["date"].dt.year.nunique()
summary = summary.rename(columns={"location": "city"})
summary.round(3).to_csv("season-summary.csv", index=False)


def write_summary(book, sheet, header):
    number, total = (
        book.add_format({"num_format": "0.0"}),
        book.add_format({"num_format": "0.0", "bold": True, "top": 1}),
    )
    share = book.add_format({"num_format": "0 %"})
    month_name = book.add_format({"num_format": "mmmm", "align": "left"})
    measures = [
        ("good_days", "good days", number),
        ("precipitation_mm", "precipitation, mm", number),
        ("good_share", "share of good days", share),
        ("mean_high_c", "mean high, °C", number),
    ]
    sheet.write(0, 0, "Month", header)
    sheet.write(13, 0, "Year", total)
    for row in range(1, 13):
        sheet.write_datetime(row, 0, pd.Timestamp(2015, row, 1), month_name)
    columns = [(measure, city) for measure in measures for city in CITIES]
    for letter, ((name, label, style), city) in zip("BCDEFGHI", columns, strict=True):
        values = summary.loc[summary["city"] == city, name]
        sheet.write(f"{letter}1", f"{city}\n{label}", header)
        sheet.write_column(f"{letter}2", values, style)
        # A year's share or temperature is no sum of months, so only days and millimetres get a total.
        if letter in "BCDE":
            sheet.write_formula(f"{letter}14", f"=SUM({letter}2:{letter}13)", total, values.sum())
        else:
            sheet.write_blank(f"{letter}14", None, total)
    sheet.write("A15", NOTE, book.add_format({"italic": True, "font_color": "#5F6C7B"}))
    sheet.conditional_format("B2:C13", {"type": "data_bar", "bar_color": "#9CC9DD"})
    sheet.conditional_format("D2:E13", {"type": "2_color_scale", "min_color": "#FFFFFF", "max_color": "#9DC3E6"})
    sheet.conditional_format("F2:G13", {"type": "2_color_scale", "min_color": "#FFFFFF", "max_color": "#7CC0A8"})
    sheet.set_row(0, 46)
    sheet.set_column("A:A", 14)
    sheet.set_column("B:I", 18)
    sheet.freeze_panes(1, 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 1)


def add_chart(book, sheet):
    chart = book.add_chart({"type": "line"})
    for letter, (city, color) in zip("FG", CITIES.items(), strict=True):
        chart.add_series({
            "name": city,
            "categories": "='Monthly summary'!$A$2:$A$13",
            "values": f"='Monthly summary'!${letter}$2:${letter}$13",
            "line": {"color": color, "width": 2.5},
            "marker": {"type": "circle", "size": 6, "fill": {"color": color}, "border": {"color": "white"}},
        })  # fmt: skip
    grid = {"visible": True, "line": {"color": "#E4E7EB"}}
    chart.set_title({"name": "Share of good outdoor days by month", "name_font": {"size": 13, "color": "#1F2933"}})
    chart.set_x_axis({"num_format": "mmm", "text_axis": True, "line": {"color": "#9AA5B1"}})
    chart.set_y_axis({"num_format": "0 %", "min": 0, "max": 1, "major_gridlines": grid, "line": {"none": True}})
    chart.set_legend({"position": "top"})
    chart.set_size({"width": 1120, "height": 380})
    sheet.insert_chart("A17", chart)


def write_daily(writer, header, number):
    # Wind stays out: two descriptions of its unit disagree.
    daily = days[["location", "date", "precipitation", "temp_max", "temp_min", "weather", "good"]].copy()
    daily["good"] = daily["good"].map({True: "yes", False: "no"})
    daily.columns = ["City", "Date", "Precipitation, mm", "High, °C", "Low, °C", "Weather", "Good day"]
    daily.to_excel(writer, sheet_name="Daily data", index=False)
    sheet = writer.sheets["Daily data"]
    sheet.write_row("A1", daily.columns, header)
    sheet.set_row(0, 24)
    for letters, width, style in (("A:B", 13, None), ("C:C", 21, number), ("D:E", 11, number), ("F:G", 12, None)):
        sheet.set_column(letters, width, style)
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, len(daily), len(daily.columns) - 1)


with pd.ExcelWriter("season-workbook.xlsx", engine="xlsxwriter", datetime_format="yyyy-mm-dd") as writer:
    book = writer.book
    header = book.add_format({"bold": True, "font_color": "white", "bg_color": "#1F2933", "text_wrap": True})
    header.set_align("center")
    header.set_align("vcenter")
    first = book.add_worksheet("Monthly summary")
    write_summary(book, first, header)
    add_chart(book, first)
    write_daily(writer, header, book.add_format({"num_format": "0.0"}))

print(f"season-workbook.xlsx: monthly summary and {len(days):,} days; season-summary.csv: {len(summary)} rows")
