#!/bin/bash
# Two ZFS pools in files, for tests.
#
#   prepare_zfs.sh up DIR               make them; their names are in DIR/pool and DIR/small-pool
#   prepare_zfs.sh run DIR COMMAND...   run a command where zfs works and their mounts are seen
#   prepare_zfs.sh down DIR             take everything away again, DIR included
#
# With OpenZFS in the kernel that is all. Else zfs-fuse is started, in a mount
# namespace of its own where it has its own /run/zfs, /run/lock and
# /var/lib/zfs, so that several do not meet and its mounts go with it; what
# uses it must be started by `run`. Needs root.
set -eu

# Only the mount point /run/zfs must be outside. Its users hold it by a shared
# lock, the daemon as long as it lives; the last one down removes it.
hold_run_dir() {
	while :; do
		mkdir -p /run/zfs
		exec 9</run/zfs || continue
		flock -s 9
		[ /proc/self/fd/9 -ef /run/zfs ] && return
	done
}

release_run_dir() {
	[ -d /run/zfs ] || return 0
	exec 9</run/zfs
	if flock -n -x 9; then rmdir /run/zfs 2>/dev/null || :; fi
	exec 9<&-
}

start_daemon() {
	local try
	hold_run_dir
	# Shared inside, as on most systems: an unmount reaches the namespaces of programs that pot runs.
	setsid unshare -m --propagation slave sh -euc '
		mount --make-rshared /
		mount -t tmpfs -o mode=755,size=1m zfs-test /run/zfs
		mount -t tmpfs -o mode=1777,size=1m zfs-test /run/lock
		mount -t tmpfs -o mode=755,size=1m zfs-test /var/lib/zfs
		cd / && exec zfs-fuse --no-daemon --no-kstat-mount --enable-xattr
	' </dev/null >"$dir/daemon.log" 2>&1 &
	echo $! >"$dir/daemon.pid"
	exec 9<&-
	for try in $(seq 200); do
		if inside zpool list >/dev/null 2>&1; then return; fi
		kill -0 "$(cat "$dir/daemon.pid")" || break
		sleep 0.05
	done
	cat "$dir/daemon.log" >&2
	return 1
}

stop_daemon() {
	local pid try
	pid=$(cat "$dir/daemon.pid")
	kill "$pid" 2>/dev/null || :
	for try in $(seq 300); do
		[ -d "/proc/$pid" ] || break
		if [ "$try" = 200 ]; then kill -9 "$pid" || :; fi
		sleep 0.05
	done
	[ ! -d "/proc/$pid" ]
}

inside() {
	if [ -f "$dir/daemon.pid" ]; then
		nsenter -m -t "$(cat "$dir/daemon.pid")" -- "$@"
	else
		"$@"
	fi
}

one() { # FILE SIZE POOL
	truncate -s "$2" "$dir/$1.img"
	inside zpool create -m none "$3" "$dir/$1.img" >>"$dir/daemon.log" 2>&1 || {
		cat "$dir/daemon.log" >&2
		return 1
	}
	echo "$3" >"$dir/$1"
}

down() {
	local name
	[ -d "$dir" ] || return 0
	for name in small-pool pool; do
		[ ! -f "$dir/$name" ] || inside zpool destroy -f "$(cat "$dir/$name")" || :
	done
	[ ! -f "$dir/daemon.pid" ] || stop_daemon
	rm -f "$dir"/pool "$dir"/small-pool "$dir"/*.img "$dir"/daemon.log
	if [ -f "$dir/daemon.pid" ]; then
		rm "$dir/daemon.pid"
		release_run_dir
	fi
	# What a test left in it goes too, but nothing that is mounted.
	rm -rf --one-file-system "${dir:?}"
}

verb=${1:?up, run or down} dir=${2:?a directory}
shift 2
case $verb in
up)
	mkdir -p "$dir"
	dir=$(realpath "$dir")
	trap '[ $? -eq 0 ] || down' EXIT
	[ -e /dev/zfs ] || start_daemon
	one pool 4G "pot-test-$$"
	one small-pool 192M "pot-test-small-$$"
	;;
run)
	if [ -f "$dir/daemon.pid" ]; then
		exec nsenter -m -t "$(cat "$dir/daemon.pid")" -- "$@"
	fi
	exec "$@"
	;;
down) down ;;
*) echo "usage: $0 up|run|down DIR" >&2; exit 2 ;;
esac
