"""pot-registry speaks the distribution-spec: every endpoint, every error code, and what must be refused."""

import hashlib
import json
import os
import shutil
import subprocess

import pytest

from registry_lab import EMPTY, INDEX, MANIFEST, OCTETS, desc, manifest, serving, sha


@pytest.fixture(scope="module")
def reg(program, place):
    directory = os.path.join(place, "registry")
    os.mkdir(directory)
    with serving(program, directory) as registry:
        yield registry
    shutil.rmtree(directory)


def errors(answer, status, code):
    assert answer.status == status, answer
    assert answer.codes() == [code], answer
    assert answer.headers["Content-Type"] == "application/json"


def begin(reg, repo, query=""):
    a = reg("POST", f"/v2/{repo}/blobs/uploads/{query}")
    assert a.status == 202 and a.headers["Range"] == "0-0", a
    return a.headers["Location"]


def test_base_and_method_names(reg):
    """The base path answers; a method that a path does not know gets 405 and the list of those it knows."""
    for path in ("/v2/", "/v2"):
        assert reg("GET", path).json() == {}
        assert reg("HEAD", path).body == b""
    for method, path, allow in (("POST", "/v2/", "GET, HEAD"), ("PUT", "/v2/a/blobs/uploads/", "POST"),
                                ("PATCH", "/v2/a/manifests/x", "GET, HEAD, PUT, DELETE"),
                                ("OPTIONS", "/v2/a/tags/list", "GET, HEAD"),
                                ("DELETE", "/v2/a/referrers/" + sha(b""), "GET, HEAD")):
        a = reg(method, path)
        errors(a, 405, "UNSUPPORTED")
        assert a.headers["Allow"] == allow


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_blob_ways_in(reg, algorithm):
    """A blob comes in by one POST, POST and PUT, chunks, a stream, and a last chunk in the PUT."""
    repo, blob = "ways/" + algorithm, os.urandom(300000)
    digest = sha(blob, algorithm)

    def check(a):
        assert a.status == 201 and a.headers["Location"] == f"/v2/{repo}/blobs/{digest}", a
        assert a.headers["Docker-Content-Digest"] == digest
        got = reg("GET", a.headers["Location"])
        assert got.body == blob and got.headers["Docker-Content-Digest"] == digest
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        head = reg("HEAD", a.headers["Location"])
        assert (head.status, head.headers["Content-Length"], head.body) == (200, str(len(blob)), b"")
        assert reg("DELETE", a.headers["Location"]).status == 202
        errors(reg("GET", f"/v2/{repo}/blobs/{digest}"), 404, "BLOB_UNKNOWN")

    check(reg("POST", f"/v2/{repo}/blobs/uploads/?digest={digest}", blob))
    check(reg("PUT", begin(reg, repo) + "?digest=" + digest, blob))
    for query in ("", "?digest-algorithm=" + algorithm):
        at, size = begin(reg, repo, query), 100000
        for start in range(0, len(blob), size):
            end = min(start + size, len(blob)) - 1
            a = reg("PATCH", at, blob[start:end + 1], {"Content-Range": f"{start}-{end}", "Content-Type": OCTETS})
            assert a.status == 202 and a.headers["Range"] == f"0-{end}", a
            at = a.headers["Location"]
        check(reg("PUT", at + "?digest=" + digest))
    a = reg("PATCH", begin(reg, repo), iter([blob[:1000], blob[1000:]]))
    assert a.status == 202 and a.headers["Range"] == f"0-{len(blob) - 1}"
    check(reg("PUT", a.headers["Location"] + "?digest=" + digest))
    a = reg("PATCH", begin(reg, repo), blob[:7])
    check(reg("PUT", a.headers["Location"] + "?digest=" + digest, blob[7:],
              {"Content-Range": f"7-{len(blob) - 1}"}))


