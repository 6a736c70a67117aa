#!/usr/bin/env bash
# Shows a pot's life on this machine: builds pot, makes a Debian base and a
# pot from it in an installation of its own, and removes everything again.
# Each command stands before its output. Any failure fails the demo; whatever
# happens, the host is left as it was, and the last line says so.
#
# Networks are shown between two network namespaces: one is the host for pots,
# so that no link, rule or setting of the real one is touched, the other a
# machine on the host's LAN. Only what fetches packages runs outside of them.
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
		"${on_host[@]}" pot -q de-init -f || status=1
	fi
	# Their namespaces and the link between them go with these.
	kill "${holders[@]}" 2>/dev/null || true
	wait "${holders[@]}" 2>/dev/null || true
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
holders=()
on_host=()
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A network namespace that lives until this script kills its holder, last of ${holders[@]}.
make_network() {
	local ready
	exec {ready}< <(exec unshare -n sh -c 'ip link set lo up && echo && exec sleep infinity')
	holders+=("$!")
	read -r -u "$ready"
	exec {ready}<&-
}

# Prints a command as one would type it.
tell() {
	printf '\n%s %s\n' "$1" "${*:2}"
}

plain() {
	printf '%s ' "${@@Q}" | sed "s/'\([A-Za-z0-9@%+=:,./_-]*\)'/\1/g; s/ \$//"
}

# Prints a command and its output: on the host for pots,
show() {
	tell '$' "$(plain "$@")"
	"${on_host[@]}" "$@"
}

# on the other machine of its LAN,
show_lan() {
	tell 'lan$' "$(plain "$@")"
	"${on_lan[@]}" "$@"
}

# and where the package mirrors are.
show_outside() {
	tell '$' "$(plain "$@")"
	"$@"
}

make --no-print-directory release >"$scratch/build.log" 2>&1 || {
	cat "$scratch/build.log"
	exit 1
}
mkdir "$POT_ROOT"
make_network
on_host=(nsenter --net="/proc/${holders[0]}/ns/net")
make_network
on_lan=(nsenter --net="/proc/${holders[1]}/ns/net")
"${on_host[@]}" ip link add eth0 type veth peer name eth0 netns "${holders[1]}"
"${on_host[@]}" ip addr add 192.0.2.1/24 dev eth0
"${on_host[@]}" ip addr add 2001:db8::1/64 dev eth0 nodad
"${on_host[@]}" ip link set eth0 up
"${on_host[@]}" ip route add default via 192.0.2.2
"${on_lan[@]}" ip addr add 192.0.2.2/24 dev eth0
"${on_lan[@]}" ip addr add 2001:db8::2/64 dev eth0 nodad
"${on_lan[@]}" ip link set eth0 up
echo "pot $(pot version -q), built in build/bin/; the installation of this demo is POT_ROOT=$POT_ROOT"

show pot init
show_outside pot create-base -r bookworm --include nginx-light
show pot create -p web -b bookworm
show pot set-env -p web -E GREETING=hello
show pot set-cmd -p web -c 'sh -c "echo \$GREETING from \$(hostname); exec sleep infinity"'
show pot start web
show pot ps
show pot exec web cat /etc/debian_version
show pot exec -u nobody -w /tmp web sh -c 'id -un; pwd'
show pot top web
show pot stats --no-stream web
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
"${on_host[@]}" pot start --attach web2 || status=$?
echo "(exit status $status)"
[[ $status -eq 3 ]]
show pot ps -a
show pot rollback -p web
show pot destroy web2
show pot destroy web

show pot create-private-bridge -B back -S 10
show pot create -p db -b bookworm -B back -S dual -c 'sleep infinity'
show pot create -p shop -b bookworm -B public -B back -S dual --publish 8080:80 -c 'nginx -g "daemon off;"'
show pot start db shop
show pot exec db getent hosts shop
show pot cp "$scratch/index.html" shop:/var/www/html/index.html
show pot ps
# nginx may have begun only now.
show_lan curl -s --retry 20 --retry-connrefused http://192.0.2.1:8080/
show_lan curl -s 'http://[2001:db8::1]:8080/'
show curl -s http://127.0.0.1:8080/
show pot exec shop cat /var/log/nginx/access.log
show pot list -B
show pot destroy -F shop db
show pot destroy -B back
show pot list -a
show pot de-init
echo
