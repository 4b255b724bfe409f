"""Which modules agent code may import, which it may not and why, and what to use instead: tables.

Nothing is judged here. Runs inside the warm interpreter, so it imports the standard library only.
"""

import sys

NO_NETWORK = "There is no network here; pass the data as an input."
NO_PROGRAMS = "Other programs cannot be run here; do it in Python."
_REFUSED_BY_REASON = {
    NO_NETWORK: """socket _socket ssl _ssl socketserver urllib http ftplib smtplib smtpd poplib imaplib telnetlib
        nntplib xmlrpc wsgiref asyncore asynchat requests httpx aiohttp urllib3 httplib2 pycurl websocket websockets
        paramiko boto3 botocore flask fastapi uvicorn django tornado yfinance pandas_datareader gspread selenium
        playwright scrapy""",
    NO_PROGRAMS: """subprocess _posixsubprocess asyncio.subprocess pty commands popen2 posix sh pexpect plumbum
        invoke fabric""",
    "Native code cannot be loaded here; use numpy or plain Python.": "ctypes _ctypes cffi _cffi_backend",
    "There is no display here; draw with matplotlib or PIL.": "tkinter _tkinter turtle turtledemo idlelib pygame",
    "There is no browser here; write the page to an `.html` file.": "webbrowser antigravity",
    "Nothing can be installed here; use the libraries that are available.": "pip ensurepip venv conda",
    "It exists on Windows only; use `os` and `pathlib`.": "msvcrt winreg _winapi winsound msilib nt",
    "It replaces `open`; import the names that you need.": "os.*",
}
REFUSED_IMPORTS = {name: why for why, names in _REFUSED_BY_REASON.items() for name in names.split()}
DEFAULT_ALLOWED = frozenset(sys.stdlib_module_names | {"__main__"}) - REFUSED_IMPORTS.keys()

# Distribution, then what it is imported as where that differs.
_RUNTIME = """cycler jinja2 lxml MarkupSafe=markupsafe matplotlib=matplotlib,mpl_toolkits,pylab numpy openpyxl
    packaging pandas patsy pillow=PIL plotly pypdfium2 python-dateutil=dateutil python-docx=docx python-pptx=pptx
    pytz PyYAML=yaml qrcode reportlab scipy seaborn statsmodels tabulate tzdata weasyprint XlsxWriter=xlsxwriter"""
_PARTS = [item.partition("=") for item in _RUNTIME.split()]
RUNTIME_IMPORTS = {name: tuple((imported or name).split(",")) for name, _, imported in _PARTS}

_MISSING_BY_REMEDY = {
    "Use plotly or matplotlib instead.": """bokeh altair pygal folium geopandas holoviews dash streamlit plotnine
        ggplot wordcloud networkx graphviz pydot squarify""",
    "Use reportlab instead.": "fpdf fpdf2 pdfkit xhtml2pdf weasyprint borb docx2pdf barcode",
    "Use pypdfium2 to read and reportlab to write PDF.": "PyPDF2 pypdf fitz pymupdf pdfplumber pdfminer pikepdf",
    "Use PIL instead.": "cv2 imageio moviepy skimage wand",
    "Use scipy or statsmodels instead.": "sklearn torch tensorflow keras xgboost lightgbm sympy prophet",
    "Use pandas or openpyxl instead.": "polars duckdb pyarrow dask fastparquet xlrd xlwt pyexcel odf",
    "Use `lxml.html` instead.": "bs4 html5lib",
    "Use json, tomllib or yaml instead.": "simplejson ujson orjson toml tomli ruamel",
    "Use the standard library: zoneinfo, dataclasses, random, re.": "pytz pydantic attr attrs faker nltk spacy",
    "Use print or tabulate instead.": "rich prettytable tqdm termcolor colorama",
    "Write the HTML or SVG text directly.": "markdown markdown2 mistune svgwrite cairosvg drawsvg",
    "Save files to the current folder instead.": "IPython google",
}
REMEDIES = {name: remedy for remedy, names in _MISSING_BY_REMEDY.items() for name in names.split()}
IMPORT_NAMES = {dist.lower().replace("-", "_"): names[0] for dist, names in RUNTIME_IMPORTS.items()}
