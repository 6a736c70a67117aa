#!/usr/bin/env bash
# Shows what pot does, on this machine: the life of a pot; then an image that is
# built of a Potfile on a real Debian, signed, sent to a registry, and run by
# another node, and the same again after a change. Everything is removed again.
# Each command stands before its output. Any failure fails the demo; whatever
# happens, the host is left as it was, and the last line says so.
#
# There are four machines on one LAN, each a network namespace, so that no link,
# rule or setting of the real host is touched: two nodes with an installation
# each, a registry, and one that only looks. What fetches packages runs outside
# of them, because the mirrors are there.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $(id -u) -ne 0 ]]; then
	echo "demo: pots need root: sudo make demo" >&2
	exit 1
fi

tree=$PWD
scratch=$(mktemp -d /var/tmp/potdemo.XXXXXXXX)
export POT_ROOT=$scratch/node1
export PATH=$PWD/build/bin:$PATH
tools/host_state.py save "$scratch/before"

# shellcheck disable=SC2317 # called by the trap
leave() {
	status=$?
	trap - EXIT INT TERM
	cd "$tree"
	if [[ -n $registry_pid ]]; then
		kill "$registry_pid" 2>/dev/null || true
		wait "$registry_pid" 2>/dev/null || true
	fi
	for node in node1 node2; do
		if [[ -x build/bin/pot && -d $scratch/$node/pots ]]; then
			on "$node" pot -q --root "$scratch/$node" de-init -f || status=1
		fi
	done
	# Their namespaces and the links between them go with these.
	for holder in "${holders[@]}"; do
		kill "$holder" 2>/dev/null || true
		wait "$holder" 2>/dev/null || true
	done
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
declare -A holders=()
registry_pid=
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- the machines -----------------------------------------------------------------

# on MACHINE COMMAND…
on() {
	nsenter --net="/proc/${holders[$1]}/ns/net" "${@:2}"
}

# A network namespace that lives until this script kills its holder.
make_machine() {
	local ready
	exec {ready}< <(exec unshare -n sh -c 'ip link set lo up && echo && exec sleep infinity')
	holders[$1]=$!
	read -r -u "$ready"
	exec {ready}<&-
}

# Its card, plugged into the LAN: MACHINE ADDRESS…
plug_in() {
	local machine=$1 address
	on lan ip link add "to-$machine" type veth peer name eth0 netns "${holders[$machine]}"
	on lan ip link set "to-$machine" master switch up
	for address in "${@:2}"; do
		on "$machine" ip addr add "$address" dev eth0 nodad
	done
	on "$machine" ip link set eth0 up
	on "$machine" ip route add default via 192.0.2.9
}

# ---- showing -------------------------------------------------------------------------

# Prints a command as one would type it.
tell() {
	printf '\n%s %s\n' "$1" "${*:2}"
}

plain() {
	printf '%s ' "${@@Q}" | sed "s|$scratch/||g; s/'\([A-Za-z0-9@%+=:,./_-]*\)'/\1/g; s/ \$//"
}

# Prints a command and its output: on the first node,
show() {
	tell '$' "$(plain "$@")"
	on node1 "$@"
}

# on the other one,
show_node2() {
	tell 'node2$' "$(plain "$@")"
	POT_ROOT=$scratch/node2 on node2 "$@"
}

# on the machine that looks,
show_lan() {
	tell 'lan$' "$(plain "$@")"
	on lan "$@"
}

# and where the package mirrors are, with the first node's installation.
show_outside() {
	tell '$' "$(plain "$@")"
	"$@"
}

say() {
	printf '\n# %s\n' "$*"
}

make --no-print-directory release >"$scratch/build.log" 2>&1 || {
	cat "$scratch/build.log"
	exit 1
}
mkdir "$scratch/node1" "$scratch/node2"
for machine in lan node1 node2 registry; do
	make_machine "$machine"
done
on lan ip link add switch type bridge
on lan ip link set switch up
on lan ip addr add 192.0.2.9/24 dev switch
on lan ip addr add 2001:db8::9/64 dev switch nodad
plug_in node1 192.0.2.1/24 2001:db8::1/64
plug_in node2 192.0.2.2/24 2001:db8::2/64
plug_in registry 192.0.2.3/24
cp -R examples/nginx "$scratch/nginx"
cd "$scratch"
echo "pot $(pot version -q), built in build/bin/; this node's installation is POT_ROOT=$POT_ROOT"

say 'The life of a pot'
show pot init
show_outside pot create-base -r bookworm
show pot create -p web -b bookworm
show pot set-env -p web -E GREETING=hello
show pot set-cmd -p web -c 'sh -c "echo \$GREETING from \$(hostname); exec sleep infinity"'
show pot start web
show pot ps
show pot exec web cat /etc/debian_version
show pot exec -u nobody -w /tmp web sh -c 'id -un; pwd'
show pot top web
show pot stats --no-stream web
echo '<h1>It works</h1>' >index.html
show pot cp index.html web:/srv/index.html
show pot exec web cat /srv/index.html
show pot logs web
show pot stop web
show pot snapshot -p web -n before-upgrade
show pot clone -p web2 -P web
show pot set-cmd -p web2 -c 'sh -c "cat /srv/index.html; exit 3"'
tell '$' pot start --attach web2
status=0
on node1 pot start --attach web2 || status=$?
echo "(exit status $status)"
[[ $status -eq 3 ]]
show pot ps -a
show pot rollback -p web
show pot destroy web2
show pot destroy web

say 'An image, from a Potfile; apt asks the mirrors over the network of the host'
show cat nginx/Potfile
show_outside pot build --network host -t 192.0.2.3:5000/nginx:1 nginx
show pot images
show pot history 192.0.2.3:5000/nginx:1

say 'Signed, and sent to a registry on another machine'
openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=registry -addext subjectAltName=IP:192.0.2.3 \
	-keyout registry.key -out registry.pem 2>/dev/null
tell 'registry$' 'pot-registry serve --listen 192.0.2.3:5000 --data images --tls-cert registry.pem --tls-key registry.key &'
mkdir images
coproc registry { exec nsenter --net="/proc/${holders[registry]}/ns/net" pot-registry serve \
	--listen 192.0.2.3:5000 --data "$scratch/images" --tls-cert registry.pem --tls-key registry.key 2>&1; }
registry_pid=$!
read -r line <&"${registry[0]}"
echo "$line"
show pot keygen -n -p release.pub -s release.sec
show pot push --ca-file registry.pem --sign release.sec 192.0.2.3:5000/nginx:1

say 'The other node takes from there only what this key has signed'
show_node2 pot init
tell 'node2$' "echo '192.0.2.3:5000 require 1 $scratch/release.pub' >node2/policy.conf" | sed "s|$scratch/||g"
echo "192.0.2.3:5000 require 1 $scratch/release.pub" >node2/policy.conf
show_node2 pot verify --ca-file registry.pem 192.0.2.3:5000/nginx:1
show_node2 pot pull --ca-file registry.pem 192.0.2.3:5000/nginx:1
show_node2 pot run -d -p web --publish 8080:80 192.0.2.3:5000/nginx:1
show_node2 pot ps
# nginx may have begun only now.
show_lan curl -s --retry 20 --retry-connrefused http://192.0.2.2:8080/

say 'One file is changed: what comes before it is not done again, and only the new layer travels'
show sed -i 's/It works/It works, and is newer/' nginx/site/index.html
show_outside pot build --network host -t 192.0.2.3:5000/nginx:2 nginx
show pot push --ca-file registry.pem --sign release.sec 192.0.2.3:5000/nginx:2
show_node2 pot pull --ca-file registry.pem 192.0.2.3:5000/nginx:2
show_node2 pot destroy -F web
show_node2 pot run -d -p web --publish 8080:80 192.0.2.3:5000/nginx:2
show_lan curl -s --retry 20 --retry-connrefused http://192.0.2.2:8080/
show_node2 pot destroy -F web
show_node2 pot de-init

say 'Networks'
show pot create-private-bridge -B back -S 10
show pot create -p db -b bookworm -B back -S dual -c 'sleep infinity'
show pot create -p shop --image 192.0.2.3:5000/nginx:2 -B public -B back -S dual --publish 8080:80
show pot start db shop
show pot exec db getent hosts shop
show pot ps
show_lan curl -s --retry 20 --retry-connrefused http://192.0.2.1:8080/
show_lan curl -s 'http://[2001:db8::1]:8080/'
show curl -s http://127.0.0.1:8080/
show pot logs -n 3 shop
show pot list -B
show pot destroy -F shop db
show pot destroy -B back
show pot list -a
show pot de-init -f
cd /
echo
