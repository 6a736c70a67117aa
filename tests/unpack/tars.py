"""Archives made by hand, so that they can say what no archiver would."""

import struct

BLOCK = 512


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    return (value & ((1 << (8 * width)) - 1) | (0x80 << (8 * (width - 1)))).to_bytes(width, "big")


def number(value, width):
    """bytes are taken as they are; what octal cannot say becomes base 256."""
    if isinstance(value, bytes):
        return value.ljust(width, b"\0")[:width]
    if 0 <= value < 8 ** (width - 1):
        return octal(value, width)
    return base256(value, width)


def pad(data):
    return data + b"\0" * (-len(data) % BLOCK)


def header(name, kind=b"0", size=0, mode=0o644, uid=0, gid=0, mtime=1000000000, link=b"", magic=b"ustar\x0000",
           chksum=None, dev=(0, 0), extra=None):
    name = name.encode() if isinstance(name, str) else name
    link = link.encode() if isinstance(link, str) else link
    head = bytearray(BLOCK)
    head[0:100] = name[:100].ljust(100, b"\0")
    head[100:108] = number(mode, 8)
    head[108:116] = number(uid, 8)
    head[116:124] = number(gid, 8)
    head[124:136] = number(size, 12)
    head[136:148] = number(mtime, 12)
    head[156:157] = kind
    head[157:257] = link[:100].ljust(100, b"\0")
    head[257:265] = magic
    head[329:337] = number(dev[0], 8)
    head[337:345] = number(dev[1], 8)
    for offset, data in (extra or {}).items():
        head[offset:offset + len(data)] = data
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head) if chksum is None else chksum
    return bytes(head)


def record(key, value):
    """One record of a pax header: its own length is part of it."""
    key = key.encode() if isinstance(key, str) else key
    value = value.encode() if isinstance(value, str) else value
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while length != len(str(length)) + len(body):
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def pax(records, kind=b"x"):
    data = records if isinstance(records, bytes) else b"".join(record(k, v) for k, v in records.items())
    return header("PaxHeaders/x", kind, len(data)) + pad(data)


def entry(name, data=b"", kind=b"0", pax_records=None, **fields):
    before = pax(pax_records) if pax_records else b""
    fields.setdefault("size", len(data))
    return before + header(name, kind, **fields) + pad(data)


def file(name, data=b"data", **fields):
    return entry(name, data, b"0", **fields)


def directory(name, mode=0o755, **fields):
    return entry(name, b"", b"5", mode=mode, **fields)


def symlink(name, target, **fields):
    return entry(name, b"", b"2", link=target, mode=0o777, **fields)


def hardlink(name, target, **fields):
    return entry(name, b"", b"1", link=target, **fields)


def gnu_long(kind, text):
    """GNU's L (name) and K (link target)."""
    data = (text.encode() if isinstance(text, str) else text) + b"\0"
    return header("././@LongLink", kind, len(data), magic=b"ustar  \0") + pad(data)


END = b"\0" * (2 * BLOCK)


def tar(*entries):
    return b"".join(entries) + END


def gnu_sparse(name, segments, real_size, data=b""):
    """An old GNU sparse file: up to four (offset, length) in the header."""
    extra = {}
    for i, (offset, length) in enumerate(segments):
        extra[386 + 24 * i] = number(offset, 12) + number(length, 12)
    extra[483] = number(real_size, 12)
    return header(name, b"S", len(data), magic=b"ustar  \0", extra=extra) + pad(data)


def capability(effective=True, permitted=1 << 10):
    """security.capability, version 2, as linux/capability.h lays it out."""
    return struct.pack("<IIIII", 0x02000000 | int(effective), permitted, 0, 0, 0)
