#!/usr/bin/env bash
# Shows a pot's life on this machine: builds pot, makes a Debian base and a
# pot from it in an installation of its own, and removes everything again.
# Each command stands before its output. Any failure fails the demo; whatever
# happens, the host is left as it was, and the last line says so.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $(id -u) -ne 0 ]]; then
	echo "demo: pots need root: sudo make demo" >&2
	exit 1
fi

scratch=$(mktemp -d /var/tmp/potdemo.XXXXXXXX)
export POT_ROOT=$scratch/root
export PATH=$PWD/build/bin:$PATH
tools/host_state.py save "$scratch/before"

# shellcheck disable=SC2317 # called by the trap
leave() {
	status=$?
	trap - EXIT INT TERM
	if [[ -x build/bin/pot && -d $POT_ROOT ]]; then
		pot -q de-init -f || status=1
	fi
	cp "$scratch/before" "$scratch.before"
	rm -rf --one-file-system "$scratch"
	tools/host_state.py check "$scratch.before" || status=1
	rm -f "$scratch.before"
	if [[ -n ${SUDO_UID-} ]]; then
		chown -R -h "$SUDO_UID:${SUDO_GID-$SUDO_UID}" build
	fi
	if [[ $status -eq 0 ]]; then
		echo "demo: done"
	else
		echo "demo: FAILED" >&2
	fi
	exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints a command as one would type it, then its output.
show() {
	printf '\n$ %s\n' "${*@Q}" | sed "s/'\([A-Za-z0-9@%+=:,./_-]*\)'/\1/g"
	"$@"
}

make --no-print-directory release >"$scratch/build.log" 2>&1 || {
	cat "$scratch/build.log"
	exit 1
}
mkdir "$POT_ROOT"
echo "pot $(pot version -q), built in build/bin/; the installation of this demo is POT_ROOT=$POT_ROOT"

show pot init
show pot create-base -r bookworm
show pot create -p web -b bookworm
show pot set-env -p web -E GREETING=hello
show pot set-cmd -p web -c 'sh -c "echo \$GREETING from \$(hostname); exec sleep infinity"'
show pot start web
show pot ps
show pot exec web cat /etc/debian_version
show pot exec -u nobody -w /tmp web sh -c 'id -un; pwd'
show pot top web
echo '<h1>It works</h1>' >"$scratch/index.html"
show pot cp "$scratch/index.html" web:/srv/index.html
show pot exec web cat /srv/index.html
show pot logs web
show pot stop web
show pot snapshot -p web -n before-upgrade
show pot clone -p web2 -P web
show pot set-cmd -p web2 -c 'sh -c "cat /srv/index.html; exit 3"'
printf '\n$ pot start --attach web2\n'
status=0
pot start --attach web2 || status=$?
echo "(exit status $status)"
[[ $status -eq 3 ]]
show pot ps -a
show pot rollback -p web
show pot destroy web2
show pot destroy web
show pot list -a
show pot de-init
echo