def test_upload_sessions(reg):
    """Chunks out of order get 416, the state can be asked for, a session can be cancelled, and none is guessed."""
    blob = os.urandom(5000)
    at = begin(reg, "session/a")
    assert reg("PATCH", at, blob[:1000], {"Content-Range": "0-999"}).status == 202
    for method, wrong in (("PATCH", "2000-2999"), ("PATCH", "0-999"), ("PUT", "3000-3999")):
        a = reg(method, at + ("?digest=" + sha(blob) if method == "PUT" else ""), blob[:1000], {"Content-Range": wrong})
        assert a.status == 416 and a.headers["Range"] == "0-999", a
    for method in ("GET", "HEAD"):
        a = reg(method, at)
        assert (a.status, a.headers["Range"], a.headers["Location"]) == (204, "0-999", at)
    errors(reg("PATCH", at, blob[:10], {"Content-Range": "1000-1010"}), 400, "SIZE_INVALID")
    errors(reg("PATCH", at, blob[:10], {"Content-Range": "bytes 1000-1009"}), 400, "BLOB_UPLOAD_INVALID")
    errors(reg("PUT", at), 400, "DIGEST_INVALID")
    errors(reg("PUT", at + "?digest=sha256:1234"), 400, "DIGEST_INVALID")
    # The session is good in its repository only.
    errors(reg("GET", at.replace("session/a", "session/b")), 404, "BLOB_UPLOAD_UNKNOWN")
    assert reg("DELETE", at).status == 204
    errors(reg("GET", at), 404, "BLOB_UPLOAD_UNKNOWN")
    for name in ("0" * 48, "x", "..", "%2e%2e", "token.key"):
        a = reg("GET", "/v2/session/a/blobs/uploads/" + name)
        assert a.status in (400, 404), a
    errors(reg("POST", "/v2/session/a/blobs/uploads/?digest-algorithm=md5"), 400, "DIGEST_INVALID")


def test_wrong_digest(reg):
    """A blob whose bytes are not those of its digest is never there, and its session is over."""
    blob, digest = b"right", sha(b"right")
    errors(reg("POST", f"/v2/wrong/a/blobs/uploads/?digest={digest}", b"wrong"), 400, "DIGEST_INVALID")
    at = begin(reg, "wrong/a")
    errors(reg("PUT", at + "?digest=" + digest, b"wrong"), 400, "DIGEST_INVALID")
    errors(reg("GET", at), 404, "BLOB_UPLOAD_UNKNOWN")
    errors(reg("GET", f"/v2/wrong/a/blobs/{digest}"), 404, "BLOB_UNKNOWN")
    assert not os.path.exists(reg.blob_file(digest))
    assert os.listdir(os.path.join(reg.data, "uploads")) == []
    reg.push_blob("wrong/a", blob)
    errors(reg("PUT", f"/v2/wrong/a/manifests/{digest}", manifest(), {"Content-Type": MANIFEST}), 400,
           "DIGEST_INVALID")


@pytest.mark.parametrize("digest", ["sha256:" + "a" * 63, "sha256:" + "A" * 64, "sha256:" + "a" * 65, "md5:" + "a" * 32,
                                    "sha512:" + "a" * 64, "sha256:" + "g" * 64, "sha256-" + "a" * 64, "sha256:",
                                    "sha384:" + "a" * 96, "sha256:../" + "a" * 61])
def test_digests_that_are_none(reg, digest):
    """What is not exactly a digest is refused before any path is formed."""
    for path in ("blobs", "referrers"):
        a = reg("GET", f"/v2/digest/a/{path}/{digest}")
        assert a.status in (400, 404) and (a.status == 404 or a.codes() in (["DIGEST_INVALID"], ["NAME_INVALID"])), a
    a = reg("POST", f"/v2/digest/a/blobs/uploads/?digest={digest}", b"x")
    errors(a, 400, "DIGEST_INVALID")
    a = reg("POST", f"/v2/digest/a/blobs/uploads/?mount={digest}&from=b")
    errors(a, 400, "DIGEST_INVALID")


