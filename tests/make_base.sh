#!/bin/sh
# Makes a Debian bookworm root as a tarball, once, and prints where it is:
# what the tests unpack with create-base --from instead of each asking a mirror.
# nginx is in it, for a real server in a pot.
#
#   make_base.sh      $POT_TEST_CACHE/bookworm-nginx.tar, or ~/.cache/pot-test/bookworm-nginx.tar
set -eu

cache=${POT_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pot-test}
tarball=$cache/bookworm-nginx.tar

mkdir -p "$cache"
# One at a time; the lock goes with this process.
exec 9>"$cache/lock"
flock 9
if [ ! -s "$tarball" ]; then
	work=$cache/work
	rm -rf "$work"
	mkdir "$work"
	# Mounts and processes of a killed run go with their namespaces.
	TMPDIR=$work unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
		mmdebstrap --mode=root --variant=minbase --include=nginx-light --format=tar bookworm "$tarball.part" \
		>"$cache/log" 2>&1 9>&- || {
		cat "$cache/log" >&2
		rm -rf "$work" "$tarball.part"
		exit 1
	}
	mv "$tarball.part" "$tarball"
	rm -rf "$work" "$cache/log"
fi
echo "$tarball"
