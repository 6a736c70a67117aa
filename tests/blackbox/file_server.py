"""A plain file server of a directory, which behaves as told: sends elsewhere, breaks off, stops, is out of order."""

import http.server
import os
import re
import threading

import lab


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def plain(self, status, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        name = os.path.basename(self.path)
        server = self.server.files
        wanted = self.headers.get("Range")
        server.asked.append((name, wanted))
        if server.elsewhere is not None:
            self.plain(302, [("Location", server.elsewhere + "/" + name)])
            return
        if server.errors > 0:
            server.errors -= 1
            self.plain(503)
            return
        path = os.path.join(server.directory, name)
        if not os.path.isfile(path):
            self.plain(404)
            return
        with open(path, "rb") as f:
            data = f.read()
        first = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1)) if wanted and server.ranges else 0
        if first > 0 and first >= len(data):
            self.plain(416)
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        self.body(server, name, data[first:])

    def body(self, server, name, data):
        if name.endswith(".xz") and server.cuts > 0:
            server.cuts -= 1
            self.wfile.write(data[:server.part])
            self.close_connection = True
        elif name.endswith(".xz") and server.silent:
            self.wfile.write(data[:server.part])
            self.wfile.flush()
            server.end.wait(lab.HANG)
            self.close_connection = True
        else:
            self.wfile.write(data)


class FileServer:
    def __init__(self, directory):
        self.directory = directory
        self.asked = []        # (name, Range) of each request
        self.elsewhere = None  # URL that everything is redirected to
        self.errors = 0        # so many answers are 503
        self.cuts = 0          # so many times only `part` bytes of an .xz come
        self.silent = False    # nothing comes after them, and the connection stays
        self.part = 100000
        self.ranges = True
        self.end = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.files = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.end.set()
        self.server.shutdown()
        self.server.server_close()

    def ranges_of(self, name):
        return [wanted for asked, wanted in self.asked if asked == name]
