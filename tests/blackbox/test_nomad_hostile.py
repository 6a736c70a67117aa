"""nomad-pot-driver under bytes, frames and resets that no agent sends: it goes on serving the others, and its memory is bounded."""

import random
import socket
import struct

import pytest

import lab
import nomad_client
from nomad_client import hpack, pack, running, varint
from test_nomad_protocol import FAKE, Task

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">IBBI", len(payload), kind, flags, stream)[1:] + payload


def header(path, *more, method="POST", content_type="application/grpc"):
    fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "unused"),
              ("content-type", content_type), ("te", "trailers"), *more]
    return hpack.Encoder().encode(fields)


def message(packed, flag=0, length=None):
    return struct.pack(">BI", flag, len(packed) if length is None else length) + packed


def path(name):
    return nomad_client.METHODS[name][0] + name


class Wire:
    """A connection of bytes."""

    def __init__(self, plugin, settings=b"", preface=PREFACE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(plugin.path)
        self.socket.settimeout(lab.HANG)
        self.buffer = b""
        self.decoder = hpack.Decoder()
        if preface is not None:
            self.send(preface + frame(SETTINGS, payload=settings))

    def send(self, *frames):
        """False: it has been thrown out."""
        try:
            self.socket.sendall(b"".join(frames))
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def take(self):
        """The next frame: kind, flags, stream, payload; None: it is over."""
        head = self.exactly(9)
        if head is None:
            return None
        length = int.from_bytes(head[:3], "big")
        return head[3], head[4], int.from_bytes(head[5:], "big"), self.exactly(length)

    def exactly(self, n):
        while len(self.buffer) < n:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if more == b"":
                return None
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def until(self, *kinds, stream=None):
        while True:
            f = self.take()
            assert f is not None, "the connection is over"
            if f[0] in kinds and stream in (None, f[2]):
                return f

    def headers(self, stream):
        """The next of a stream, and whether it is the last; the table of HPACK wants to see all of them."""
        while True:
            _, flags, number, payload = self.until(HEADERS)
            fields = dict(self.decoder.decode(payload))
            if number == stream:
                return fields, bool(flags & END_STREAM)

    def status(self, stream):
        """The grpc-status with which a stream ends."""
        last = False
        while not last:
            fields, last = self.headers(stream)
        return int(fields["grpc-status"])

    def begin(self, stream, name, *more, flags=0, **fields):
        return self.send(frame(HEADERS, END_HEADERS | flags, stream, header(path(name), *more, **fields)))

    def call(self, stream, name, packed=b""):
        self.begin(stream, name)
        self.send(frame(DATA, END_STREAM, stream, message(packed)))

    def is_over(self):
        while self.take() is not None:
            pass
        return True

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def shared():
    with running(FAKE) as (p, client):
        yield p, client


@pytest.fixture
def process(shared):
    """The plugin; afterwards it serves as before."""
    p, client = shared
    task = Task(client, "sleep", "1000").start()
    waiting = client.future("WaitTask", task_id=task.id)
    yield p
    assert client("PluginInfo").name == "fake"
    assert p.connect()("PluginInfo").name == "fake"
    p.clients.pop().close()
    assert not waiting.done()
    client("StopTask", task_id=task.id, timeout={"seconds": 100})
    assert waiting.result(lab.HANG).result.signal == 15
    task.destroy()


def wait_closed(wire):
    assert wire.is_over()
    wire.close()


# ---- what is not HTTP/2 at all ------------------------------------------------------


def test_random_bytes(process):
    rng = random.Random(9)
    for preface in (None, PREFACE):
        for _ in range(100):
            wire = Wire(process, preface=preface)
            wire.send(rng.randbytes(rng.choice((1, 10, 100, 70000))))
            wire.socket.shutdown(socket.SHUT_WR)
            wait_closed(wire)


def test_random_frames(process):
    rng = random.Random(10)
    names = list(nomad_client.METHODS)
    for _ in range(150):
        wire = Wire(process)
        for _ in range(rng.randrange(40)):
            kind = rng.choice((DATA, DATA, HEADERS, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, rng.randrange(16)))
            stream = rng.choice((0, 1, 1, 3, 5, 7, rng.randrange(1 << 31)))
            payload = rng.randbytes(rng.choice((0, 4, 5, 8, rng.randrange(300))))
            if kind == HEADERS and rng.random() < 0.9:
                name = rng.choice([n for n in names if "Shutdown" not in n])
                payload = header(path(name))
            if kind == DATA and rng.random() < 0.7:
                payload = message(payload)
            if not wire.send(frame(kind, rng.choice((0, 1, 4, 5, rng.randrange(256))), stream, payload)):
                break
        if rng.random() < 0.5:
            wire.close()
        else:
            wire.send(frame(SETTINGS, payload=b"1"))
            wait_closed(wire)


def test_half_frames(process):
    whole = frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, header(path("PluginInfo"))) + \
        frame(DATA, END_STREAM, 1, message(b""))
    for n in range(len(whole)):
        wire = Wire(process, preface=None)
        wire.send(PREFACE + whole[:n])
        wire.close()
    # And in single bytes it works.
    wire = Wire(process, preface=None)
    for i in range(len(PREFACE + whole)):
        wire.send((PREFACE + whole)[i:i + 1])
    assert wire.status(1) == 0
    wire.close()