def test_mount(reg):
    """A blob of one repository appears in another without being sent; without it an upload begins."""
    digest = reg.push_blob("mount/from", b"mounted")
    a = reg("POST", f"/v2/mount/to/blobs/uploads/?mount={digest}&from=mount/from", b"")
    assert a.status == 201 and a.headers["Location"] == f"/v2/mount/to/blobs/{digest}", a
    assert reg("GET", a.headers["Location"]).body == b"mounted"
    a = reg("POST", f"/v2/mount/any/blobs/uploads/?mount={digest}")
    assert a.status == 201, a
    for query in (f"mount={sha(b'none')}&from=mount/from", f"mount={digest}&from=mount/none", f"mount={sha(b'none')}"):
        a = reg("POST", "/v2/mount/to2/blobs/uploads/?" + query)
        assert a.status == 202 and reg("DELETE", a.headers["Location"]).status == 204
    # Deleted in one, still there in the other.
    assert reg("DELETE", f"/v2/mount/from/blobs/{digest}").status == 202
    assert reg("GET", f"/v2/mount/to/blobs/{digest}").status == 200
    errors(reg("DELETE", f"/v2/mount/from/blobs/{digest}"), 404, "BLOB_UNKNOWN")


def test_sizes(reg):
    """Blobs of all sizes come back whole, again and again: small ones, more of 4 MiB than are kept mapped, larger ones."""
    piece = bytes(range(256)) * (4 * 1024 * 4)
    blobs = [b"", b"x", piece + b"x"] + [b"%4d" % number + piece[4:] for number in range(17)]
    paths = ["/v2/sizes/a/blobs/" + reg.push_blob("sizes/a", blob) for blob in blobs]
    for _ in range(2):
        for path, blob in zip(paths, blobs):
            a = reg("GET", path)
            assert (a.status, a.headers["Content-Length"]) == (200, str(len(blob))), a.headers
            assert sha(a.body) == sha(blob)
    assert reg("HEAD", paths[3]).headers["Content-Length"] == str(len(piece))


@pytest.mark.parametrize("header, first, last", [("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=90-", 90, 99),
                                                 ("bytes=-1", 99, 99), ("bytes=-1000", 0, 99), ("bytes=50-1000", 50, 99)])
def test_ranges(reg, header, first, last):
    """A part of a blob is sent as asked for."""
    blob = bytes(range(100))
    digest = reg.push_blob("range/a", blob)
    a = reg("GET", f"/v2/range/a/blobs/{digest}", headers={"Range": header})
    assert (a.status, a.body) == (206, blob[first:last + 1])
    assert a.headers["Content-Range"] == f"bytes {first}-{last}/100"


def test_ranges_that_are_none(reg):
    """Ranges beyond the end get 416; several, other units and another entity get the whole."""
    blob = bytes(range(100))
    path = "/v2/range/a/blobs/" + reg.push_blob("range/a", blob)
    for header in ("bytes=100-", "bytes=500-0", "bytes=5000-10000", "bytes=-0"):
        a = reg("GET", path, headers={"Range": header})
        assert (a.status, a.headers["Content-Range"]) == (416, "bytes */100"), header
    for header in ("bytes=0-1,5-6", "lines=1-2", "bytes=x-", "bytes=1-2x", "bytes=99999999999999999999-"):
        assert reg("GET", path, headers={"Range": header}).body == blob, header
    a = reg("GET", path, headers={"Range": "bytes=1-2", "If-Range": '"other"'})
    assert (a.status, a.body) == (200, blob)
    etag = reg("HEAD", path).headers["ETag"]
    for value in (etag, "W/" + etag, f'"x", {etag}', "*"):
        a = reg("GET", path, headers={"If-None-Match": value})
        assert (a.status, a.body, a.headers["ETag"]) == (304, b"", etag), value
    assert reg("GET", path, headers={"If-None-Match": '"x"'}).status == 200


