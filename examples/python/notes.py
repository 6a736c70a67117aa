"""Keeps notes: GET / lists them, POST / adds the body as one. They last as long as the file does."""

import http.server
import json
import os
import signal
import sys

FILE = os.environ["NOTES_FILE"]


def load():
    try:
        with open(FILE, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return []


def save(notes):
    with open(FILE + ".new", "w", encoding="utf-8") as f:
        json.dump(notes, f)
    os.replace(FILE + ".new", FILE)


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, load())

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        notes = load() + [self.rfile.read(min(length, 65536)).decode(errors="replace")]
        save(notes)
        self.answer(201, notes)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.HTTPServer(("", int(os.environ["NOTES_PORT"])), Handler).serve_forever()
