"""Build an interactive page with every day of both cities: highs and lows, and weekly precipitation."""

import pandas as pd
from plotly.subplots import make_subplots

CITIES = {"Seattle": ("#0b6e99", "rgba(11,110,153,0.16)"), "New York": ("#e07a1f", "rgba(224,122,31,0.16)")}

days = pd.read_csv("inputs/weather.csv", parse_dates=["date"]).set_index("date")
fig = make_subplots(
    rows=2, shared_xaxes=True, row_heights=[0.66, 0.34], vertical_spacing=0.09,
    subplot_titles=["Highs and lows, mean of seven days, °C", "Precipitation by week, mm"],
)  # fmt: skip

for city, (color, pale) in CITIES.items():
    own = days[days["location"] == city]
    smooth = own[["temp_min", "temp_max"]].rolling(7, center=True, min_periods=4).mean().round(1)
    weekly = own["precipitation"].resample("W-MON", label="left", closed="left").sum().round(1)
    shared = {"legendgroup": city, "name": city, "x": smooth.index}
    fig.add_scatter(y=smooth["temp_min"], line={"width": 0}, showlegend=False, hoverinfo="skip", **shared)
    fig.add_scatter(
        y=smooth["temp_max"], fill="tonexty", fillcolor=pale, line={"color": color, "width": 2},
        customdata=smooth["temp_min"], hovertemplate="%{y:.1f} °C, low %{customdata:.1f} °C", **shared,
    )  # fmt: skip
    fig.add_bar(
        x=weekly.index, y=weekly, marker_color=color, name=city, legendgroup=city, showlegend=False,
        hovertemplate="%{y:.1f} mm in the week of %{x|%d %b %Y}<extra>" + city + "</extra>", row=2, col=1,
    )  # fmt: skip

spans = [{"step": "year", "count": 1, "stepmode": "backward", "label": "1 year"},
         {"step": "year", "count": 2, "stepmode": "backward", "label": "2 years"},
         {"step": "all", "label": "All"}]  # fmt: skip
fig.update_layout(
    title={"text": "<b>Four years of weather, day by day</b>", "xref": "paper", "x": 0, "y": 0.945, "font_size": 22},
    font={"family": "DejaVu Sans, Verdana, Arial, sans-serif", "size": 13, "color": "#1f2933"},
    template="plotly_white", height=740, margin={"l": 60, "r": 30, "t": 130, "b": 90},
    hovermode="x unified", barmode="group", bargap=0.1,
    legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.13},
)  # fmt: skip
fig.update_annotations(x=0, xanchor="left", font={"size": 13, "color": "#5f6c7b"})
fig.update_xaxes(range=["2015-01-01", "2015-12-31"], showgrid=False, linecolor="#9aa5b1")
fig.update_xaxes(rangeselector={"buttons": spans, "x": 0, "y": 1.07, "bgcolor": "#eef2f6"}, row=1, col=1)
fig.update_yaxes(gridcolor="#e4e7eb", zerolinecolor="#9aa5b1")
fig.add_annotation(
    text="Source: NOAA, 2012 to 2015.<br>Drag over the plot to zoom, double-click to go back, click a city to hide it.",
    x=0, y=-0.1, xref="paper", yref="paper", xanchor="left", yanchor="top", align="left", showarrow=False,
    font={"size": 11, "color": "#5f6c7b"},
)  # fmt: skip
fig.write_html("season-explorer.html", include_plotlyjs=True, config={"displayModeBar": False, "responsive": True})
print(f"season-explorer.html: {len(days):,} days in {len(fig.data)} traces")
