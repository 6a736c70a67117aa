"""FreeBSD's rc scripts, with rc.subr and pot played: order, and that the boot is not held up."""

import os
import subprocess

import pytest

import lab

RC = os.path.join(lab.TREE, "packaging", "freebsd", "rc.d")
SUBR = """load_rc_config() { :; }
run_rc_command() { eval "cmd=\\$${1}_cmd"; ${cmd:-echo} ; [ -z "$command" ] || echo "$start_precmd|$command $command_args"; }
logger() { cat >>"$LOGGED"; }
"""
POT = """#!/bin/sh
case $1 in
list) printf 'a\\nb\\nc\\nd\\n' ;;
ps) printf 'a\\nc\\n' ;;
get-attribute) case $4-$6 in b-start-at-boot | c-start-at-boot | d-early-start-at-boot) echo YES ;; *) echo NO ;; esac ;;
start) echo "started $2"; [ "$2" != "$SLOW" ] || cat "$FIFO" ;;
stop) echo "stopped $4 $3" ;;
esac
"""


@pytest.fixture
def play(tmp_path):
    (tmp_path / "rc.subr").write_text(SUBR)
    program = tmp_path / "program"
    program.write_text(POT)
    program.chmod(0o755)
    os.mkfifo(tmp_path / "fifo")

    def run(script, word, **settings):
        with open(os.path.join(RC, script), encoding="ascii") as f:
            text = f.read().replace(". /etc/rc.subr", f". {tmp_path}/rc.subr")
        (tmp_path / script).write_text(text)
        env = dict(os.environ, LOGGED=str(tmp_path / "logged"), FIFO=str(tmp_path / "fifo"), pot_program=str(program), **settings)
        return subprocess.run(["sh", str(tmp_path / script), word], env=env, check=True, capture_output=True, text=True,
                              timeout=lab.HANG).stdout

    return run


def test_boot(play, tmp_path):
    """Pots start in order: those named first, early ones, the others, each once; a slow one holds nothing up."""
    assert play("pot", "start", pot_first="c", SLOW="d") == "Starting pots in the background.\n"
    # It hangs on this until we write.
    (tmp_path / "fifo").write_text("")
    lab.wait_until(lambda: (tmp_path / "logged").exists() and "b" in (tmp_path / "logged").read_text(), "the last start")
    assert (tmp_path / "logged").read_text() == "started c\nstarted d\nstarted b\n"


def test_shutdown(play):
    """Running pots are stopped at once, with the time that they have."""
    out = play("pot", "stop", pot_stop_time="7")
    assert out.startswith("Stopping pots.\n") and sorted(out.split("\n")[1:3]) == ["stopped a 7", "stopped c 7"]


def test_registry(play):
    """The registry's options reach it, not daemon(8), which becomes its user."""
    out = play("pot_registry", "start", pot_registry_flags="--listen [::]:5000", pot_registry_user="reg")
    assert "pot_registry_prepare|/usr/sbin/daemon -f -r" in out
    assert "-u reg " in out and out.rstrip().endswith("serve --data /var/db/pot-registry --listen [::]:5000")
