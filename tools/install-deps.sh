#!/bin/sh
# Installs the Debian packages that building, the demo, the tests or the
# benchmarks need. Asks dpkg first, so that it is quick and works offline when
# everything is there. Starts nothing: a daemon that a package starts by itself
# is stopped and disabled again.
#
#   install-deps.sh build|demo|test|bench
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)

build="gcc libc6-dev make meson ninja-build pkg-config libconfuse-dev libjansson-dev libarchive-dev libseccomp-dev zlib1g-dev
	libcmocka-dev libcurl4-openssl-dev libnftables-dev libssl-dev libsqlite3-dev libmicrohttpd-dev libargon2-dev liblzma-dev libzstd-dev
	libcrypt-dev musl-tools libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler libmsgpack-dev"
demo="mmdebstrap debian-archive-keyring ca-certificates util-linux iproute2 curl"
test="clang clang-format libclang-rt-14-dev llvm zfs-fuse btrfs-progs e2fsprogs busybox-static python3-pytest
	python3-pip mandoc xz-utils zstd strace iproute2 nftables iptables procps curl bind9-dnsutils
	python3-grpcio python3-grpc-tools python3-hpack docker-registry openssl skopeo umoci podman buildah signify-openbsd shellcheck
	dpkg-dev autoconf automake libtool flex tcl perl"
bench="wrk nginx-light docker-registry hyperfine crun runc podman systemd-container busybox-static strace iproute2 nftables iperf3"

set_name=${1-build}
case $set_name in
build) packages=$build ;;
demo) packages="$build $demo" ;;
test) packages="$build $demo $test" ;;
bench) packages="$build $demo $bench" ;;
*)
	echo "usage: ${0##*/} build|demo|test|bench" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "${0##*/}: not a Debian system: install yourself what these packages hold:" $packages >&2
	exit 0
fi

# A package that another one provides (pkgconf for pkg-config) counts.
is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ||
		dpkg-query -W -f '${db:Status-Status} ${Provides}\n' 2>/dev/null |
		grep -qE "^installed (.*, )?$1( |,|\$)"
}

missing=
for p in $packages; do
	is_installed "$p" || missing="$missing $p"
done

if [ -n "$missing" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "${0##*/}: missing:$missing (run as root: sudo tools/${0##*/} $set_name)" >&2
		exit 1
	fi
	echo "installing:$missing"
	DEBIAN_FRONTEND=noninteractive
	export DEBIAN_FRONTEND
	zfs_was=$(pidof zfs-fuse || true)
	log=$(mktemp)
	# Old package lists name versions that the mirrors no longer have: try, update, try again.
	install() {
		# shellcheck disable=SC2086
		apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1
	}
	install || { apt-get update -q >"$log" 2>&1 && install; } || {
		cat "$log" >&2
		rm -f "$log"
		exit 1
	}
	rm -f "$log"
	case " $missing " in
	*" docker-registry "*)
		service docker-registry stop >/dev/null 2>&1 || true
		update-rc.d docker-registry disable >/dev/null 2>&1 || true
		;;
	esac
	case " $missing " in
	*" zfs-fuse "*)
		# The tests run their own daemon on their own pool; nobody asked for one on the host.
		if [ -z "$zfs_was" ]; then
			service zfs-fuse stop >/dev/null 2>&1 || true
			update-rc.d zfs-fuse disable >/dev/null 2>&1 || true
			pid=$(pidof zfs-fuse || true)
			if [ -n "$pid" ]; then
				kill $pid
				timeout 60 tail --pid="${pid%% *}" -f /dev/null
			fi
			rm -f /run/zfs/zfs_socket
			rmdir /run/zfs 2>/dev/null || true
		fi
		;;
	esac
fi

# The cross compiler for FreeBSD has no Debian package.
if [ "$set_name" = test ] && ! python3 -c 'import ziglang' 2>/dev/null &&
    [ ! -d "$here/build/cache/ziglang/ziglang" ]; then
	echo "installing: ziglang (into build/cache)"
	/usr/bin/python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore \
		--target "$here/build/cache/ziglang" ziglang
fi
