"""pot-registry in bad company and bad times: who may do what, limits, certificates, kills, damage, garbage."""

import base64
import ctypes
import http.client
import json
import lzma
import os
import random
import shutil
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

import lab
from registry_lab import MANIFEST, Registry, desc, manifest, serving, sha


@pytest.fixture
def home(place):
    directory = os.path.join(place, "registry-life")
    os.mkdir(directory)
    yield directory
    shutil.rmtree(directory)


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token):
    return {"Authorization": "Bearer " + token}


def argon2id(password):
    library = ctypes.CDLL("libargon2.so.1")
    out = ctypes.create_string_buffer(256)
    size = ctypes.c_size_t
    assert library.argon2id_hash_encoded(2, 1024, 1, password, size(len(password)), b"saltsalt", size(8), size(32), out,
                                         size(256)) == 0
    return out.value.decode()


def bcrypt(program, password):
    tool = os.path.join(os.path.dirname(program), "pot-registry")
    run = subprocess.run([tool, "hash-password"], input=password + "\n", capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.fixture
def guarded(program, home):
    """alice may do everything, bob (argon2id) push to team/, everybody pull from public/."""
    auth = os.path.join(home, "auth")
    with open(auth, "w", encoding="ascii") as f:
        f.write(f"# users\nalice:{bcrypt(program, 'a secret')}\nbob:{argon2id(b'other')}\n\n"
                "allow alice * all\nallow bob team/*,shared pull,push\nallow anonymous public/* pull\n")
    with serving(program, home, "--auth", auth) as registry:
        registry.auth = auth
        yield registry


ALICE, BOB = basic("alice", "a secret"), basic("bob", "other")


def token(reg, scopes, headers=None):
    query = "&".join("scope=" + s for s in scopes)
    a = reg("GET", f"/token?service=x&{query}", headers=headers)
    assert a.status == 200 and a.json()["token"] == a.json()["access_token"], a
    return a.json()["token"]


def test_rights(guarded):
    """Users do what their rules say, nobody more; a challenge says where to get a token for what."""
    reg = guarded
    a = reg("GET", "/v2/")
    url = f"127.0.0.1:{reg.port}"
    assert a.status == 401 and a.codes() == ["UNAUTHORIZED"]
    assert a.headers["WWW-Authenticate"] == f'Bearer realm="http://{url}/token",service="{url}"'
    a = reg("POST", "/v2/team/x/blobs/uploads/")
    assert a.status == 401 and a.headers["WWW-Authenticate"].endswith(',scope="repository:team/x:pull,push"')
    assert reg("GET", "/v2/", headers=ALICE).status == 200
    for wrong in (basic("alice", "no"), basic("mallory", "a secret"), basic("", ""), {"Authorization": "Basic !!!!"},
                  {"Authorization": "Digest x"}, bearer("x.y")):
        assert reg("GET", "/v2/", headers=wrong).status == 401, wrong
    for repo, status in (("team/a", 201), ("shared", 201), ("public/a", 403), ("team", 403), ("teams/a", 403),
                         ("shared/a", 403)):
        a = reg("POST", f"/v2/{repo}/blobs/uploads/?digest={sha(b'x')}", b"x", BOB)
        assert a.status == status and (status != 403 or a.codes() == ["DENIED"]), (repo, a)
    assert reg("DELETE", f"/v2/team/a/blobs/{sha(b'x')}", headers=BOB).status == 403
    assert reg("DELETE", f"/v2/team/a/blobs/{sha(b'x')}", headers=ALICE).status == 202
    reg.push("public/a", "1", [b"public"], ALICE)
    reg.push("private/a", "1", [b"private"], ALICE)
    assert reg("GET", "/v2/public/a/manifests/1").status == 200
    assert reg("GET", "/v2/private/a/manifests/1").status == 401
    assert reg("GET", "/v2/private/a/manifests/1", headers=BOB).status == 403
    # What lists show is what may be pulled.
    for who, repos in ((None, ["public/a"]), (BOB, ["public/a", "shared", "team/a"]),
                       (ALICE, ["private/a", "public/a", "shared", "team/a"])):
        assert reg("GET", "/v2/_catalog", headers=who).json()["repositories"] == repos
        assert [i["name"] for i in reg("GET", "/api/v1/images", headers=who).json()["images"]] == repos


def test_mount_needs_the_right_to_pull(guarded):
    """A blob of a repository that one may not pull from cannot be had by mounting it, nor does it show."""
    reg = guarded
    digest = reg.push_blob("private/a", b"private", headers=ALICE)
    for query in (f"mount={digest}&from=private/a", f"mount={digest}"):
        assert reg("POST", "/v2/team/a/blobs/uploads/?" + query, b"", BOB).status == 202
        t = bearer(token(reg, ["repository:team/a:pull,push", "repository:private/a:pull"], BOB))
        assert reg("POST", "/v2/team/a/blobs/uploads/?" + query, b"", t).status == 202
    assert reg("GET", f"/v2/team/a/blobs/{digest}", headers=BOB).status == 404
    # Who may, but has a token without it, is told what to ask for.
    t = bearer(token(reg, ["repository:team/a:push"], ALICE))
    assert reg("POST", f"/v2/team/a/blobs/uploads/?mount={digest}", b"", t).status == 202
    a = reg("POST", f"/v2/team/a/blobs/uploads/?mount={digest}&from=private/a", b"", t)
    assert a.status == 401
    assert a.headers["WWW-Authenticate"].endswith('scope="repository:team/a:pull,push repository:private/a:pull"')
    t = bearer(token(reg, ["repository:team/a:push", "repository:private/a:pull"], ALICE))
    assert reg("POST", f"/v2/team/a/blobs/uploads/?mount={digest}&from=private/a", b"", t).status == 201


def test_tokens(guarded):
    """A token is good for what it was given for, not forged, not for longer, and not beyond its user's rules."""
    reg = guarded
    reg.push("public/a", "1", headers=ALICE)
    reg.push("team/a", "1", headers=ALICE)
    t = token(reg, ["repository:team/a:pull"], BOB)
    assert reg("GET", "/v2/", headers=bearer(t)).status == 200
    assert reg("GET", "/v2/team/a/manifests/1", headers=bearer(t)).status == 200
    a = reg("POST", "/v2/team/a/blobs/uploads/", b"", bearer(t))
    assert a.status == 401 and "WWW-Authenticate" in a.headers  # another token would do
    assert reg("POST", "/v2/public/a/blobs/uploads/", b"", bearer(t)).status == 403
    assert reg("GET", "/v2/team/b/manifests/1", headers=bearer(t)).status == 401
    anonymous = token(reg, ["repository:public/a:pull,push%20repository:team/a:pull"])
    assert reg("GET", "/v2/public/a/manifests/1", headers=bearer(anonymous)).status == 200
    assert reg("POST", "/v2/public/a/blobs/uploads/", b"", bearer(anonymous)).status == 401
    assert reg("GET", "/v2/team/a/manifests/1", headers=bearer(anonymous)).status == 401
    assert reg("GET", "/token?scope=repository:team/a:pull", headers=basic("bob", "wrong")).status == 401
    assert reg("GET", "/token", headers=bearer(t)).status == 401

    def form(**words):
        return reg("POST", "/token", urllib.parse.urlencode(words), {"Content-Type": "application/x-www-form-urlencoded"})

    words = {"service": "x", "client_id": "test", "scope": "repository:team/a:pull"}
    got = form(grant_type="password", username="bob", password="other", **words).json()
    assert got["expires_in"] > 0
    assert reg("GET", "/v2/team/a/manifests/1", headers=bearer(got["access_token"])).status == 200
    assert form(grant_type="password", username="bob", password="wrong", **words).status == 401
    assert form(grant_type="refresh_token", refresh_token="x", **words).json()["error"] == "unsupported_grant_type"
    assert form(grant_type="password", username="bob", **words).json()["error"] == "invalid_request"
    assert form(grant_type="password", username="bob", password="x" * 9000, **words).status == 413
    payload, mac = t.split(".")
    value = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    value["sub"] = "alice"
    forged = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    for bad in (forged + "." + mac, payload + "." + mac[:-2] + "AA", payload, payload + ".", "." + mac, t + "x", t * 200):
        assert reg("GET", "/v2/team/a/manifests/1", headers=bearer(bad)).status == 401, bad
    # The user's rights of today count.
    with open(reg.auth, encoding="ascii") as f:
        text = f.read()
    with open(reg.auth, "w", encoding="ascii") as f:
        f.write(text.replace("allow bob team/*,shared pull,push", ""))
    reg.hang_up()
    lab.wait_until(lambda: reg.said("users and rules read again"), "the rules are read again")
    assert reg("GET", "/v2/team/a/manifests/1", headers=bearer(t)).status == 403
    with open(reg.auth, "w", encoding="ascii") as f:
        f.write("allow mallory * all\n")
    reg.hang_up()
    lab.wait_until(lambda: reg.said("the old users and rules stay"), "broken rules are refused")
    assert reg("GET", "/v2/team/a/manifests/1", headers=ALICE).status == 200


def test_wrong_passwords_are_slowed(guarded):
    """Somebody who guesses is turned away after a few tries; who knows the password is not."""
    reg = guarded
    assert reg("GET", "/v2/", headers=BOB).status == 200
    statuses = [reg("GET", "/v2/", headers=basic("bob", str(i))).status for i in range(60)]
    assert statuses[0] == 401 and 429 in statuses
    assert reg("GET", "/v2/", headers=BOB).status == 200
    assert "other" not in "".join(reg.messages)


@pytest.mark.parametrize("line, why", [("x", "neither"), ("a:plain", "not a bcrypt"), ("a b:$2b$", "not a valid user"),
                                       ("allow nobody * pull", "not there"), ("allow * A/* pull", "neither a repository"),
                                       ("allow * * fly", "not a right"), ("allow *", "a rule is")])
def test_broken_auth_file(program, home, line, why):
    """A registry whose rules cannot be read does not start, and says which line is wrong."""
    auth = os.path.join(home, "auth")
    with open(auth, "w", encoding="ascii") as f:
        f.write("# comment\n" + line + "\n")
    process = Registry(program, home, "--auth", auth).start(wait=False).process
    _, err = process.communicate(timeout=lab.HANG)
    assert process.returncode == 1 and why in err and auth in err, err


def certificate(home, name):
    key, cert = os.path.join(home, "key.pem"), os.path.join(home, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=" + name, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


def served_certificate(reg):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", reg.port), lab.HANG) as s, context.wrap_socket(s) as t:
        return t.getpeercert(binary_form=True)


def test_tls(program, home):
    """HTTPS serves, a new certificate is taken without a restart, and a key of another one is not."""
    key, cert = certificate(home, "first")
    with serving(program, home, "--tls-cert", cert, "--tls-key", key) as reg:
        assert reg.tls
        blob = os.urandom(3000000)
        digest = reg.push_blob("a", blob)
        assert reg("GET", f"/v2/a/blobs/{digest}").body == blob
        assert reg("GET", f"/v2/a/blobs/{digest}", headers={"Range": "bytes=5-9"}).body == blob[5:10]
        first = served_certificate(reg)
        certificate(home, "second")
        reg.hang_up()
        lab.wait_until(lambda: reg.said("certificate read again"), "the certificate is read again")
        second = served_certificate(reg)
        assert first != second
        with open(key, encoding="ascii") as f:
            old_key = f.read()
        certificate(home, "third")
        with open(key, "w", encoding="ascii") as f:
            f.write(old_key)
        reg.hang_up()
        lab.wait_until(lambda: reg.said("the old certificate stays"), "a pair that does not fit is refused")
        assert served_certificate(reg) == second
        # Plain HTTP to a TLS port gets nothing.
        plain = http.client.HTTPConnection("127.0.0.1", reg.port, timeout=lab.HANG)
        with pytest.raises((http.client.HTTPException, OSError)):
            plain.request("GET", "/v2/")
            plain.getresponse()
    process = Registry(program, home, "--tls-cert", cert, "--tls-key", key).start(wait=False).process
    _, err = process.communicate(timeout=lab.HANG)
    assert process.returncode == 1 and "not that of certificate" in err


def test_limits(program, home):
    """Too many requests, too large blobs, too many uploads and connections are turned away; the rest goes on."""
    with serving(program, home, "--max-blob", "1000", "--max-uploads", "3", "--connections-per-address", "5") as reg:
        a = reg("POST", "/v2/a/blobs/uploads/?digest=" + sha(b"x" * 1001), b"x" * 1001)
        assert a.status == 413 and a.codes() == ["SIZE_INVALID"]
        at = reg("POST", "/v2/a/blobs/uploads/").headers["Location"]
        assert reg("PATCH", at, b"x" * 900).status == 202
        a = reg("PATCH", at, iter([b"x" * 60, b"x" * 60]))
        assert a.status == 413
        assert reg("GET", at).status == 404 and os.listdir(os.path.join(reg.data, "uploads")) == []
        statuses = [reg("POST", "/v2/a/blobs/uploads/").status for _ in range(5)]
        assert statuses == [202, 202, 202, 429, 429]
        open_ones = []
        for _ in range(8):
            open_ones.append(socket.create_connection(("127.0.0.1", reg.port), lab.HANG))
        answers = []
        for s in open_ones:
            try:
                s.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
                answers.append(s.recv(100)[:12])
            except OSError:
                answers.append(b"")
        # Of those before some may still be on their way out.
        assert 1 <= answers.count(b"HTTP/1.1 200") <= 5 and b"" in answers, answers
        for s in open_ones:
            s.close()
    with serving(program, home, "--rate", "1", "--burst", "5") as reg:
        answers = [reg("GET", "/v2/") for _ in range(12)]
        late = [a for a in answers if a.status == 429]
        assert answers[0].status == 200 and late and late[0].codes() == ["TOOMANYREQUESTS"]
        assert int(late[0].headers["Retry-After"]) >= 1


def test_full_house(program, home):
    """A connection more than there may be waits in the queue, and is served when another one goes."""
    with serving(program, home, "--connections", "16", "--threads", "3") as reg:
        ask = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(2):
            inside = [socket.create_connection(("127.0.0.1", reg.port), lab.HANG) for _ in range(16)]
            for s in inside:
                s.sendall(ask)
                assert s.recv(100).startswith(b"HTTP/1.1 200")
            with socket.create_connection(("127.0.0.1", reg.port), 0.3) as late:
                late.sendall(ask)
                with pytest.raises(TimeoutError):
                    late.recv(100)
                inside.pop().close()
                late.settimeout(lab.HANG)
                assert late.recv(100).startswith(b"HTTP/1.1 200")
            for s in inside:
                s.close()


def test_slow_clients(program, home):
    """Heads and bodies that come a byte at a time, and uploads that nobody goes on with, are not waited for."""
    options = ("--idle", "5s", "--min-rate", "1k", "--patience", "5s", "--upload-expiry", "1s", "--gc-interval", "0")
    with serving(program, home, *options) as reg:
        at = reg("POST", "/v2/a/blobs/uploads/").headers["Location"]
        reg("PATCH", at, b"left behind")

        def trickle(head, out):
            """Sends a byte each tenth of a second until the other side closes."""
            with socket.create_connection(("127.0.0.1", reg.port), lab.HANG) as s:
                s.sendall(head)
                s.settimeout(0.1)
                end = time.monotonic() + lab.HANG
                while time.monotonic() < end:
                    try:
                        s.sendall(b"x")
                        if s.recv(1000) == b"":
                            out.append("closed")
                            return
                    except TimeoutError:
                        continue
                    except OSError:
                        out.append("closed")
                        return

        heads = (b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 1000000\r\n\r\n", b"")
        out = []
        threads = [threading.Thread(target=trickle, args=(head, out)) for head in heads]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert out == ["closed"] * 3
        lab.wait_until(lambda: os.listdir(os.path.join(reg.data, "uploads")) == [], "uploads expire")
        assert reg("GET", at).status == 404
        assert reg("GET", "/v2/").status == 200


def test_read_only(program, home):
    """A read-only registry serves, and refuses whatever would change something."""
    with serving(program, home) as reg:
        digest = reg.push("a", "t", [b"layer"])
    with serving(program, home, "--read-only") as reg:
        assert reg("GET", "/v2/a/manifests/t").headers["Docker-Content-Digest"] == digest
        for method, path in (("POST", "/v2/a/blobs/uploads/"), ("PUT", "/v2/a/manifests/x"),
                             ("DELETE", "/v2/a/manifests/t"), ("DELETE", "/v2/a/blobs/" + sha(b"layer"))):
            a = reg(method, path, b"")
            assert a.status == 405 and a.codes() == ["UNSUPPORTED"], a


def test_one_at_a_time(program, home):
    """A second registry on the same data does not start."""
    with serving(program, home):
        process = Registry(program, home).start(wait=False).process
        _, err = process.communicate(timeout=lab.HANG)
        assert process.returncode == 1 and "another pot-registry has it" in err


def test_kill_under_load(program, home):
    """Whatever was acknowledged before a SIGKILL is there afterwards, whole, and an upload can go on."""
    reg = Registry(program, home).start()
    acknowledged, lock, rng = {}, threading.Lock(), random.Random(1)

    def push(worker, enough):
        n = 0
        try:
            while not enough.is_set():
                n += 1
                layer = rng.randbytes(20000)
                digest = reg.push(f"load/{worker}", f"{generation}-{n}", [layer])
                with lock:
                    acknowledged[(f"load/{worker}", f"{generation}-{n}")] = (digest, layer)
                    if len(acknowledged) >= 25 * (generation + 1):
                        enough.set()
        except (OSError, http.client.HTTPException):
            enough.set()

    blob, at = rng.randbytes(50000), None
    for generation in range(3):
        enough = threading.Event()
        workers = [threading.Thread(target=push, args=(i, enough)) for i in range(4)]
        for w in workers:
            w.start()
        at = reg("POST", "/v2/load/up/blobs/uploads/").headers["Location"]
        assert reg("PATCH", at, blob[:30000]).status == 202
        assert enough.wait(8 * lab.HANG)
        reg.kill()
        for w in workers:
            w.join()
        reg.start()
        a = reg("GET", at)
        assert (a.status, a.headers["Range"]) == (204, "0-29999")
        assert reg("PUT", f"{at}?digest={sha(blob)}", blob[30000:]).status == 201
    for (repo, tag), (digest, layer) in acknowledged.items():
        a = reg("GET", f"/v2/{repo}/manifests/{tag}")
        assert a.status == 200 and sha(a.body) == digest, (repo, tag)
        assert reg("GET", f"/v2/{repo}/blobs/{sha(layer)}").body == layer
    run = reg.run("verify")
    assert run.returncode == 0 and " 0 damaged, 0 missing" in run.stdout, run
    reg.stop()


@pytest.mark.parametrize("point", ["registry.publish.before", "registry.publish.after", "registry.commit.applied",
                                   "registry.commit.committed"])
def test_kill_at(program, home, point):
    """Killed between any two steps of storing, a push happened or did not, and goes through the next time."""
    for number in (1, 2, 3, 4):
        reg = Registry(program, home, env={"POT_FAULT": f"{point}:{number}"}).start()
        with pytest.raises((OSError, http.client.HTTPException)):
            for i in range(8):
                reg.push("kill/a", f"t{number}", [f"{number} {i}".encode()])
        assert reg.process.wait(lab.HANG) == -9
        reg.env = {}
        reg.start()
        a = reg("GET", f"/v2/kill/a/manifests/t{number}")
        assert a.status in (200, 404)
        if a.status == 200:
            for layer in a.json()["layers"]:
                assert sha(reg("GET", "/v2/kill/a/blobs/" + layer["digest"]).body) == layer["digest"]
        assert reg.push("kill/a", f"t{number}", [b"again"])
        run = reg.run("verify")
        assert run.returncode == 0, run
        reg.stop()


def backdate(reg):
    with sqlite3.connect(os.path.join(reg.data, "catalogue.db"), timeout=60) as db:
        db.execute("UPDATE link SET seen = 1")
        db.execute("UPDATE blob SET added = 1")
        db.execute("UPDATE manifest SET pushed = 1")
    db.close()


def test_garbage(program, home):
    """gc removes what nothing refers to, keeps the rest, tells before what it would do, also without a server."""
    with serving(program, home, "--gc-interval", "0") as reg:
        kept = reg.push("gc/kept", "t", [b"kept", b"shared"])
        dropped = reg.push("gc/dropped", "t", [b"dropped", b"shared"])
        untagged = reg.push("gc/kept", None, [b"kept"], annotations={"a": "untagged"})
        reg.push_blob("gc/kept", b"loose")
        assert "removed 0 blobs" in reg.run("gc").stdout
        assert reg("DELETE", "/v2/gc/dropped/manifests/" + dropped).status == 202
        backdate(reg)
        run = reg.run("gc", "--dry-run")
        assert run.stdout.startswith("would remove 3 blobs") and run.returncode == 0, run
        assert os.path.exists(reg.blob_file(sha(b"dropped")))
        run = reg.run("gc")
        assert run.stdout.startswith("removed 3 blobs"), run
        for gone in (sha(b"dropped"), sha(b"loose"), dropped):
            assert not os.path.exists(reg.blob_file(gone))
        assert reg("GET", "/v2/gc/kept/manifests/t").headers["Docker-Content-Digest"] == kept
        assert reg("GET", "/v2/gc/kept/manifests/" + untagged).status == 200
        for blob in (b"kept", b"shared", b"{}"):
            assert reg("GET", "/v2/gc/kept/blobs/" + sha(blob)).body == blob
        assert reg("GET", "/v2/gc/dropped/blobs/" + sha(b"shared")).status == 404
        backdate(reg)
    # Without a server; untagged manifests only when asked for.
    reg.options = []
    run = reg.run("gc", "--gc-untagged", "1h")
    assert "1 untagged manifests" in run.stdout and os.path.exists(reg.blob_file(untagged)), run
    with open(reg.blob_file("sha256:" + "a" * 64), "wb") as f:
        f.write(b"left by a kill")
    run = reg.run("gc", "--gc-grace", "0")
    assert "removed 1 blobs" in run.stdout and "1 files without a row" in run.stdout, run
    assert not os.path.exists(reg.blob_file(untagged)) and not os.path.exists(reg.blob_file("sha256:" + "a" * 64))
    with serving(program, home) as reg:
        assert reg("GET", "/v2/gc/kept/manifests/t").status == 200
        assert reg("GET", "/v2/gc/kept/manifests/" + untagged).status == 404


def test_garbage_while_pushes_run(program, home):
    """A push that found a blob there, garbage as it may have been, is never cut short by a collection."""
    with serving(program, home, "--gc-interval", "0") as reg:
        layers = [f"layer {i}".encode() for i in range(8)]
        for layer in (b"{}", *layers):
            reg.push_blob("busy/a", layer)
        stop, failures = threading.Event(), []

        def collect():
            while not stop.is_set():
                backdate(reg)
                if reg.run("gc").returncode != 0:
                    failures.append("gc")

        collector = threading.Thread(target=collect)
        collector.start()
        for i in range(40):
            chosen = [layers[i % 8], layers[(i + 3) % 8]]
            text = manifest(chosen)
            for _ in range(20):
                for blob in (b"{}", *chosen):
                    if reg("HEAD", "/v2/busy/a/blobs/" + sha(blob)).status == 404:
                        reg.push_blob("busy/a", blob)
                a = reg("PUT", "/v2/busy/a/manifests/t", text, {"Content-Type": MANIFEST})
                if a.status == 201:
                    break
                # backdate() itself may have hit between: the honest answer, never a damaged image.
                assert a.status == 404 and a.codes() == ["MANIFEST_BLOB_UNKNOWN"], a
            got = reg("GET", "/v2/busy/a/manifests/t")
            assert got.body == text
            for blob in chosen:
                assert reg("GET", "/v2/busy/a/blobs/" + sha(blob)).body == blob
            assert reg("DELETE", "/v2/busy/a/manifests/" + sha(text)).status == 202
        stop.set()
        collector.join()
        assert failures == []
        assert reg.run("verify").returncode == 0


def test_damage(program, home):
    """verify finds a blob that changed on the disk or is gone, takes it out of sight, and a push mends it."""
    with serving(program, home) as reg:
        digest = reg.push("hurt/a", "t", [b"changed", b"gone", b"fine"])
        assert reg.run("verify").returncode == 0
        with open(reg.blob_file(sha(b"changed")), "r+b") as f:
            f.write(b"C")
        os.unlink(reg.blob_file(sha(b"gone")))
        run = reg.run("verify")
        assert run.returncode == 1 and "2 blobs are damaged or missing" in run.stderr, run
        assert sha(b"changed") + ": damaged" in run.stdout and sha(b"gone") + ": its file is missing" in run.stdout
        assert os.listdir(os.path.join(reg.data, "quarantine")) == [sha(b"changed").split(":")[1]]
        for blob in (b"changed", b"gone"):
            assert reg("GET", "/v2/hurt/a/blobs/" + sha(blob)).status == 404
            assert reg("HEAD", "/v2/hurt/a/blobs/" + sha(blob)).status == 404
        assert reg("GET", "/v2/hurt/a/blobs/" + sha(b"fine")).status == 200
        assert reg.run("verify").returncode == 0
        assert reg.push("hurt/a", "t", [b"changed", b"gone", b"fine"]) == digest
        assert reg("GET", "/v2/hurt/a/blobs/" + sha(b"changed")).body == b"changed"


def test_classic_files(program, home):
    """An image that carries a classic stream is there as NAME_TAG.xz with its companions, for an old import."""
    stream = os.urandom(100000) + bytes(900000)
    packed = subprocess.run(["zstd", "-q", "-c"], input=stream, capture_output=True, check=True).stdout
    as_xz = lzma.compress(stream)
    skein = "5" * 256
    with serving(program, home) as reg:
        for repo, tag, data, end, annotations in (
                ("nginx-amd64-13_1", "1.1_13", packed, "+zstd", {"io.pot.classic.meta": "base:1.0@170000"}),
                ("lib/plain", "2", stream, "", {"io.pot.classic.meta": "-"}),
                ("old", "3", as_xz, "+xz", {"io.pot.classic.meta": "-", "io.pot.classic.skein": skein,
                                            "io.pot.classic.sig": "untrusted comment: x\nRWQ=\n"})):
            layer = desc(data, "application/vnd.pot.zfs.send.v1" + end, annotations=annotations)
            reg.push_blob(repo, data)
            reg.push_blob(repo, b"{}")
            text = manifest([layer])
            assert reg("PUT", f"/v2/{repo}/manifests/{tag}", text, {"Content-Type": MANIFEST}).status == 201
        for name, meta in (("nginx-amd64-13_1_1.1_13", b"base:1.0@170000\n"), ("lib/plain_2", b"-\n"), ("old_3", b"-\n"),
                           ("OLD_3", b"-\n")):
            assert reg("GET", f"/classic/{name}.xz.meta").body == meta
            xz = reg("GET", f"/classic/{name}.xz")
            assert lzma.decompress(xz.body) == stream
            assert reg("GET", f"/classic/{name}.xz", headers={"Range": "bytes=7-9"}).body == xz.body[7:10]
            sums = {reg("GET", f"/classic/{name}.xz.skein").body for _ in range(2)}
            assert len(sums) == 1 and len(sums.pop()) == 257
        assert reg("GET", "/classic/old_3.xz").body == as_xz
        assert reg("GET", "/classic/old_3.xz.skein").body.decode() == skein + "\n"
        assert reg("GET", "/classic/old_3.xz.skein.sig").body == b"untrusted comment: x\nRWQ=\n"
        for missing in ("lib/plain_2.xz.skein.sig", "plain_2.xz", "old_4.xz", "old_3", "old_3.zst", "_3.xz", "x.xz"):
            assert reg("GET", "/classic/" + missing).status == 404, missing


def test_log(program, home):
    """The access log has a line for each request, with who asked, and goes on in a new file after SIGHUP."""
    path = os.path.join(home, "access.log")
    with serving(program, home, "--access-log", path) as reg:
        reg("GET", "/v2/some/repo/manifests/tag%20%1b")
        reg("GET", "/v2/some/repo/manifests/tag")
        lab.wait_until(lambda: os.path.getsize(path) > 0, "the log is written")
        os.rename(path, path + ".1")
        reg.hang_up()
        lab.wait_until(lambda: os.path.exists(path), "a new log is begun")
        reg("GET", "/v2/")
    with open(path + ".1", encoding="ascii") as f:
        lines = [line.split() for line in f]
    assert all(line[1] == "127.0.0.1" and line[2] == "-" and line[3] == "GET" for line in lines)
    assert sorted(line[4:7] for line in lines) == [["-", "-", "400"], ["some/repo", "tag", "404"]], lines
    with open(path, encoding="ascii") as f:
        assert [line.split()[6] for line in f][-1] == "200"


def test_usage(program):
    """Mistakes on the command line are told, with what to do, and end with status 2."""
    tool = os.path.join(os.path.dirname(program), "pot-registry")

    def run(*words):
        return subprocess.run([tool, *words], capture_output=True, text=True, check=False, timeout=lab.HANG)

    for words in ((), ("fly",), ("serve", "--nothing"), ("serve", "gc"), ("serve", "--data")):
        r = run(*words)
        assert r.returncode == 2 and r.stderr.startswith("pot-registry: ") and r.stdout == "", (words, r)
    for words in (("serve", "--listen", "nowhere", "--data", "/nonexistent/x/y"), ("serve", "--rate", "many"),
                  ("serve", "--config", "/nonexistent")):
        r = run(*words)
        assert r.returncode == 1 and r.stderr.startswith("pot-registry: "), (words, r)
    assert "--listen" in run("--help").stdout and run("--version").stdout.startswith("pot-registry ")