def test_manifests(reg):
    """A manifest comes back byte for byte, by tag and digest, with and without Accept, and goes when told."""
    text = manifest([b"layer"], annotations={"k": "v"}) + b"\n  "
    reg.push_blob("man/a", b"{}")
    reg.push_blob("man/a", b"layer")
    a = reg("PUT", "/v2/man/a/manifests/v1", text, {"Content-Type": MANIFEST + "; charset=utf-8"})
    assert a.status == 201 and a.headers["Location"] == f"/v2/man/a/manifests/{sha(text)}", a
    assert a.headers["Docker-Content-Digest"] == sha(text) and a.headers["OCI-Subject"] is None
    for ref in ("v1", sha(text)):
        for accept in ({}, {"Accept": INDEX}, {"Accept": MANIFEST}):
            got = reg("GET", "/v2/man/a/manifests/" + ref, headers=accept)
            assert (got.body, got.headers["Content-Type"]) == (text, MANIFEST)
            assert got.headers["Docker-Content-Digest"] == sha(text)
        head = reg("HEAD", "/v2/man/a/manifests/" + ref)
        assert (head.headers["Content-Length"], head.body) == (str(len(text)), b"")
        a = reg("GET", "/v2/man/a/manifests/" + ref, headers={"If-None-Match": got.headers["ETag"]})
        assert (a.status, a.body) == (304, b"")
    assert reg("PUT", "/v2/man/a/manifests/v2", text, {"Content-Type": MANIFEST}).status == 201
    assert reg("DELETE", "/v2/man/a/manifests/v1").status == 202
    errors(reg("GET", "/v2/man/a/manifests/v1"), 404, "MANIFEST_UNKNOWN")
    errors(reg("DELETE", "/v2/man/a/manifests/v1"), 404, "MANIFEST_UNKNOWN")
    assert reg("GET", "/v2/man/a/manifests/v2").status == 200
    assert reg("DELETE", "/v2/man/a/manifests/" + sha(text)).status == 202
    errors(reg("GET", "/v2/man/a/manifests/v2"), 404, "MANIFEST_UNKNOWN")
    errors(reg("GET", "/v2/man/a/manifests/" + sha(text)), 404, "MANIFEST_UNKNOWN")
    errors(reg("GET", "/v2/man/none/manifests/x"), 404, "MANIFEST_UNKNOWN")


def test_tag_moves(reg):
    """A tag that is pushed again names the new manifest at once, however often the old one was read."""
    reg.push_blob("move/a", b"{}")
    for i in range(20):
        text = manifest(annotations={"i": str(i)})
        assert reg("PUT", "/v2/move/a/manifests/t", text, {"Content-Type": MANIFEST}).status == 201
        for _ in range(3):
            assert reg("GET", "/v2/move/a/manifests/t").body == text


def test_tags_with_a_digest(reg):
    """One push by digest sets several tags, also with sha512."""
    reg.push_blob("many/a", b"{}")
    text = manifest()
    digest = sha(text, "sha512")
    a = reg("PUT", f"/v2/many/a/manifests/{digest}?tag=1&tag=1.0&tag=latest", text, {"Content-Type": MANIFEST})
    assert a.status == 201 and sorted(a.headers.get_all("OCI-Tag")) == ["1", "1.0", "latest"], a
    for tag in ("1", "1.0", "latest"):
        assert reg("HEAD", "/v2/many/a/manifests/" + tag).headers["Docker-Content-Digest"] == digest
    a = reg("PUT", f"/v2/many/a/manifests/{digest}?tag=-bad", text, {"Content-Type": MANIFEST})
    errors(a, 400, "MANIFEST_INVALID")


def bad_manifests():
    good = json.loads(manifest([b"layer"]))
    layer = good["layers"][0]
    deep = b'{"schemaVersion":2,"x":' + b"[" * 100 + b"]" * 100 + b"}"
    yield "not JSON", b"{"
    yield "an array", b"[]"
    yield "nothing", b""
    yield "NaN", b'{"schemaVersion":NaN}'
    yield "schema 1", json.dumps(dict(good, schemaVersion=1)).encode()
    yield "both", json.dumps(dict(good, manifests=[])).encode()
    yield "another type", json.dumps(dict(good, mediaType=INDEX)).encode()
    yield "unknown type", json.dumps(dict(good, mediaType="application/x")).encode()
    yield "no config", json.dumps({k: v for k, v in good.items() if k != "config"}).encode()
    yield "bad digest", json.dumps(dict(good, layers=[dict(layer, digest="sha256:12")])).encode()
    yield "path digest", json.dumps(dict(good, layers=[dict(layer, digest="../../x")])).encode()
    yield "negative size", json.dumps(dict(good, layers=[dict(layer, size=-1)])).encode()
    yield "huge size", json.dumps(dict(good, layers=[dict(layer, size=2 ** 64)])).encode()
    yield "size text", json.dumps(dict(good, layers=[dict(layer, size="5")])).encode()
    yield "no media type", json.dumps(dict(good, layers=[{"digest": layer["digest"], "size": 5}])).encode()
    yield "layers object", json.dumps(dict(good, layers={})).encode()
    yield "twice", b'{"schemaVersion":2,"schemaVersion":2}'
    yield "case", json.dumps(dict(good, Layers=[])).encode()
    yield "deep", deep
    yield "NUL", json.dumps(dict(good, annotations={"a": "\0"})).encode()
    yield "not UTF-8", manifest(annotations={"a": "b"}).replace(b'"b"', b'"\xff"')
    yield "many values", json.dumps(dict(good, x=[0] * 200000)).encode()


