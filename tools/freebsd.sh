#!/bin/sh
# Cross-links every program, whole, for FreeBSD 14.3 and 15.0 on amd64, and
# compiles every source for aarch64. The libraries that the targets lack come
# from tools/freebsd-sysroot.sh; FREEBSD_TARGETS chooses ("14.3" while working).
# Afterwards each program is looked at: an amd64 FreeBSD program with FreeBSD's
# interpreter, that needs nothing but what a FreeBSD has in its base system.
set -eu
cd "$(dirname "$0")/.."

targets=${FREEBSD_TARGETS-14.3 15.0 aarch64}
jobs=${JOBS-$(nproc)}
cache=$PWD/build/cache/freebsd

tools/freebsd-sysroot.sh

# cross_file ARCH RELEASE
cross_file() {
	cat <<END
[binaries]
c = '$cache/bin/$1-freebsd.$2-cc'
ar = '$cache/bin/ar'
ranlib = '$cache/bin/ranlib'
strip = '/bin/true'
pkgconfig = 'pkg-config'
[properties]
pkg_config_libdir = '$cache/sysroot/lib/pkgconfig'
needs_exe_wrapper = true
[built-in options]
c_args = ['-isystem', '$cache/sysroot/include', '-Wno-missing-format-attribute']
c_link_args = ['-L$cache/sysroot/lib']
prefer_static = true
b_pie = true
[host_machine]
system = 'freebsd'
cpu_family = '$1'
cpu = '$1'
endian = 'little'
END
}

# setup DIRECTORY ARCH RELEASE
setup() {
	mkdir -p "$1"
	cross_file "$2" "$3" >"$1.cross.new"
	if ! cmp -s "$1.cross.new" "$1.cross"; then
		rm -rf "$1"
		mv "$1.cross.new" "$1.cross"
	fi
	rm -f "$1.cross.new"
	[ -f "$1/build.ninja" ] || meson setup "$1" --cross-file "$1.cross" -Doptimization=1 -Ddebug=false \
		-Dwerror=true >"$1.log" 2>&1 || { tail -n 30 "$1.log" >&2; exit 1; }
}

# What a FreeBSD has without any package.
is_base_library() {
	case $1 in
	libc.so.* | libm.so.* | libthr.so.* | libutil.so.* | libsys.so.* | libexecinfo.so.* | librt.so.* | libdl.so.* | libgcc_s.so.*) ;;
	*) return 1 ;;
	esac
}

look_at() {
	program=$1
	head=$(readelf -lnd "$program")
	case $head in
	*"interpreter: /libexec/ld-elf.so.1"*FreeBSD*) ;;
	*)
		echo "freebsd: $program is no program for FreeBSD" >&2
		exit 1
		;;
	esac
	for lib in $(echo "$head" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		is_base_library "$lib" || {
			echo "freebsd: $program needs $lib, which no FreeBSD brings" >&2
			exit 1
		}
	done
}

for target in $targets; do
	case $target in
	aarch64)
		# Static libraries of all of it; the sysroot's are amd64's, so nothing is linked.
		setup build/freebsd/aarch64 aarch64 14.3
		objects=$(ninja -C build/freebsd/aarch64 -t targets all | sed -n 's/^\(.*\.c\.o\): .*/\1/p')
		# shellcheck disable=SC2086
		ninja -C build/freebsd/aarch64 -j "$jobs" --quiet $objects
		echo "freebsd: $(echo "$objects" | wc -l) sources compile for aarch64"
		;;
	*)
		setup "build/freebsd/$target" x86_64 "$target"
		ninja -C "build/freebsd/$target" -j "$jobs" --quiet
		n=0
		for program in $(find "build/freebsd/$target" -type f -perm -u+x ! -name '*.so' ! -path '*/meson-*'); do
			look_at "$program"
			n=$((n + 1))
		done
		echo "freebsd: $n programs link for $target"
		;;
	esac
done
