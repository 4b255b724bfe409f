"""Sample files made in memory, each with a file name and the name of its format. No sample is read from disk."""

import bz2
import gzip
import importlib.util
import io
import json
import lzma
import pickle
import sqlite3
import struct
import tarfile
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pptx
from docx import Document
from matplotlib.figure import Figure
from openpyxl import Workbook
from PIL import Image
from reportlab.pdfgen.canvas import Canvas
from xlsxwriter import Workbook as XlsxWriterWorkbook


class Sample(NamedTuple):
    name: str
    format: str
    make: Callable[[], bytes]


def chart(kind: str) -> bytes:
    out = io.BytesIO()
    figure: Any = Figure(figsize=(1, 1))
    figure.subplots().plot([1, 2, 3])
    figure.savefig(out, format=kind)
    return out.getvalue()


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(out, format=kind)
    return out.getvalue()


def openpyxl_workbook() -> bytes:
    out = io.BytesIO()
    book = Workbook()
    book.create_sheet("Sales")["A1"] = "region"
    book.save(out)
    return out.getvalue()


def xlsxwriter_workbook() -> bytes:
    out = io.BytesIO()
    book: Any = XlsxWriterWorkbook(out, {"in_memory": True})
    book.add_worksheet().write(0, 0, "region")
    book.close()
    return out.getvalue()


def word_document() -> bytes:
    out = io.BytesIO()
    document = Document()
    document.add_heading("Report")
    document.save(out)
    return out.getvalue()


def presentation() -> bytes:
    out = io.BytesIO()
    slides = pptx.Presentation()
    slides.slides.add_slide(slides.slide_layouts[0])
    slides.save(out)
    return out.getvalue()


def reportlab_pdf() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.drawString(72, 720, "Report")
    canvas.save()
    return out.getvalue()


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
        archive.comment = comment
    return out.getvalue()


def declared(media_type: str) -> bytes:
    """An OpenDocument or EPUB file: the first member, stored, is its media type."""
    stored = zipfile.ZipInfo("mimetype")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(stored, media_type, zipfile.ZIP_STORED)
        archive.writestr("content.xml", "<content/>")
    return out.getvalue()


