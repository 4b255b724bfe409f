"""Draw the three charts of the season study: a line, a bar and a pie chart."""

import matplotlib.pyplot as plt
import pandas as pd

INK, MUTED, GRID = "#1f2933", "#5f6c7b", "#e4e7eb"
COLORS = {"Seattle": "#0b6e99", "New York": "#e07a1f"}
WORD_COLORS = {"Seattle": "#0b6e99", "New York": "#b85f12"}
OUTCOMES = {"Good day": "#147a64", "Rain or snow": "#6fa8dc", "Too cold": "#cdd5dd", "Too hot": "#f2b134"}
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
SOURCE = "Source: NOAA daily observations, 2012 to 2015."
RULE = "Good day: less than 1 mm of rain or snow and a high of 10 to 30 °C."

plt.rcParams.update({
    "font.family": "DejaVu Sans", "font.size": 10.5, "text.color": INK, "axes.labelcolor": MUTED,
    "axes.edgecolor": "#9aa5b1", "axes.axisbelow": True, "xtick.color": MUTED, "ytick.color": MUTED,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "xtick.major.size": 0, "ytick.major.size": 0,
})  # fmt: skip

days = pd.read_csv("inputs/weather.csv", parse_dates=["date"])
days["month"] = days["date"].dt.month
days["year"] = days["date"].dt.year
days["outcome"] = "Good day"
days.loc[days["temp_max"] > 30, "outcome"] = "Too hot"
days.loc[days["temp_max"] < 10, "outcome"] = "Too cold"
days.loc[days["precipitation"] >= 1, "outcome"] = "Rain or snow"
days["good"] = days["outcome"] == "Good day"


def canvas(title, subtitle, footnote):
    """A 1600 x 900 pixel figure with its words in place; the plot goes between."""
    figure = plt.figure(figsize=(8, 4.5), dpi=200, facecolor="white")
    figure.text(0.045, 0.925, title, size=14.5, weight="bold", va="center")
    figure.text(0.045, 0.862, subtitle, size=10.5, color=MUTED, va="center")
    figure.text(0.045, 0.028, footnote, size=7.8, color=MUTED, va="bottom", linespacing=1.5)
    return figure


def draw_lines():
    per_year = days.groupby("location")["good"].sum() / days["year"].nunique()
    share = 100 * days.groupby(["location", "year", "month"])["good"].mean()
    figure = canvas(
        f"About {per_year.mean():.0f} good outdoor days a year in both cities",
        "Share of days fit for outdoor work, by month, in percent",
        f"{RULE} Shaded: lowest to highest year.\n{SOURCE}",
    )
    axes = figure.add_axes((0.095, 0.19, 0.765, 0.61))
    for city, color in COLORS.items():
        table = share[city].unstack("year")
        axes.fill_between(table.index, table.min(axis=1), table.max(axis=1), color=color, alpha=0.13, linewidth=0)
        mean = table.mean(axis=1)
        axes.plot(mean.index, mean, color=color, linewidth=2.6, marker="o", markersize=5, markeredgecolor="white")
        label = f"{city}\n{per_year[city]:.0f} days"
        axes.text(12.25, mean.iloc[-1], label, color=WORD_COLORS[city], weight="bold", va="center")
    axes.set(xlim=(0.7, 12.1), ylim=(0, 100), xticks=range(1, 13), xticklabels=MONTHS, yticks=range(0, 101, 20))
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.grid(axis="y", color=GRID)
    figure.savefig("good-days-line.png")


def draw_bars():
    rain = days.groupby(["location", "month"])["precipitation"].sum() / days["year"].nunique()
    figure = canvas(
        f"Seattle has a dry season; New York never drops below {rain['New York'].min():.0f} mm",
        "Average precipitation by month, in millimetres",
        f"Snow is counted as the water it melts to.\n{SOURCE}",
    )
    axes = figure.add_axes((0.075, 0.19, 0.88, 0.61))
    for offset, (city, color) in zip((-0.2, 0.2), COLORS.items(), strict=True):
        bars = axes.bar(rain[city].index + offset, rain[city], width=0.38, color=color, label=city)
        axes.bar_label(bars, fmt="%.0f", size=7.6, color=MUTED, padding=2)
    axes.set(xlim=(0.4, 12.6), ylim=(0, 190), xticks=range(1, 13), xticklabels=MONTHS, yticks=range(0, 161, 40))
    axes.grid(axis="y", color=GRID)
    axes.legend(frameon=False, ncols=2, loc="upper left", handlelength=1, handleheight=1, borderaxespad=0)
    figure.savefig("rain-bar.png")


def draw_pies():
    share = 100 * days.groupby("location")["outcome"].value_counts(normalize=True)
    wet, cold = share["Seattle", "Rain or snow"], share["New York", "Too cold"]
    figure = canvas(
        f"Rain costs Seattle {wet:.0f} % of its days, cold costs New York {cold:.0f} %",
        "What becomes of a day: share of all days, in percent",
        f"{RULE}\nA day that is wet and cold or hot counts as wet. {SOURCE}",
    )
    for left, city in ((0.085, "Seattle"), (0.54, "New York")):
        axes = figure.add_axes((left, 0.165, 0.395, 0.6))
        parts = share[city].reindex(OUTCOMES)
        axes.pie(
            parts, colors=OUTCOMES.values(), startangle=90, counterclock=False, radius=1.0,
            labels=[f"{reason}\n{value:.0f} %" for reason, value in parts.items()], labeldistance=1.13,
            textprops={"size": 9.5}, wedgeprops={"width": 0.42, "edgecolor": "white", "linewidth": 2},
        )  # fmt: skip
        axes.text(0, 0, city, size=12.5, weight="bold", ha="center", va="center")
    figure.savefig("lost-days-pie.png")


draw_lines()
draw_bars()
draw_pies()
print("3 charts of 1600 x 900 pixels: good-days-line.png, rain-bar.png, lost-days-pie.png")
