#!/usr/bin/env python3
"""Checks the house rules that a compiler does not: who includes whom
(docs/design.md section 2), where systems may be told apart, and which calls
are banned. Prints FILE:LINE: what and why; exit status 1 when there is any.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# folder under src/: folders it may include beside itself. Everybody may use include/pot/err.h and
# include/pot/event.h; include/pot.h is the public face of lib/ and for those who name POT_H.
LAYERS = {
    "base": [],
    "model": ["base"],
    "storage": ["model", "base"],
    "network": ["model", "base"],
    "isolation": ["model", "base"],
    # A leaf: makes filters as bytes; isolation is handed them and does not know where they come from.
    "seccomp": ["model", "base"],
    # The engine sees the three mechanisms, and the filters, through one header each.
    "engine": ["storage/storage.h", "network/network.h", "isolation/isolation.h", "seccomp/seccomp.h", "model", "base", "POT_H"],
    "image": ["storage/storage.h", "model", "base"],
    # It must run where no pot can: never libpot, nothing of the engine.
    "registry": ["image", "model", "base"],
    "builder": ["storage/storage.h", "engine", "image", "model", "base", "POT_H"],
    "lib": ["builder", "engine", "image", "model", "base", "POT_H"],
    "cli": ["POT_H", "model", "base"],
    "nomad": ["POT_H", "model", "base"],
    "unpack": ["base"],
    # Loads a ruleset that it is given; knows nothing of pots.
    "nft": ["base"],
    # No libc, no library: numbers it shares with the others, and system calls as inline functions.
    "shim": ["model/shimproto.h", "base/linux/rawsys.h", "base/linux/become.h", "base/freebsd/jailend.h"],
}
PUBLIC_FOR_ALL = {"pot/err.h", "pot/event.h"}

# OS folders are seen by the files of their own layer only; a fake only by tests.
OS_FOLDERS = {"linux", "freebsd"}
SYSTEM_MACROS = r"__linux__|__linux|__gnu_linux__|__FreeBSD__|__FreeBSD_version|__GLIBC__"

BANNED = {
    "strcpy": "no bound; use struct buf or memcpy with a checked length",
    "stpcpy": "no bound",
    "strcat": "no bound; use struct buf",
    "strncpy": "does not terminate; use snprintf or struct buf",
    "strncat": "its bound is not the size; use struct buf",
    "sprintf": "no bound; use snprintf",
    "vsprintf": "no bound; use vsnprintf",
    "gets": "no bound",
    "system": "runs a shell; use base/proc.h",
    "popen": "runs a shell; use base/proc.h",
    "strtok": "hidden state; use text_split or strsep",
    "mktemp": "races; use mkstemp or O_TMPFILE",
    "tmpnam": "races",
    "tempnam": "races",
    "alloca": "unbounded stack",
    "atoi": "hides errors; use base/text.h",
    "atol": "hides errors; use base/text.h",
    "atoll": "hides errors; use base/text.h",
    "usleep": "waits for nothing in particular; poll for the event",
    "sleep": "waits for nothing in particular; poll for the event",
}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
CONDITION = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b(?:" + SYSTEM_MACROS + r")\b")
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")


def strip_comments_and_strings(text):
    """Blanks out comments and literals, keeping every newline where it is."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def may_include(layer, target):
    """May a file of src/<layer> include "target" (a path relative to src/)?"""
    if target in PUBLIC_FOR_ALL:
        return layer != "shim"
    if target in ("pot.h", "pot/build.h", "pot/flavour.h", "pot/image.h"):
        return "POT_H" in LAYERS[layer]
    top = target.split("/")[0]
    return top == layer or top in LAYERS[layer] or target in LAYERS[layer]


def os_folder(path):
    """The system whose folder a path lies in, or None."""
    for part in path.split("/")[:-1]:
        if part in OS_FOLDERS:
            return part
    return None


def resolve(path, name):
    """A quoted include as a path relative to src/ or include/, or None when it is neither."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    if os.path.exists(os.path.join(ROOT, beside)) and beside.startswith("src/"):
        return beside[len("src/"):]
    if os.path.exists(os.path.join(ROOT, "src", name)):
        return name
    return None


def check_includes(path, lines):
    layer = path.split("/")[1]
    inside = path[len("src/"):]
    for number, line in lines:
        match = INCLUDE.match(line)
        if not match:
            continue
        kind, name = match.groups()
        if kind == "<":
            if name == "pot.h" or name.startswith("pot/"):
                target = name
            else:
                continue
        elif name in ("pot.h",) or name.startswith("pot/"):
            target = name
        else:
            target = resolve(path, name)
            if target is None:
                yield number, f'"{name}" is neither beside it nor under src/'
                continue
        if not may_include(layer, target):
            yield number, f"{layer}/ may not include {target}"
        elif os_folder(target) and os_folder(target) != os_folder(inside):
            yield number, f"{target} is for {os_folder(target)}/ only"
        elif "fake" in target.split("/")[:-1] and "fake" not in inside.split("/")[:-1]:
            yield number, f"{target} is for tests only"


def check_public_header(path, lines):
    for number, line in lines:
        match = INCLUDE.match(line)
        if match and (match.group(1) == '"' or match.group(2).startswith("src/")):
            yield number, "a public header includes system and pot/ headers only, with <>"


def check_file(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = f.read()
    raw = list(enumerate(text.split("\n"), 1))
    code = list(enumerate(strip_comments_and_strings(text).split("\n"), 1))
    problems = []
    if path.startswith("src/"):
        if path.split("/")[1] not in LAYERS:
            return [(1, f"{path.split('/')[1]}/ is not in the table of layers (tools/check_layers.py)")]
        problems += check_includes(path, raw)
    else:
        problems += check_public_header(path, raw)
    for number, line in code:
        if CONDITION.match(line) and not os_folder(path):
            problems.append((number, "systems are told apart by folders (linux/, freebsd/), not by #if"))
        for match in CALL.finditer(line):
            problems.append((number, f"{match.group(1)}() is banned: {BANNED[match.group(1)]}"))
    return problems


def sources():
    for top in ("include", "src"):
        for directory, _, names in os.walk(os.path.join(ROOT, top)):
            for name in names:
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(directory, name), ROOT)


def main():
    count = bad = 0
    for path in sorted(sources()):
        count += 1
        for number, what in sorted(check_file(path)):
            print(f"{path}:{number}: {what}")
            bad += 1
    print(f"layers: {count} files, {bad} problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