@pytest.mark.parametrize("what, text", bad_manifests(), ids=[what for what, _ in bad_manifests()])
def test_manifests_that_are_none(reg, what, text):
    """A manifest that two readers could read differently, or that is none, is refused."""
    reg.push_blob("bad/a", b"{}")
    reg.push_blob("bad/a", b"layer")
    errors(reg("PUT", "/v2/bad/a/manifests/t", text, {"Content-Type": MANIFEST}), 400, "MANIFEST_INVALID")
    errors(reg("GET", "/v2/bad/a/manifests/t"), 404, "MANIFEST_UNKNOWN")


def test_manifest_needs_its_parts(reg):
    """What a manifest refers to must be there, in this repository; what a foreign layer names need not."""
    reg.push_blob("parts/other", b"layer")
    reg.push_blob("parts/a", b"{}")
    a = reg("PUT", "/v2/parts/a/manifests/t", manifest([b"layer"]), {"Content-Type": MANIFEST})
    errors(a, 404, "MANIFEST_BLOB_UNKNOWN")
    assert sha(b"layer") in a.json()["errors"][0]["message"]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [desc(b"none", MANIFEST)]}).encode()
    errors(reg("PUT", "/v2/parts/a/manifests/t", index, {"Content-Type": INDEX}), 404, "MANIFEST_BLOB_UNKNOWN")
    foreign = desc(b"far", "application/vnd.oci.image.layer.nondistributable.v1.tar", urls=["https://example.com"])
    a = reg("PUT", "/v2/parts/a/manifests/t", manifest([foreign]), {"Content-Type": MANIFEST})
    assert a.status == 201, a


def test_large_manifests(reg):
    """Four megabytes are taken, one byte more is not, also when it comes in chunks."""
    reg.push_blob("large/a", b"{}")
    text = manifest(annotations={"a": ""})
    text = manifest(annotations={"a": "x" * (4 * 1024 * 1024 - len(text))})
    assert len(text) == 4 * 1024 * 1024
    assert reg("PUT", "/v2/large/a/manifests/t", text, {"Content-Type": MANIFEST}).status == 201
    assert reg("GET", "/v2/large/a/manifests/t").body == text
    errors(reg("PUT", "/v2/large/a/manifests/t", text + b" ", {"Content-Type": MANIFEST}), 413, "SIZE_INVALID")


@pytest.mark.parametrize("name", ["A", "a//b", "a/", "/a", "a..b", "a/-b", "a_-b", "a___b", "-a", "a.", "a" * 256, "ä",
                                  "a%00b", "a%0d%0ab", "a/../b", "a/%2e%2e/b", "a%2fb", "a%252fb", "a\\b"])
