"""A registry in a few lines that tests bend: it serves what it is given, writes down what it was asked, and a
`bend` function may answer any request in its own way. And a certificate authority for it."""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import ssl
import subprocess
import tarfile
import threading
import urllib.parse

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            t.addfile(entry, io.BytesIO(content))
    return out.getvalue()


class Image:
    """Layers are dictionaries of files."""

    def __init__(self, layers, platform=("linux", "amd64"), settings=None, compress=lambda b: gzip.compress(b, 1, mtime=0),
                 media=LAYER):
        raw = [tar(files) for files in layers]
        self.layers = [compress(r) for r in raw]
        self.config = json.dumps({"os": platform[0], "architecture": platform[1], "config": settings or {},
                                  "rootfs": {"type": "layers", "diff_ids": [sha(r) for r in raw]}}).encode()
        self.manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST,
             "config": {"mediaType": CONFIG, "digest": sha(self.config), "size": len(self.config)},
             "layers": [{"mediaType": media, "digest": sha(b), "size": len(b)} for b in self.layers]}).encode()
        self.digest = sha(self.manifest)
        self.blobs = {sha(b): b for b in [*self.layers, self.config]}


class Peer:
    def __init__(self, tls=None):
        peer = self
        self.blobs, self.manifests, self.types, self.uploads = {}, {}, {}, {}
        self.log = []  # (method, path with its query, headers)
        self.bend = None  # bend(handler, method, path) -> True when it has answered
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def handle_one_request(self):
                with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                    super().handle_one_request()
                    return
                self.close_connection = True

            def do(self):
                with peer.lock:
                    peer.log.append((self.command, self.path, dict(self.headers)))
                if peer.bend is None or not peer.bend(self, self.command, self.path):
                    peer.answer(self, self.command, self.path)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

            def give(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                if "Content_Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)
                    self.wfile.flush()

            def body(self):
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))

            def hang_up(self):
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(2)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def asked(self, method=None, part=""):
        with self.lock:
            return [(m, p, h) for m, p, h in self.log if method in (None, m) and part in p]

    def forget(self):
        with self.lock:
            self.log.clear()

    def put(self, repo, tag, image):
        """An Image or the bytes of a manifest; gives the name."""
        text = image.manifest if isinstance(image, Image) else image
        if isinstance(image, Image):
            self.blobs.update(image.blobs)
        self.manifests[repo, tag] = self.manifests[repo, sha(text)] = text
        return f"{self.host}/{repo}:{tag}"

    def give_blob(self, handler, data):
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if wanted and 0 < int(wanted[1]) < len(data):
            start = int(wanted[1])
            handler.give(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.give(200, data)

    def answer(self, handler, method, path):
        url = urllib.parse.urlsplit(path)
        query = urllib.parse.parse_qs(url.query)
        if url.path == "/v2/":
            handler.give(200, b"{}")
        elif found := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", url.path):
            self.manifest(handler, method, found[1], urllib.parse.unquote(found[2]))
        elif found := re.fullmatch(r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)", url.path):
            data = self.blobs.get(found[2])
            if data is None:
                handler.give(404)
            else:
                self.give_blob(handler, data)
        elif found := re.fullmatch(r"/v2/(.+)/blobs/uploads/([^/]*)", url.path):
            self.upload(handler, method, found[1], found[2], query)
        else:
            handler.give(404)

    def manifest(self, handler, method, repo, which):
        if method == "PUT":
            text = handler.body()
            self.manifests[repo, which] = self.manifests[repo, sha(text)] = text
            self.types[sha(text)] = handler.headers["Content-Type"]
            handler.give(201, Location=f"/v2/{repo}/manifests/{sha(text)}", Docker_Content_Digest=sha(text))
            return
        text = self.manifests.get((repo, which))
        if text is None:
            handler.give(404)
            return
        kind = self.types.get(sha(text))
        if kind is None:
            with contextlib.suppress(ValueError, RecursionError):
                kind = json.loads(text).get("mediaType")
        handler.give(200, text, Content_Type=kind or MANIFEST)

    def upload(self, handler, method, repo, name, query):
        if method == "POST":
            name = str(len(self.uploads))
            self.uploads[name] = b""
            handler.give(202, Location=f"/v2/{repo}/blobs/uploads/{name}", Range="0-0")
            return
        have = self.uploads.get(name)
        if have is None:
            handler.give(404)
            return
        place = {"Location": f"/v2/{repo}/blobs/uploads/{name}"}
        if method == "GET":
            handler.give(204, Range=f"0-{max(len(have) - 1, 0)}", **place)
            return
        data = handler.body()
        if method == "PATCH":
            if not handler.headers["Content-Range"].startswith(f"{len(have)}-"):
                handler.give(416, Range=f"0-{max(len(have) - 1, 0)}", **place)
                return
            self.uploads[name] = have = have + data
            handler.give(202, Range=f"0-{len(have) - 1}", **place)
            return
        have += data
        if sha(have) != query["digest"][0]:
            handler.give(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "no"}]}')
            return
        self.blobs[sha(have)] = have
        del self.uploads[name]
        handler.give(201, Location=f"/v2/{repo}/blobs/{sha(have)}")


class Authority:
    """Certificates: make("127.0.0.1") gives (certificate, key)."""

    def __init__(self, directory):
        self.directory, self.made = directory, 0
        self.file, self.key = self.path("ca.pem"), self.path("ca.key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-subj", "/CN=test authority", "-keyout", self.key, "-out", self.file)

    def path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def make(self, address="127.0.0.1", days="2", own=False):
        """own: signed by itself. days "-1": over."""
        self.made += 1
        base = self.path(f"server{self.made}")
        kind = "IP" if re.fullmatch(r"[0-9.]+", address) else "DNS"
        with open(base + ".ext", "w", encoding="ascii") as f:
            f.write(f"subjectAltName={kind}:{address}\nbasicConstraints=CA:FALSE\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                     f"/CN={address}", "-keyout", base + ".key", "-out", base + ".csr")
        signer = ("-signkey", base + ".key") if own else ("-CA", self.file, "-CAkey", self.key, "-CAcreateserial")
        self.openssl("x509", "-req", "-in", base + ".csr", "-days", days, "-extfile", base + ".ext", *signer,
                     "-out", base + ".pem")
        return base + ".pem", base + ".key"
