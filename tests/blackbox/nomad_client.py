"""What the Nomad agent does with a driver plugin: starts it, shakes hands, calls. The transport is grpcio, the messages
are compiled from the driver's own .proto files; nothing else is shared with it."""

import contextlib
import glob
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
try:
    import grpc
except ModuleNotFoundError:  # another python3 than the system's, for which the package is
    sys.path.append("/usr/lib/python3/dist-packages")
    import grpc

import hpack  # noqa: E402 (for those who look at single frames)
from grpc_tools import protoc  # noqa: E402

import lab

COOKIE = "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255"
BASE = "/hashicorp.nomad.plugins.base.proto.BasePlugin/"
DRIVER = "/hashicorp.nomad.plugins.drivers.proto.Driver/"
PROTO = os.path.join(lab.TREE, "src", "nomad", "proto")


def compile_messages():
    directory = tempfile.mkdtemp(prefix="pot-test-pb-", dir="/var/tmp")
    try:
        files = sorted(os.path.basename(path) for path in glob.glob(os.path.join(PROTO, "*.proto")))
        assert protoc.main(["protoc", "-I" + PROTO, "--python_out=" + directory, *files]) == 0
        sys.path.insert(0, directory)
        import base_pb2  # pylint: disable=import-outside-toplevel,import-error
        import driver_pb2  # pylint: disable=import-outside-toplevel,import-error
        import plugin_pb2  # pylint: disable=import-outside-toplevel,import-error
        sys.path.remove(directory)
    finally:
        subprocess.run(["rm", "-rf", directory], check=True)
    return base_pb2, driver_pb2, plugin_pb2


base, driver, plugin = compile_messages()

# path: request, response, is the request a stream, is the response
METHODS = {
    "Check": ("/grpc.health.v1.Health/", plugin.HealthCheckRequest, plugin.HealthCheckResponse, False, False),
    "StartStream": ("/plugin.GRPCBroker/", plugin.ConnInfo, plugin.ConnInfo, True, True),
    "StreamStdio": ("/plugin.GRPCStdio/", plugin.Empty, plugin.StdioData, False, True),
    "ControllerShutdown": ("/plugin.GRPCController/", plugin.Empty, plugin.Empty, False, False),
}
for name in ("PluginInfo", "ConfigSchema", "SetConfig"):
    METHODS[name] = (BASE, getattr(base, name + "Request"), getattr(base, name + "Response"), False, False)
for name in ("Init", "TaskConfigSchema", "Capabilities", "RecoverTask", "StartTask", "WaitTask", "StopTask", "DestroyTask",
             "InspectTask", "Shutdown", "SignalTask", "ExecTask", "CreateNetwork", "DestroyNetwork"):
    METHODS[name] = (DRIVER, getattr(driver, name + "Request"), getattr(driver, name + "Response"), False, False)
METHODS["Fingerprint"] = (DRIVER, driver.FingerprintRequest, driver.FingerprintResponse, False, True)
METHODS["TaskStats"] = (DRIVER, driver.TaskStatsRequest, driver.TaskStatsResponse, False, True)
METHODS["TaskEvents"] = (DRIVER, driver.TaskEventsRequest, driver.DriverTaskEvent, False, True)
METHODS["ExecTaskStreaming"] = (DRIVER, driver.ExecTaskStreamingRequest, driver.ExecTaskStreamingResponse, True, True)


class Client:
    """One connection of an agent."""

    def __init__(self, path, options=()):
        self.channel = grpc.insecure_channel("unix:" + path, options=[
            ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "unused"), *options])

    def method(self, name):
        prefix, request, response, many_in, many_out = METHODS[name]
        kind = ("stream" if many_in else "unary") + "_" + ("stream" if many_out else "unary")
        path = prefix + name.replace("Controller", "")
        return request, getattr(self.channel, kind)(path, request_serializer=lambda m: m if isinstance(m, bytes) else
                                                    m.SerializeToString(), response_deserializer=response.FromString)

    def __call__(self, name, deadline=lab.HANG, **fields):
        """A unary call, or a stream of answers."""
        request, method = self.method(name)
        return method(request(**fields), timeout=deadline)

    def future(self, name, **fields):
        request, method = self.method(name)
        return method.future(request(**fields))

    def raw(self, name, packed, timeout=lab.HANG):
        return self.method(name)[1](packed, timeout=timeout)

    def exec(self, task_id, *command, tty=False):
        return Exec(self, task_id, command, tty)

    def close(self):
        self.channel.close()


