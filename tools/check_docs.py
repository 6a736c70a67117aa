#!/usr/bin/env python3
"""Checks that help, manual and completion agree: `pot help --format json` is
the table of verbs; every verb and option in it must be in its man page and in
the completion, and nothing else may be there. mandoc looks at the pages.

    check_docs.py [POT-PROGRAM]
"""

import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAN = os.path.join(ROOT, "man")
SHELLS = ("bash", "zsh", "fish")


def output(argv):
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}: exit status {run.returncode}\n{run.stderr}")
    return run.stdout


def plain(page):
    """A man page as text without overstriking."""
    text = output(["mandoc", "-T", "ascii", "-O", "width=100", page])
    return re.sub(".\b", "", text)


def page_of(verb):
    return next(iter(glob.glob(os.path.join(MAN, f"pot-{verb}.[18]"))), os.path.join(MAN, f"pot-{verb}.8"))


def options_in(text):
    """Long options and letters that a page's own text documents, as written at the start of an item."""
    long_options = set(re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*)", text))
    letters = set(re.findall(r"(?<![\w-])-([A-Za-z])(?![\w-])", text))
    return long_options, letters


def check_verb(verb, global_options):
    page = page_of(verb["name"])
    if not os.path.exists(page):
        yield f"{os.path.relpath(page, ROOT)}: missing"
        return
    name = os.path.relpath(page, ROOT)
    text = plain(page)
    long_options, letters = options_in(text)
    known_long = {o["long"] for o in verb["options"] if o.get("long")} | global_options
    for option in verb["options"]:
        if option.get("long") and option["long"] not in long_options:
            yield f"{name}: --{option['long']} is missing"
        if option.get("short") and option["short"] not in letters:
            yield f"{name}: -{option['short']} is missing"
        if not option.get("text"):
            yield f"{verb['name']}: --{option.get('long')} has no text"
    for extra in sorted(long_options - known_long):
        # Options of other programs in examples have a verb's page of their own or are quoted there.
        if not re.search(rf"^\$.*--{extra}\b", text.replace("     ", ""), re.M):
            yield f"{name}: --{extra} is not in the table of verbs"
    for alias in verb.get("aliases", []):
        if alias not in text:
            yield f"{name}: the alias {alias} is missing"
    if "EXAMPLES" not in text:
        yield f"{name}: no EXAMPLES"
    if not verb.get("summary") or not verb.get("usage"):
        yield f"{verb['name']}: no summary or no usage"


def check_lint():
    for page in sorted(glob.glob(os.path.join(MAN, "*.[1-9]"))):
        run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True,
                             check=False)
        for line in (run.stdout + run.stderr).splitlines():
            # Every page of ours refers to others of ours, which this machine's manual does not have.
            if "cross reference" in line.lower() or "outdated mandoc.db" in line.lower():
                continue
            yield line


def check_completion(pot, verbs):
    for shell in SHELLS:
        text = output([pot, "completion", shell])
        for verb in verbs:
            for name in [verb["name"]] + verb.get("aliases", []):
                if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text):
                    yield f"completion {shell}: {name} is missing"
            for option in verb["options"]:
                # fish declares a long option with -l and without the dashes.
                written = f"-l {option['long']}" if shell == "fish" else f"--{option['long']}"
                if option.get("long") and written not in text:
                    yield f"completion {shell}: {verb['name']} --{option['long']} is missing"
        if shell == "bash":
            run = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
            if run.returncode != 0:
                yield f"completion bash: {run.stderr.strip()}"


def check_security():
    """Every test that docs/security.md names exists, and every attack test is named there."""
    with open(os.path.join(ROOT, "docs", "security.md"), encoding="utf-8") as f:
        named = set(re.findall(r"`(test_\w+)`", f.read()))
    there, attacks = set(), set()
    for path in glob.glob(os.path.join(ROOT, "tests", "**", "test_*.*"), recursive=True):
        with open(path, encoding="utf-8") as f:
            found = set(re.findall(r"^(?:def )?(test_\w+)\(", f.read(), re.M))
        there |= found
        if os.path.basename(path).startswith("test_attacks_"):
            attacks |= found
    for name in sorted(named - there):
        yield f"docs/security.md: there is no test {name}"
    for name in sorted(attacks - named):
        yield f"docs/security.md: the attack {name} is missing"


def main(args):
    pot = os.path.abspath(args[0] if args else os.path.join(ROOT, "build", "bin", "pot"))
    document = json.loads(output([pot, "--format", "json", "help"]))
    verbs = document["verbs"] if isinstance(document, dict) else document
    global_options = {"help"}
    if isinstance(document, dict):
        global_options |= {o["long"] for o in document.get("options", []) if o.get("long")}
    else:
        global_options |= {"root", "config", "format", "quiet", "verbose", "no-color"}

    problems = list(check_lint())
    for verb in verbs:
        problems += check_verb(verb, global_options)
    pages = {os.path.basename(p)[:-2] for p in glob.glob(os.path.join(MAN, "pot-*.[18]"))}
    names = {f"pot-{v['name']}" for v in verbs} | {"pot-registry", "pot-shim", "pot-unpack"}
    problems += [f"man/{page}: no such verb" for page in sorted(pages - names)]
    main_page = os.path.join(MAN, "pot.8")
    if os.path.exists(main_page):
        text = plain(main_page)
        problems += [f"man/pot.8: {v['name']} is missing" for v in verbs
                     if not re.search(rf"(?<![\w-]){re.escape(v['name'])}(?![\w-])", text)]
    else:
        problems.append("man/pot.8: missing")
    problems += check_completion(pot, verbs)
    problems += check_security()
    for problem in problems:
        print(problem)
    print(f"documentation: {len(verbs)} verbs, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