def tarred(kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        member = tarfile.TarInfo("notes.txt")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    return out.getvalue()


def ole(*streams: str) -> bytes:
    """An OLE compound file of version 3 with a directory of empty streams in its second sector."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<HHHH", header, 24, 0x3E, 3, 0xFFFE, 9)
    struct.pack_into("<I", header, 48, 1)
    entries = b"".join(
        name.encode("utf-16-le").ljust(64, b"\x00") + struct.pack("<H", 2 * len(name) + 2) + bytes(62)
        for name in ("Root Entry", *streams)
    )
    return bytes(header) + bytes(512) + entries


def database() -> bytes:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE sales (region TEXT)")
        return connection.serialize()
    finally:
        connection.close()


def database_dump() -> bytes:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE sales (region TEXT)")
        connection.execute("INSERT INTO sales VALUES ('north')")
        return "\n".join(connection.iterdump()).encode()
    finally:
        connection.close()


def table() -> pd.DataFrame:
    return pd.DataFrame({"region": ["north", "south"], "sales": [10, 20]})


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def mail() -> bytes:
    message = EmailMessage()
    message["To"], message["Subject"] = "bo@example.com", "Q3"
    message.set_content("Here it is.")
    return message.as_bytes()


def text(content: str) -> Callable[[], bytes]:
    return content.encode


def raw(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def brands(major: bytes, *others: bytes) -> bytes:
    box = major + bytes(4) + b"".join(others)
    return struct.pack(">I", len(box) + 8) + b"ftyp" + box + b"\x00\x00\x00\x08mdat\xde\xad"


def bytecode() -> bytes:
    return importlib.util.MAGIC_NUMBER + bytes(12) + b"\xe3"


PAGE = "<!DOCTYPE html>\n<html><head><title>Page</title></head><body><p>Hi</p></body></html>\n"
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg"><circle r="4"/></svg>'
NOTEBOOK = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

IMAGES = (
    Sample("chart.png", "png", lambda: chart("png")),
    Sample("chart.svg", "svg", lambda: chart("svg")),
    Sample("photo.jpg", "jpeg", lambda: picture("JPEG")),
    Sample("anim.gif", "gif", lambda: picture("GIF")),
    Sample("logo.webp", "webp", lambda: picture("WEBP")),
    Sample("logo.bmp", "bmp", lambda: picture("BMP")),
    Sample("scan.tiff", "tiff", lambda: picture("TIFF")),
    Sample("favicon.ico", "ico", lambda: picture("ICO")),
    Sample("photo.avif", "avif", raw(brands(b"avif", b"mif1"))),
    Sample("burst.avif", "avif", raw(brands(b"mif1", b"avif"))),
    Sample("photo.heic", "heic", raw(brands(b"heic", b"mif1"))),
)

DOCUMENTS = (
    Sample("chart.pdf", "pdf", lambda: chart("pdf")),
    Sample("report.pdf", "pdf", reportlab_pdf),
    Sample("report.docx", "docx", word_document),
    Sample("deck.pptx", "pptx", presentation),
    Sample("report.docm", "docm", lambda: zipped(("_rels/.rels", b""), ("word/vbaProject.bin", b""))),
    Sample("deck.pptm", "pptm", lambda: zipped(("_rels/.rels", b""), ("ppt/vbaProject.bin", b""))),
    Sample("old.doc", "doc", lambda: ole("WordDocument", "1Table")),
    Sample("old.ppt", "ppt", lambda: ole("Current User", "PowerPoint Document")),
    Sample("report.odt", "odt", lambda: declared("application/vnd.oasis.opendocument.text")),
    Sample("deck.odp", "odp", lambda: declared("application/vnd.oasis.opendocument.presentation")),
    Sample("book.epub", "epub", lambda: declared("application/epub+zip")),
    Sample("letter.rtf", "rtf", text("{\\rtf1\\ansi Hello}")),
    Sample("page.html", "html", text(PAGE)),
    Sample("part.html", "html", text("<p>Hello</p>")),
    Sample("page.xhtml", "html", text('<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"></html>')),
    Sample("mail.eml", "eml", mail),
)

SPREADSHEETS = (
    Sample("book.xlsx", "xlsx", openpyxl_workbook),
    Sample("sales.xlsx", "xlsx", xlsxwriter_workbook),
    Sample("macro.xlsm", "xlsm", lambda: zipped(("[Content_Types].xml", b""), ("xl/vbaProject.bin", b""))),
    Sample("book.xlsb", "xlsb", lambda: zipped(("[Content_Types].xml", b""), ("xl/workbook.bin", b""))),
    Sample("old.xls", "xls", lambda: ole("Workbook")),
    Sample("older.xls", "xls", lambda: ole("Book")),
    Sample("book.ods", "ods", lambda: declared("application/vnd.oasis.opendocument.spreadsheet")),
    Sample("sales.csv", "csv", lambda: table().to_csv(index=False).encode()),
    Sample("tiny.csv", "csv", text("a\n1\n")),
    Sample("latin.csv", "csv", lambda: "city,sales\nMálaga,10\nÉvreux,20\n".encode("latin-1")),
    Sample("sales.tsv", "tsv", lambda: table().to_csv(sep="\t").encode()),
)

DATA = (
    Sample("sales.json", "json", lambda: (table().to_json() or "").encode()),
    Sample("list.json", "json", text("[1,2,3]")),
    Sample("rows.jsonl", "jsonl", lambda: (table().to_json(orient="records", lines=True) or "").encode()),
    Sample("rows.ndjson", "jsonl", text('{"a": 1}\n')),
    Sample("map.geojson", "geojson", text('{"type": "FeatureCollection", "features": []}')),
    Sample("analysis.ipynb", "ipynb", text(NOTEBOOK)),
    Sample("data.xml", "xml", text('<?xml version="1.0"?><sales><row/></sales>')),
    Sample("bare.xml", "xml", text("<sales><row/></sales>")),
    Sample("conf.yaml", "yaml", text("a: 1\nb: [2]\n")),
    Sample("conf.toml", "toml", text("[a]\nb = 1\n")),
    Sample("conf.ini", "ini", text("[a]\nb = 1\n")),
    Sample("dump.sql", "sql", database_dump),
    Sample("event.ics", "ics", text("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n")),
    Sample("card.vcf", "vcf", text("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bo\r\nEND:VCARD\r\n")),
    Sample("data.sqlite", "sqlite", database),
    Sample("array.npy", "npy", lambda: written(lambda out: np.save(out, np.arange(9)))),
    Sample("arrays.npz", "npz", lambda: written(lambda out: np.savez(out, a=np.arange(9)))),
    Sample("packed.npz", "npz", lambda: written(lambda out: np.savez_compressed(out, a=np.arange(9)))),
    Sample("table.pkl", "pickle", lambda: written(lambda out: table().to_pickle(out))),
    Sample("old.pickle", "pickle", lambda: pickle.dumps([1, 2], protocol=2)),
    Sample("table.parquet", "parquet", raw(b"PAR1\x15\x04\x15\x00\x00\x00PAR1")),
    Sample("table.feather", "arrow", raw(b"ARROW1\x00\x00\xff\xff\xff\xff")),
    Sample("cube.h5", "hdf5", raw(b"\x89HDF\r\n\x1a\n\x00\x00\x00\x00")),
    Sample("font.ttf", "ttf", raw(b"\x00\x01\x00\x00\x00\x0c\x00\x80")),
    Sample("font.otf", "otf", raw(b"OTTO\x00\x0c\x00\x80")),
    Sample("font.woff", "woff", raw(b"wOFF\x00\x01\x00\x00")),
    Sample("font.woff2", "woff2", raw(b"wOF2\x00\x01\x00\x00")),
    Sample("noise.bin", "binary", lambda: bytes(range(256))),
)

ARCHIVES = (
    Sample("files.zip", "zip", lambda: zipped(("a.txt", b"hello"), ("word/notes.txt", b"hello"))),
    Sample("empty.zip", "zip", zipped),
    Sample("pure-1.0-py3-none-any.whl", "whl", lambda: zipped(("pure.py", b""), ("pure-1.0.dist-info/WHEEL", b""))),
    Sample("files.tar", "tar", tarred),
    Sample("ancient.tar", "tar", lambda: tarred(tarfile.GNU_FORMAT)),
    Sample("files.tar.gz", "tar.gz", lambda: gzip.compress(tarred())),
    Sample("files.tgz", "tar.gz", lambda: gzip.compress(tarred())),
    Sample("log.gz", "gz", lambda: gzip.compress(b"hello")),
    Sample("log.bz2", "bz2", lambda: bz2.compress(b"hello")),
    Sample("log.xz", "xz", lambda: lzma.compress(b"hello")),
    Sample("files.7z", "7z", raw(b"7z\xbc\xaf\x27\x1c\x00\x04")),
    Sample("log.zst", "zst", raw(b"\x28\xb5\x2f\xfd\x04\x00")),
    Sample("files.rar", "rar", raw(b"Rar!\x1a\x07\x01\x00")),
)

TEXTS = (
    Sample("report.md", "markdown", text("# Report\n\n- one\n")),
    Sample("README.md", "markdown", text('<div align="center">\n<h1>Project</h1>\n</div>\n\nSome words.\n')),
    Sample("notes.txt", "text", text("Notes: naïve café\n")),
    Sample("empty.txt", "text", text("")),
    Sample("run.log", "log", text("\x1b[32mINFO\x1b[0m done \x07\n")),
    Sample("README.rst", "rst", text("Title\n=====\n")),
    Sample("paper.tex", "tex", text("\\documentclass{article}\n")),
    Sample("fix.patch", "diff", text("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")),
    Sample("video.vtt", "vtt", text("WEBVTT\n\n00:00.000 --> 00:01.000\nHi\n")),
    Sample("video.srt", "srt", text("1\n00:00:00,000 --> 00:00:01,000\nHi\n")),
    Sample("style.css", "css", text("p { color: red }\n")),
    Sample("app.js", "javascript", text("const a = 1\n")),
    Sample("app.ts", "typescript", text("const a: number = 1\n")),
    Sample("App.tsx", "tsx", text("export const A = () => <p />\n")),
    Sample("App.jsx", "jsx", text("export const A = () => <p />\n")),
    Sample("main.py", "python", text("import os\n")),
    Sample("deploy.sh", "shell", text("#!/bin/sh\necho hi\n")),
    Sample("Main.java", "java", text("class Main {}\n")),
    Sample("main.c", "c", text("int main(void) { return 0; }\n")),
    Sample("main.h", "c", text("#pragma once\n")),
    Sample("main.cpp", "cpp", text("int main() {}\n")),
    Sample("main.go", "go", text("package main\n")),
    Sample("main.rs", "rust", text("fn main() {}\n")),
    Sample("main.rb", "ruby", text("puts 1\n")),
    Sample("index.php", "php", text("<!DOCTYPE html>\n<html><?php echo 1 ?></html>\n")),
    Sample("model.R", "r", text("x <- 1\n")),
    Sample("Main.kt", "kotlin", text("fun main() {}\n")),
    Sample("main.swift", "swift", text("print(1)\n")),
    Sample("Main.cs", "csharp", text("class Main {}\n")),
    Sample("main.lua", "lua", text("print(1)\n")),
    Sample("run.ps1", "powershell", text("Write-Output 1\n")),
    Sample("Dockerfile", "dockerfile", text("FROM scratch\n")),
    Sample("Dockerfile.dev", "dockerfile", text("FROM scratch\n")),
    Sample("Makefile", "makefile", text("all:\n\ttrue\n")),
)

NOT_DELIVERED = (
    Sample("clip.mp4", "mp4", raw(brands(b"isom", b"mp41"))),
    Sample("clip.mov", "mov", raw(brands(b"qt  "))),
    Sample("old.mov", "mov", raw(b"\x00\x00\x10\x00moov\x00\x00\x00\x00")),
    Sample("clip.webm", "webm", raw(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm\x00")),
    Sample("clip.mkv", "mkv", raw(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska\x00")),
    Sample("clip.avi", "avi", raw(b"RIFF\x00\x01\x00\x00AVI LIST")),
    Sample("clip.flv", "flv", raw(b"FLV\x01\x05\x00\x00\x00")),
    Sample("clip.wmv", "wmv", raw(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9")),
    Sample("clip.mpg", "mpeg", raw(b"\x00\x00\x01\xba\x44\x00")),
    Sample("clip.ts", "mpegts", raw((b"G\x40\x00\x10" + bytes(184)) * 3)),
    Sample("song.mp3", "mp3", raw(b"ID3\x04\x00\x00\x00\x00\x00\x00")),
    Sample("bare.mp3", "mp3", raw(b"\xff\xfb\x90\x64" + bytes(400))),
    Sample("song.wav", "wav", raw(b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00")),
    Sample("song.ogg", "ogg", raw(b"OggS\x00\x02\x00\x00")),
    Sample("song.flac", "flac", raw(b"fLaC\x00\x00\x00\x22")),
    Sample("song.m4a", "m4a", raw(brands(b"M4A ", b"isom"))),
    Sample("song.aac", "aac", raw(b"\xff\xf1\x50\x80\x01\x7f\xfc\x00\x00\x00\x00" * 2)),
    Sample("song.aiff", "aiff", raw(b"FORM\x00\x00\x00\x2eAIFFCOMM")),
    Sample("song.mid", "midi", raw(b"MThd\x00\x00\x00\x06\x00\x01")),
    Sample("tool", "elf", raw(b"\x7fELF\x02\x01\x01\x00" + bytes(8))),
    Sample("fast.cpython-311-x86_64-linux-gnu.so", "elf", raw(b"\x7fELF\x02\x01\x01\x00" + bytes(8))),
    Sample("setup.exe", "exe", raw(b"MZ\x90\x00\x03\x00\x00\x00" + bytes(56))),
    Sample("tool.macho", "macho", raw(b"\xcf\xfa\xed\xfe\x07\x00\x00\x01")),
    Sample("universal", "macho", raw(b"\xca\xfe\xba\xbe\x00\x00\x00\x02")),
    Sample("Main.class", "class", raw(b"\xca\xfe\xba\xbe\x00\x00\x00\x41\x00\x1d")),
    Sample("libx.a", "library", raw(b"!<arch>\nx.o/\x00\x01")),
    Sample("classes.dex", "dex", raw(b"dex\n035\x00\x01\x02")),
    Sample("app.wasm", "wasm", raw(b"\x00asm\x01\x00\x00\x00")),
    Sample("app.bc", "bitcode", raw(b"BC\xc0\xde\x35\x14\x00\x00")),
    Sample("main.cpython-311.pyc", "pyc", bytecode),
    Sample("app.jar", "jar", lambda: zipped(("META-INF/MANIFEST.MF", b""), ("Main.class", b""))),
    Sample("app.apk", "apk", lambda: zipped(("AndroidManifest.xml", b""), ("classes.dex", b""))),
)

SAMPLES = (*IMAGES, *DOCUMENTS, *SPREADSHEETS, *DATA, *ARCHIVES, *TEXTS, *NOT_DELIVERED)

LIARS = (
    Sample("liar.png", "html", text(PAGE)),
    Sample("liar.txt", "html", text(PAGE)),
    Sample("liar.csv", "html", text(PAGE)),
    Sample("liar.md", "html", text(PAGE)),
    Sample("liar.json", "html", text("<html>502 Bad Gateway</html>")),
    Sample("liar.xls", "html", text("<table><tr><td>1</td></tr></table>")),
    Sample("fragment.png", "html", text("<script>alert(1)</script>")),
    Sample("fragment.txt", "html", text("\ufeff \n<IFRAME src=x></IFRAME>")),
    Sample("commented.txt", "html", text("<!-- hello --><!-- more -->\n<HTML></HTML>")),
    Sample("latin.png", "html", lambda: "<html><p>Málaga</p></html>".encode("latin-1")),
    Sample("wide.txt", "html", lambda: PAGE.encode("utf-16")),
    Sample("drawing.png", "svg", text(DRAWING)),
    Sample("drawing.txt", "svg", text("<?xml version='1.0'?><!-- made -->\n" + DRAWING)),
    Sample("drawing.xml", "svg", text("<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' ''>" + DRAWING)),
    Sample("prefixed.xml", "svg", text('<s:svg xmlns:s="http://www.w3.org/2000/svg"></s:svg>')),
    Sample("picture.txt", "png", lambda: picture("PNG")),
    Sample("picture.jpg", "png", lambda: picture("PNG")),
    Sample("report.txt", "pdf", reportlab_pdf),
    Sample("book.zip", "xlsx", openpyxl_workbook),
    Sample("book.docx", "xlsx", xlsxwriter_workbook),
    Sample("files.docx", "zip", lambda: zipped(("a.txt", b"hello"))),
    Sample("tool.png", "elf", raw(b"\x7fELF\x02\x01\x01\x00" + bytes(8))),
    Sample("tool.csv", "exe", raw(b"MZ\x90\x00\x03\x00\x00\x00" + bytes(56))),
    Sample("clip.avif", "mp4", raw(brands(b"isom", b"avif"))),
    Sample("chart.png", "text", text("Sorry, no chart today.\n")),
    Sample("data.bin", "json", text('{"a": [1, 2]}')),
)

LOOKALIKES = (
    Sample("minutes.txt", "text", text("BM agreed to send the draft.\n")),
    Sample("minutes", "text", text("MZ agreed to send the draft.\n")),
    Sample("kinds.csv", "csv", text("GIF89a,PNG,JPEG\n1,2,3\n")),
    Sample("accents.csv", "csv", lambda: "GIF89a,name\n1,Zoé\n".encode("latin-1")),
    Sample("tags.csv", "csv", text("ID3,title\n1,x\n")),
    Sample("about-pdf.txt", "text", text("%PDF- is how such files begin.\n")),
    Sample("riff.txt", "text", text("RIFF and WAVE are words.\n")),
    Sample("grid.txt", "text", text("G" * 600)),
    Sample("archive.md", "markdown", text("PK is a prefix.\n")),
    Sample("table.md", "markdown", text("<svg width='1'/>\n\n# Title\n")),
    Sample("generic.ts", "typescript", text("const f = <T>(x: T) => x\n")),
    Sample("legacy.txt", "text", lambda: "Grüße aus Köln\n".encode("cp1252")),
    Sample("bad.txt", "binary", raw(b"\x80\x81\xfd\xfc")),
    Sample("nul.csv", "binary", raw(b"a,b\n1,\x00\n")),
)

NAMELESS = (
    Sample("output", "text", text("just words\n")),
    Sample("output.unknown", "text", text("just words\n")),
    Sample("wide", "text", lambda: "words".encode("utf-16")),
    Sample("object", "json", text('\ufeff {"a": 1}')),
    Sample("array", "json", text("[]")),
    Sample("not-json", "text", text("[draft] see below")),
    Sample("deep", "text", text("[" * 60_000)),
    Sample("long", "json", lambda: json.dumps([{"a": "x" * 100}] * 2000).encode()),
    Sample("lines", "jsonl", text('{"a": 1}\n{"a": 2}\n')),
    Sample("markup", "xml", text("<feed><entry/></feed>\n")),
    Sample("declared", "xml", text("<?xml version='1.0'?>\n<feed/>")),
    Sample("typed", "xml", text("<!DOCTYPE note SYSTEM 'note.dtd'><note/>")),
    Sample("angle", "text", text("<anyone> wrote: hi")),
    Sample("script", "python", text("#!/usr/bin/env python3\nprint(1)\n")),
    Sample("run", "shell", text("#!/bin/bash -e\nls\n")),
    Sample("serve", "javascript", text("#!/usr/bin/env node\n")),
    Sample("page", "html", text(PAGE)),
    Sample("part", "html", text("<div>Hi</div>")),
    Sample("control", "binary", raw(b"\x01\x02\x03")),
    Sample("image", "png", lambda: picture("PNG")),
    Sample("", "text", text("")),
)