def test_names_that_are_none(reg, name):
    """A repository name outside the grammar, however it is written, is refused."""
    path = f"/v2/{name}/tags/list".encode("utf-8")
    out = reg.raw(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", close=False)
    assert out.split(b" ")[1] in (b"400", b"404", b"414"), out
    assert b"NAME_INVALID" in out or b"NAME_UNKNOWN" in out, out


def test_names_at_the_edge(reg):
    """The strangest valid names work, also those with components of our own paths."""
    for name in ("a", "a.b", "a_b", "a__b", "a---b", "0/1/2", "blobs/uploads", "a/manifests/b", "v2/v2", "tags/list",
                 "a" * 255, "/".join("a" * 128)):
        digest = reg.push(name, "A._-" + "x" * 124)
        assert reg("GET", f"/v2/{name}/manifests/" + digest).status == 200
        assert reg("GET", f"/v2/{name}/tags/list").json() == {"name": name, "tags": ["A._-" + "x" * 124]}
    for tag in (".x", "-x", "x" * 129, "x%20y", "x:y"):
        a = reg("PUT", "/v2/a/manifests/" + tag, manifest(), {"Content-Type": MANIFEST})
        assert a.status == 400, (tag, a)


def test_lists(reg):
    """Tags and repositories come in order and in pages; each page links to the next."""
    reg.push_blob("list/a", b"{}")
    names = sorted(["a", "B", "b", "z", "0", "_", "A1", "latest"])
    for name in names:
        assert reg("PUT", "/v2/list/a/manifests/" + name, manifest(), {"Content-Type": MANIFEST}).status == 201
    assert reg("GET", "/v2/list/a/tags/list").json() == {"name": "list/a", "tags": names}
    got, path = [], "/v2/list/a/tags/list?n=3"
    while path:
        a = reg("GET", path)
        assert len(a.json()["tags"]) <= 3
        got += a.json()["tags"]
        link = a.headers["Link"]
        assert link is None or link.endswith('; rel="next"')
        path = link and link[1:link.index(">")]
    assert got == names
    assert reg("GET", "/v2/list/a/tags/list?last=" + names[3]).json()["tags"] == names[4:]
    a = reg("GET", "/v2/list/a/tags/list?n=0")
    assert a.json()["tags"] == [] and a.headers["Link"] is None
    assert reg("GET", f"/v2/list/a/tags/list?n={2 ** 31}").json()["tags"] == names
    for n in ("-1", "x", "1.5", str(2 ** 65)):
        assert reg("GET", "/v2/list/a/tags/list?n=" + n).status == 400, n
    errors(reg("GET", "/v2/list/none/tags/list"), 404, "NAME_UNKNOWN")
    repos = reg("GET", "/v2/_catalog").json()["repositories"]
    assert repos == sorted(repos) and "list/a" in repos
    a = reg("GET", "/v2/_catalog?n=1")
    assert a.json()["repositories"] == repos[:1] and "last=" in a.headers["Link"]
    assert reg("GET", f"/v2/_catalog?n={2 ** 31}&last={repos[0]}").json()["repositories"] == repos[1:]


def test_referrers(reg):
    """Who refers to a manifest is listed, filtered by type, also before the manifest is there."""
    repo, subject = "refer/a", manifest([b"subject"])
    path = f"/v2/{repo}/referrers/{sha(subject)}"
    empty = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    a = reg("GET", path)
    assert (a.status, a.json(), a.headers["Content-Type"]) == (200, empty, INDEX)
    reg.push_blob(repo, b"{}")
    expected = {}
    for kind, more in (("application/vnd.one", {"artifactType": "application/vnd.one"}), (EMPTY, {}),
                       ("application/vnd.two+json", {"artifactType": "application/vnd.two+json"})):
        text = manifest(subject=desc(subject, MANIFEST), annotations={"kind": kind}, **more)
        a = reg("PUT", f"/v2/{repo}/manifests/{sha(text)}", text, {"Content-Type": MANIFEST})
        assert a.status == 201 and a.headers["OCI-Subject"] == sha(subject), a
        expected[kind] = desc(text, MANIFEST, artifactType=kind, annotations={"kind": kind})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [],
                        "subject": desc(subject, MANIFEST)}).encode()
    assert reg("PUT", f"/v2/{repo}/manifests/i", index, {"Content-Type": INDEX}).headers["OCI-Subject"]
    a = reg("GET", path)
    assert a.headers["OCI-Filters-Applied"] is None
    assert a.json()["manifests"] == [*expected.values(), desc(index, INDEX)]
    for kind, query in (("application/vnd.one", "application/vnd.one"),
                        ("application/vnd.two+json", "application/vnd.two%2Bjson"),
                        ("application/vnd.two+json", "application/vnd.two+json")):
        a = reg("GET", path + "?artifactType=" + query)
        assert a.headers["OCI-Filters-Applied"] == "artifactType"
        assert a.json()["manifests"] == [expected[kind]]
    digest = expected["application/vnd.one"]["digest"]
    assert reg("DELETE", f"/v2/{repo}/manifests/{digest}").status == 202
    assert digest not in [m["digest"] for m in reg("GET", path).json()["manifests"]]


