"""A pot-registry under test, and a client that says exactly what it means: one request, the bytes as given."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import lab

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
OCTETS = "application/octet-stream"


def sha(data, algorithm="sha256"):
    return algorithm + ":" + hashlib.new(algorithm, data).hexdigest()


def desc(data, media_type=OCTETS, algorithm="sha256", **more):
    return dict({"mediaType": media_type, "digest": sha(data, algorithm), "size": len(data)}, **more)


def manifest(layers=(), config=b"{}", **more):
    value = {"schemaVersion": 2, "mediaType": MANIFEST, "config": desc(config, EMPTY),
             "layers": [layer if isinstance(layer, dict) else desc(layer) for layer in layers]}
    return json.dumps(dict(value, **more)).encode()


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    def json(self):
        return json.loads(self.body)

    def codes(self):
        return [error["code"] for error in self.json()["errors"]]

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:400]!r}"


class Registry:
    """Runs until closed; start() after kill() goes on with the same data."""

    def __init__(self, program, directory, *options, env=None):
        self.program = os.path.join(os.path.dirname(program), "pot-registry")
        self.directory, self.options, self.env = directory, list(options), env
        self.data = os.path.join(directory, "data")
        self.process = self.port = self.tls = None
        self.messages = []

    def start(self, wait=True):
        argv = [self.program, "serve", "--listen", "127.0.0.1:0", "--data", self.data] + self.options
        environment = dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC", **(self.env or {}))
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment)
        if not wait:
            return self
        for line in self.process.stderr:
            self.messages.append(line)
            found = re.search(r"on (https?)://127.0.0.1:(\d+)", line)
            if found:
                self.tls, self.port = found.group(1) == "https", int(found.group(2))
                break
        else:
            raise AssertionError("pot-registry did not start: " + "".join(self.messages))
        threading.Thread(target=self.drain, args=(self.process,), daemon=True).start()
        return self

    def drain(self, process):
        for line in process.stderr:
            self.messages.append(line)

    def said(self, text):
        return any(text in line for line in self.messages)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            status = self.process.wait(lab.HANG)
            self.process = None
            assert status == 0, (status, "".join(self.messages))

    def kill(self):
        self.process.kill()
        self.process.wait(lab.HANG)
        self.process = None

    def run(self, *words):
        return subprocess.run([self.program, *words, "--data", self.data], capture_output=True, text=True,
                              timeout=lab.HANG, check=False)

    def connect(self):
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=lab.HANG, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=lab.HANG)

    def __call__(self, method, path, body=None, headers=None, connection=None):
        c = connection or self.connect()
        path = path.removeprefix(f"http://127.0.0.1:{self.port}")
        c.request(method, path, body, headers or {})
        response = c.getresponse()
        answer = Answer(response, response.read())
        if connection is None:
            c.close()
        return answer

    def raw(self, data, close=True):
        """What comes back for these bytes, to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), lab.HANG) as s:
            s.sendall(data)
            if close:
                s.shutdown(socket.SHUT_WR)
            out = b""
            with contextlib.suppress(ConnectionResetError):
                while chunk := s.recv(65536):
                    out += chunk
            return out

    def push_blob(self, repo, data, algorithm="sha256", headers=None):
        a = self("POST", f"/v2/{repo}/blobs/uploads/?digest={sha(data, algorithm)}", data, headers)
        assert a.status == 201, a
        return sha(data, algorithm)

    def push(self, repo, tag, layers=(), headers=None, **more):
        """An image of these layers; gives its digest."""
        for blob in (b"{}", *layers):
            self.push_blob(repo, blob, headers=headers)
        text = manifest(layers, **more)
        a = self("PUT", f"/v2/{repo}/manifests/{tag or sha(text)}", text,
                 dict({"Content-Type": MANIFEST}, **(headers or {})))
        assert a.status == 201, a
        return sha(text)

    def blob_file(self, digest):
        return os.path.join(self.data, "blobs", *digest.split(":"))

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def peak_memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024


@contextlib.contextmanager
def serving(program, directory, *options, **more):
    registry = Registry(program, directory, *options, **more).start()
    try:
        yield registry
        registry.stop()
    finally:
        if registry.process is not None:
            registry.kill()