def test_many_connections(process):
    silent = [Wire(process, preface=None) for _ in range(100)]
    # Those that are too many are thrown out (the others are greeted), and places come free again.
    greeted = [wire.take() is not None for wire in silent]
    assert 0 < greeted.count(True) <= 64
    for wire in silent:
        wire.close()

    def answers():
        wire = Wire(process)
        wire.call(1, "PluginInfo")
        try:
            return wire.status(1) == 0
        except AssertionError:
            return False
        finally:
            wire.close()
    lab.wait_until(answers, "a place for a connection")


# ---- HTTP/2 that is no agent's --------------------------------------------------------


def test_floods(process):
    for flood in (frame(PING, payload=b"12345678"), frame(SETTINGS), frame(SETTINGS, payload=b"\0\3\0\0\0\1"),
                  frame(PRIORITY, 0, 99, b"\0\0\0\0\1"), frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"), frame(DATA, 0, 1, b"")):
        before = process.memory()
        wire = Wire(process)
        wire.begin(1, "PluginInfo")
        for _ in range(200):
            if not wire.send(flood * 1000):
                break
        wire.close()
        assert process.memory() - before < 16 << 20


def test_resets(process):
    block = header(path("WaitTask"))
    wire = Wire(process)
    for stream in range(1, 10001, 2):
        wire.send(frame(HEADERS, END_HEADERS, stream, block), frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
    wire.call(20001, "PluginInfo")
    assert wire.status(20001) == 0
    wire.close()


def test_resets_of_calls_that_wait(process, shared):
    task = Task(shared[1], "sleep", "1000").start()
    wait = message(nomad_client.driver.WaitTaskRequest(task_id=task.id).SerializeToString())
    stats = message(nomad_client.driver.TaskStatsRequest(task_id=task.id).SerializeToString())
    setup = message(nomad_client.driver.ExecTaskStreamingRequest(
        setup={"task_id": task.id, "command": ["sleep", "1000"]}).SerializeToString())
    wire = Wire(process)
    for stream in range(1, 2001, 2):
        name, request, flags = (("WaitTask", wait, END_STREAM), ("TaskStats", stats, END_STREAM),
                                ("ExecTaskStreaming", setup, 0))[stream // 2 % 3 if stream < 200 else stream // 2 % 2]
        wire.begin(stream, name)
        wire.send(frame(DATA, flags, stream, request), frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
    wire.call(3001, "PluginInfo")
    assert wire.status(3001) == 0
    wire.close()
    task.destroy()


def test_half_open_streams(process):
    before = process.memory()
    wire = Wire(process)
    for stream in range(1, 20001, 2):
        wire.begin(stream, ("StartTask", "ExecTaskStreaming", "StartStream")[stream // 2 % 3])
        wire.send(frame(DATA, 0, stream, message(b"", length=100)[:3]))
    wire.call(20001, "PluginInfo")
    assert wire.status(20001) == 0
    assert process.memory() - before < 64 << 20
    wire.close()


def test_more_streams_than_there_may_be(process):
    wire = Wire(process)
    for stream in range(1, 2 * 16384 + 200, 2):
        wire.begin(stream, "StreamStdio")
        if stream % 1000 == 1:
            wire.send(frame(PING, payload=b"12345678"))
            wire.until(PING)
    # Refused, and the connection lives.
    assert wire.until(RST_STREAM)[3] == b"\0\0\0\x07"
    wire.close()


def test_large_headers(process):
    wire = Wire(process)
    wire.begin(1, "PluginInfo", ("x-large", "x" * 15000))
    wire.send(frame(DATA, END_STREAM, 1, message(b"")))
    assert wire.status(1) == 0
    # Longer than it takes: in frames that follow one another, and of one that never ends.
    block = header(path("PluginInfo"), *[("x-" + str(i), "x" * 1000) for i in range(40)])
    wire.send(frame(HEADERS, 0, 3, block[:16000]), frame(CONTINUATION, 0, 3, block[16000:32000]),
              frame(CONTINUATION, END_HEADERS, 3, block[32000:]))
    assert wire.until(RST_STREAM, stream=3)
    wire.close()
    wire = Wire(process)
    wire.send(frame(HEADERS, 0, 1, header(path("PluginInfo"))))
    for _ in range(100000):
        if not wire.send(frame(CONTINUATION, 0, 1, b"")):
            break
    wire.close()
    wire = Wire(process)
    wire.begin(1, "PluginInfo", *[(f"x{i}", "") for i in range(2000)])
    assert wire.until(RST_STREAM, GOAWAY)
    wire.close()


def test_hpack_bomb(process):
    """One long field in the table, named ten thousand times in a few bytes."""
    encoder = hpack.Encoder()
    block = encoder.encode([("x-bomb", "x" * 4000)])
    bomb = block + b"\xbe" * 12000
    before = process.memory()
    wire = Wire(process)
    for stream in range(1, 101, 2):
        if not wire.send(frame(HEADERS, END_HEADERS, stream, header(path("PluginInfo")) + bomb)):
            break
    assert wire.until(RST_STREAM, GOAWAY)
    assert process.memory() - before < 16 << 20
    wire.close()


def test_windows_of_one_byte(process):
    """The agent takes one byte at a time, of each answer."""
    wire = Wire(process, settings=b"\0\4\0\0\0\1")
    wire.call(1, "PluginInfo")
    answer = b""
    while True:
        kind, flags, stream, payload = wire.take()
        if stream == 1 and kind == DATA:
            assert len(payload) <= 1
            answer += payload
            wire.send(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"))
        elif stream == 1 and kind == HEADERS and flags & END_STREAM:
            break
    assert nomad_client.base.PluginInfoResponse.FromString(answer[5:]).name == "fake"
    # A window that never opens: the call waits, its stream and the connection do not harm.
    wire.send(frame(SETTINGS, payload=b"\0\4\0\0\0\0"))
    for stream in range(3, 1003, 2):
        wire.call(stream, "ConfigSchema")
    wire.send(frame(PING, payload=b"12345678"))
    while True:
        kind, flags, stream, payload = wire.take()
        if kind == PING and flags & ACK:
            break
        assert (kind, stream) != (DATA, 0)
    wire.close()


# ---- gRPC that is no agent's --------------------------------------------------------------


def test_requests_that_are_wrong(process):
    wire = Wire(process)
    wire.begin(1, "PluginInfo", method="GET", flags=END_STREAM)
    assert wire.headers(1) == ({":status": "405"}, True)
    wire.begin(3, "PluginInfo", content_type="application/json", flags=END_STREAM)
    assert wire.headers(3) == ({":status": "415"}, True)
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, header("/x/" + "y" * 500)))
    fields, last = wire.headers(5)
    assert last and fields["grpc-status"] == "12" and fields[":status"] == "200"
    wire.begin(7, "PluginInfo", flags=END_STREAM)  # no message at all
    assert wire.status(7) == 12
    wire.begin(9, "PluginInfo")
    wire.send(frame(DATA, END_STREAM, 9, message(b"") * 2))
    assert wire.status(9) == 12
    wire.begin(11, "PluginInfo")
    wire.send(frame(DATA, 0, 11, message(b"", flag=1)))
    assert wire.status(11) == 12
    wire.begin(13, "StartTask")
    wire.send(frame(DATA, 0, 13, message(b"", length=(1 << 32) - 1)))
    assert wire.status(13) == 8
    wire.begin(15, "StartTask")
    wire.send(frame(DATA, END_STREAM, 15, message(b"\x0a\xff\xff\xff\xff\x0f")))
    assert wire.status(15) == 13
    wire.begin(17, "PluginInfo")
    wire.send(frame(DATA, END_STREAM, 17, message(b"", length=5)))
    assert wire.status(17) == 12
    wire.begin(19, "ExecTaskStreaming")
    wire.send(frame(DATA, 0, 19, message(b"")))  # no setup
    assert wire.status(19) == 3
    wire.begin(21, "PluginInfo", ("grpc-timeout", "99999999H"))
    wire.send(frame(DATA, END_STREAM, 21, message(b"")))
    assert wire.status(21) == 0
    wire.begin(23, "StartTask", ("grpc-timeout", "1n"))
    assert wire.status(23) == 4
    wire.close()


def test_small_messages_that_mean_much(process):
    """Two bytes on the wire can be a message of a hundred in memory."""
    before = process.memory()
    for packed in (b"\x0a" + varint(2 * 4000000) + b"\x3a\x00" * 4000000,  # mounts
                   b"\x0a" + varint(2 * 4000000) + b"\x22\x00" * 4000000):  # environment
        wire = Wire(process)
        wire.begin(1, "StartTask")
        window, data = 0, message(packed)
        while data:
            piece, data = data[:16384], data[16384:]
            window += len(piece)
            wire.send(frame(DATA, 0 if data else END_STREAM, 1, piece))
            while window > 49152:
                _, _, stream, payload = wire.until(WINDOW_UPDATE)
                window -= int.from_bytes(payload, "big") if stream == 1 else 0
        assert wire.status(1) in (0, 8)
        wire.close()
    assert process.memory() - before < 64 << 20


def test_configurations_that_mean_much(process, shared):
    client = shared[1]
    rng = random.Random(11)
    for config in (b"\xdd\x00\x10\x00\x00" * 100000, b"\x81\xa1a" * 100000, b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
                   b"\x81\xa1a\xdd\x00\x0f\x00\x00" + b"\xc0" * 0xf0000):
        code, text, _ = nomad_client.failure(client, "StartTask", task={"id": "x", "msgpack_driver_config": config})
        assert code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED") and text.startswith("the task's config: ")
    good = pack({"args": ["true"], "mode": None, "auth": {"user": "x", "tls": True}, "mount": [{"user": "y"}]})
    for _ in range(500):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        future = client.future("StartTask", task={"id": "x", "msgpack_driver_config": bytes(bad[:rng.randrange(len(bad) + 1)])})
        future.exception(lab.HANG)
        client("DestroyTask", task_id="x", force=True)
