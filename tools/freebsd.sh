#!/bin/sh
# Compiles for FreeBSD every source that is not Linux's: proves that what
# stands outside linux/ folders leans on nothing of Linux. Objects go to
# build/freebsd; nothing is linked (libconfuse and friends are not in the cross
# compiler's system, so their headers are taken from here).
set -eu
cd "$(dirname "$0")/.."

target=${FREEBSD_TARGET-x86_64-freebsd.14.3}
out=build/freebsd
python=
for p in python3 /usr/bin/python3; do
	if $p -c 'import ziglang' 2>/dev/null; then
		python=$p
		break
	fi
done
if [ -z "$python" ] && [ -d build/cache/ziglang/ziglang ]; then
	PYTHONPATH=$PWD/build/cache/ziglang
	export PYTHONPATH
	python=/usr/bin/python3
fi
if [ -z "$python" ]; then
	echo "freebsd: the cross compiler is missing (tools/install-deps.sh test)" >&2
	exit 1
fi

rm -rf "$out/include" "$out/src"
mkdir -p "$out/include" "$out/src"
for h in confuse.h jansson.h jansson_config.h archive.h archive_entry.h zlib.h zconf.h \
    sqlite3.h microhttpd.h argon2.h zstd.h zstd_errors.h lzma.h lzma gnutls nghttp2 protobuf-c msgpack msgpack.h; do
	for d in /usr/include /usr/include/*-linux-gnu; do
		[ ! -e "$d/$h" ] || cp -R "$d/$h" "$out/include/"
	done
done
mkdir -p "$out/include/openssl" "$out/include/curl"
for d in /usr/include/openssl /usr/include/*-linux-gnu/openssl; do
	[ ! -d "$d" ] || cp "$d"/*.h "$out/include/openssl/"
done
for d in /usr/include/curl /usr/include/*-linux-gnu/curl; do
	[ ! -d "$d" ] || cp "$d"/*.h "$out/include/curl/"
done

protoc-c --proto_path=src/nomad/proto --c_out="$out/include" src/nomad/proto/*.proto

ZIG_GLOBAL_CACHE_DIR=$PWD/build/cache/zig
ZIG_LOCAL_CACHE_DIR=$PWD/build/cache/zig
export ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR python target out

find src -name '*.c' ! -path '*/linux/*' ! -path '*/fake/*' | sort >"$out/sources"
echo "$(wc -l <"$out/sources") sources for $target"
# The same warnings as meson.build's; definitions as of a debug build.
xargs -P "$(nproc)" -n 1 sh -c '
	o=$out/$(echo "${1%.c}" | tr / _).o
	exec $python -m ziglang cc -target "$target" -std=gnu11 -c -O1 -Wall -Wextra -Wshadow -Wstrict-prototypes \
	    -Wmissing-prototypes -Wformat=2 -Wvla -Wno-unused-parameter -Wno-missing-field-initializers \
	    -Wno-sign-compare -Wno-missing-format-attribute -Werror -fno-strict-aliasing -D_GNU_SOURCE \
	    -DPOT_FAULTS -DREGISTRY_VERSION=\"0\" -DPOT_LIBEXEC=\"/usr/local/libexec/pot\" -DPOT_BINDIR=\"/usr/local/bin\" \
	    -Iinclude -Isrc -idirafter "$out/include" -o "$o" "$1"
' compile <"$out/sources"
echo "freebsd: all compile"