def test_referrers_in_pages(reg):
    """More referrers than fit into an index come in several, linked."""
    repo, subject = "refer/pages", b"subject"
    reg.push_blob(repo, b"{}")
    pushed = set()
    for i in range(5):
        text = manifest(subject=desc(subject, MANIFEST), annotations={"a": str(i) + "x" * 1500000})
        assert reg("PUT", f"/v2/{repo}/manifests/{sha(text)}", text, {"Content-Type": MANIFEST}).status == 201
        pushed.add(sha(text))
    path, got, pages = f"/v2/{repo}/referrers/{sha(subject)}?artifactType={EMPTY}", [], 0
    while path:
        a = reg("GET", path)
        assert len(a.body) <= 4 * 1024 * 1024
        got += [m["digest"] for m in a.json()["manifests"]]
        link, pages = a.headers["Link"], pages + 1
        path = link and link[1:link.index(">")]
    assert pages == 3 and len(got) == 5 and set(got) == pushed


def test_search(reg):
    """Images are found by name, title and description; what LIKE would take for more is only itself."""
    reg.push("find/web_server", "1.0", annotations={"org.opencontainers.image.title": "Web 100%",
                                                    "org.opencontainers.image.description": "serves \"pages\""})
    reg.push("find/webxserver", "2.0")

    def names(q):
        return [i["name"] for i in reg("GET", "/api/v1/images?q=" + q).json()["images"]]

    assert names("WEB_SERV") == ["find/web_server"]
    assert names("100%25") == ["find/web_server"] and names("1%250") == []
    assert names("serves") == ["find/web_server"] and names("nothing-here") == []
    image = reg("GET", "/api/v1/images?q=web_server").json()["images"][0]
    assert image["title"] == "Web 100%" and image["description"] == 'serves "pages"'
    assert [t["tag"] for t in image["tags"]] == ["1.0"]
    assert (image["tags"][0]["os"], image["tags"][0]["architecture"]) == (None, None)
    config = json.dumps({"os": "linux", "architecture": "riscv64", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    reg.push_blob("find/platform", config)
    told = manifest([], config)
    told = told.replace(EMPTY.encode(), b"application/vnd.oci.image.config.v1+json")
    assert reg("PUT", "/v2/find/platform/manifests/1", told, {"Content-Type": MANIFEST}).status == 201
    tag = reg("GET", "/api/v1/images?q=platform").json()["images"][0]["tags"][0]
    assert (tag["os"], tag["architecture"]) == ("linux", "riscv64")
    first = reg("GET", "/api/v1/images?q=find/web&n=1").json()
    assert first["next"] == "find/web_server"
    assert reg("GET", "/api/v1/images?q=find/web&n=1&last=" + first["next"]).json()["images"][0]["name"] == "find/webxserver"


@pytest.mark.parametrize("head", [
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 3\r\nContent-Length: 3\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n", b"Transfer-Encoding : chunked\r\n", b"Content-Length: +3\r\n",
    b"Content-Length: 3, 3\r\n", b"Content-Length: 0x3\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: \x0bchunked\r\n",
    b"Content-Length: -1\r\n", b"Host: y\r\n", b"X\x01Y: z\r\n", b"Content-Length: 99999999999999999999\r\n"])
def test_heads_with_two_meanings(reg, head):
    """A request whose length two servers could read differently is refused and the connection closed."""
    out = reg.raw(b"PATCH /v2/a/blobs/uploads/x HTTP/1.1\r\nHost: x\r\n" + head +
                  b"\r\nabcGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", close=False)
    # libmicrohttpd sends the head of its own refusals twice.
    statuses = {line.split(b" ")[1] for line in out.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")}
    assert len(statuses) == 1 and statuses <= {b"400", b"413", b"501"}, out
    assert out.count(b"Connection: close") == out.count(b"HTTP/1.1 "), out


def test_no_host_and_nul(reg):
    """A request without Host, or with a NUL in its line, is refused."""
    for data in (b"GET /v2/ HTTP/1.1\r\n\r\n", b"GET /v2/\0x HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /v2/a%00b/tags/list HTTP/1.1\r\nHost: x\r\n\r\n"):
        out = reg.raw(data)
        assert out == b"" or out.split(b" ")[1] in (b"400", b"404"), out


def test_layout_for_others(reg):
    """The data directory is an OCI layout: other tools read images out of it while the registry runs."""
    digest = reg.push("layout/a", "t1", [b"some layer"])
    index = json.loads(open(os.path.join(reg.data, "index.json"), encoding="utf-8").read())
    found = {m["annotations"]["org.opencontainers.image.ref.name"]: m for m in index["manifests"]}
    assert found["layout/a:t1"]["digest"] == digest and found["layout/a:t1"]["mediaType"] == MANIFEST
    assert open(os.path.join(reg.data, "oci-layout"), encoding="ascii").read() == '{"imageLayoutVersion":"1.0.0"}'
    with open(reg.blob_file(sha(b"some layer")), "rb") as f:
        assert f.read() == b"some layer"
    for m in index["manifests"]:
        with open(reg.blob_file(m["digest"]), "rb") as f:
            assert sha(f.read(), m["digest"].split(":")[0]) == m["digest"]
    assert reg("DELETE", "/v2/layout/a/manifests/t1").status == 202
    assert "layout/a:t1" not in open(os.path.join(reg.data, "index.json"), encoding="utf-8").read()


def test_other_tools(reg, place):
    """umoci makes an image, skopeo pushes it, copies it within, pulls it and deletes it: nothing changes on the way."""
    work = os.path.join(place, "other-tools")
    os.mkdir(work)

    def run(*argv):
        return subprocess.run(argv, cwd=work, check=True, capture_output=True, text=True).stdout

    with open(os.path.join(work, "file"), "wb") as f:
        f.write(os.urandom(200000))
    run("umoci", "init", "--layout", "made")
    run("umoci", "new", "--image", "made:t")
    run("umoci", "insert", "--image", "made:t", "file", "/file")
    at = f"docker://127.0.0.1:{reg.port}/tools/"
    run("skopeo", "copy", "--dest-tls-verify=false", "oci:made:t", at + "a:1")
    run("skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", at + "a:1", at + "b:1")
    run("skopeo", "copy", "--src-tls-verify=false", at + "b:1", "oci:back:t")
    run("skopeo", "copy", f"oci:{reg.data}:tools/b:1", "oci:read:t")
    digests = [json.loads(run("skopeo", "inspect", "--raw", f"oci:{name}:t")) for name in ("made", "back", "read")]
    assert digests[0] == digests[1] == digests[2]
    assert json.loads(run("skopeo", "list-tags", "--tls-verify=false", at + "a"))["Tags"] == ["1"]
    run("umoci", "unpack", "--rootless", "--image", "back:t", "bundle")
    with open(os.path.join(work, "file"), "rb") as f, open(os.path.join(work, "bundle/rootfs/file"), "rb") as g:
        assert hashlib.sha256(f.read()).digest() == hashlib.sha256(g.read()).digest()
    run("skopeo", "delete", "--tls-verify=false", at + "a:1")
    assert reg("GET", "/v2/tools/a/manifests/1").status == 404
    shutil.rmtree(work)


def test_health_and_metrics(reg):
    """The health and the counters can be asked for."""
    assert reg("GET", "/healthz").body == b"ok\n"
    text = reg("GET", "/metrics").body.decode()
    assert 'pot_registry_requests_total{method="GET",status="2xx"} ' in text
    assert "pot_registry_request_duration_seconds_bucket{le=\"+Inf\"} " in text
    for line in text.splitlines():
        assert line.startswith("# ") or len(line.split(" ")) == 2, line
    errors(reg("GET", "/"), 404, "NAME_UNKNOWN")
    errors(reg("GET", "/nothing?x=1"), 404, "NAME_UNKNOWN")