class Exec:
    """A command executed in a task, as `nomad alloc exec` has it."""

    def __init__(self, client, task_id, command, tty):
        self.requests = queue.SimpleQueue()
        self.send(setup={"task_id": task_id, "command": command, "tty": tty})
        self.call = client.method("ExecTaskStreaming")[1](iter(self.requests.get, None), timeout=lab.HANG)
        self.out, self.err = bytearray(), bytearray()
        self.closed = []
        self.result = None

    def send(self, **fields):
        self.requests.put(driver.ExecTaskStreamingRequest(**fields))

    def type(self, data):
        self.send(input={"data": data})

    def close_input(self):
        self.send(input={"close": True})

    def resize(self, rows, columns):
        self.send(tty_size={"height": rows, "width": columns})

    def take(self):
        """The next message: into out, err and result; None at the end."""
        message = next(self.call, None)
        if message is None:
            self.requests.put(None)
            return None
        self.out += message.output.data
        self.err += message.error.data
        self.closed += [name for name in ("output", "error") if getattr(message, name).close]
        if message.exited:
            assert self.result is None
            self.result = message.result
        return message

    def until(self, condition):
        while not condition():
            assert self.take() is not None, (self.out, self.err, self.result)

    def finish(self):
        """To the end: exit code, output, error output."""
        while self.take() is not None:
            pass
        return self.result.exit_code, bytes(self.out), bytes(self.err)


class Plugin:
    """A plugin that runs, and its log."""

    def __init__(self, program, env=None, handshake=True, prefix=(), **popen):
        self.process = subprocess.Popen([*prefix, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={
            **os.environ, "NOMAD_PLUGIN_MAGIC_COOKIE": COOKIE, "PLUGIN_PROTOCOL_VERSIONS": "2",
            # What was freed is not to count as memory in use.
            "ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=4"])),
            **(env or {})}, **popen)
        self.clients = []
        self.lines = []
        self.reader = threading.Thread(target=self.read_log)
        self.reader.start()
        if handshake:
            self.handshake = self.process.stdout.readline().decode()
            match = re.fullmatch(r"1\|2\|unix\|(/[^|]+)\|grpc\n", self.handshake)
            assert match, (self.handshake, self.lines)
            self.path = match.group(1)

    def read_log(self):
        with contextlib.suppress(ValueError):
            for line in self.process.stderr:
                self.lines.append(line.decode())

    def connect(self, options=()):
        self.clients.append(Client(self.path, options))
        return self.clients[-1]

    def log(self):
        """Its lines, each of which is as the agent wants it."""
        lines = []
        for line in self.lines:
            fields = json.loads(line)
            assert all(isinstance(value, str) for value in fields.values()), line
            assert {"@level", "@message", "@module", "@timestamp"} <= set(fields), line
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", fields["@timestamp"]), line
            assert fields["@level"] in ("trace", "debug", "info", "warn", "error"), line
            lines.append(fields)
        return lines

    def forget(self):
        for client in self.clients:
            client.close()
        self.clients = []

    def wait(self):
        """Its exit status; it has left no socket behind and said nothing that is not a line of a log."""
        status = self.process.wait(lab.HANG)
        self.reader.join(lab.HANG)
        self.process.stdout.close()
        self.process.stderr.close()
        self.forget()
        self.log()
        assert not os.path.exists(self.path)
        return status

    def shutdown(self):
        (self.clients[0] if self.clients else self.connect())("ControllerShutdown")
        assert self.wait() == 0

    def kill(self):
        self.process.kill()
        self.process.wait(lab.HANG)
        self.reader.join(lab.HANG)
        self.forget()
        subprocess.run(["rm", "-rf", os.path.dirname(self.path)], check=True)

    def memory(self):
        """Bytes resident."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1)) * 1024


@contextlib.contextmanager
def running(program, **more):
    """A plugin with its agent, as far as Init; in the end it is asked to leave."""
    p = Plugin(program, **more)
    try:
        client = p.connect()
        client("SetConfig", msgpack_config=b"\x80", nomad_config={"driver": {"client_min_port": 1, "client_max_port": 2}})
        client("Init")
        yield p, client
        if p.process.returncode is None:
            p.shutdown()
    finally:
        if p.process.returncode is None:
            p.kill()


def failure(call, *args, **fields):
    """The error of a call that is to fail: status, message, and whether to try again."""
    try:
        call(*args, **fields)
    except grpc.RpcError as error:
        again = None
        for key, value in error.trailing_metadata():
            if key == "grpc-status-details-bin":
                status = plugin.Status.FromString(value)
                assert status.code == error.code().value[0] and status.message == error.details()
                assert status.details[0].type_url == "type.googleapis.com/" \
                    "hashicorp.nomad.plugins.shared.structs.RecoverableError"
                again = plugin.RecoverableError.FromString(status.details[0].value).recoverable
        return error.code().name, error.details(), again
    raise AssertionError("it did not fail")


def pack(value):
    """A small msgpack: what the agent sends as configuration."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if 0 <= value < 128 else b"\xd3" + value.to_bytes(8, "big", signed=True)
    if isinstance(value, str):
        return b"\xdb" + len(value.encode()).to_bytes(4, "big") + value.encode()
    if isinstance(value, list):
        return b"\xdd" + len(value).to_bytes(4, "big") + b"".join(pack(v) for v in value)
    return b"\xdf" + len(value).to_bytes(4, "big") + b"".join(pack(k) + pack(v) for k, v in sorted(value.items()))


def varint(n):
    """A number as protocol buffers write it."""
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])
