#!/bin/sh
# Cross-builds the libraries that pot links and FreeBSD does not bring in a
# form that the cross compiler has, from their Debian source packages, as
# static libraries for amd64. Makes build/cache/freebsd: `sysroot` (include,
# lib, lib/pkgconfig), `bin` (the compiler under the names that makefiles
# expect), `done` (one file for each package that is in). What is done is not
# done again; a change of a line of the table rebuilds that package and those
# after it. Needs root only where packages of the host are missing.
set -eu
self=$(readlink -f "$0")
cd "$(dirname "$0")/.."

# FreeBSD's oldest supported release here: what is built for it links for later ones too.
target=x86_64-freebsd.14.3
host=x86_64-unknown-freebsd14.3
jobs=${JOBS-2}
cache=$PWD/build/cache/freebsd
sysroot=$cache/sysroot

# Name and version of each source package, in the order of building. Where the
# archive has only a later Debian revision of the same upstream version (a
# security update), that is taken.
packages="
zlib 1:1.2.13.dfsg-1
libzstd 1.5.4+dfsg2-5
xz-utils 5.4.1-1+deb12u1
jansson 2.14-2
libconfuse 3.3-4
cryptsetup 2:2.6.1-4~deb12u2
libxcrypt 1:4.4.33-2
sqlite3 3.40.1-2+deb12u2
gmp 2:6.2.1+dfsg1-1.1
nettle 3.8.1-2
gnutls28 3.7.9-2+deb12u7
libmicrohttpd 0.9.75-6
openssl 3.0.20-1~deb12u2
curl 7.88.1-10+deb12u15
nghttp2 1.52.0-1+deb12u3
protobuf-c 1.4.1-1
msgpack-c 4.0.0-3
bzip2 1.0.8-5
libarchive 3.6.2-1+deb12u5
"

# The archive or the way to it is at fault, not what is built: EX_TEMPFAIL.
unfetched() {
	echo "freebsd-sysroot: $*" >&2
	exit 75
}

die() {
	echo "freebsd-sysroot: $*" >&2
	exit 1
}

# ---- the compiler

find_compiler() {
	for python in python3 /usr/bin/python3; do
		if $python -c 'import ziglang' 2>/dev/null; then
			python_path=
			return
		fi
	done
	python=/usr/bin/python3
	python_path=$PWD/build/cache/ziglang
	[ -d "$python_path/ziglang" ] || die "the cross compiler is missing (tools/install-deps.sh test)"
}

# One name for each tool: configure scripts and makefiles want a word.
make_tools() {
	zig=$(PYTHONPATH=$python_path $python -c 'import os, ziglang; print(os.path.dirname(ziglang.__file__))')/zig
	mkdir -p "$cache/bin" "$PWD/build/cache/zig"
	for arch in x86_64-freebsd.14.3 x86_64-freebsd.15.0 aarch64-freebsd.14.3; do
		tool "$arch-cc" cc -target "$arch"
	done
	ln -sf "$target-cc" "$cache/bin/cc"
	tool ar ar
	tool ranlib ranlib
}

tool() {
	name=$1
	shift
	cat >"$cache/bin/$name.new" <<END
#!/bin/sh
ZIG_GLOBAL_CACHE_DIR=$PWD/build/cache/zig
ZIG_LOCAL_CACHE_DIR=$PWD/build/cache/zig
export ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR
# Meson asks the linker who it is, and does not know its newer answer.
case " \$* " in *" -Wl,--version "*) echo "LLD 19.1.0 (compatible with GNU linkers)"; exit 0 ;; esac
exec $zig $* "\$@"
END
	chmod 755 "$cache/bin/$name.new"
	mv "$cache/bin/$name.new" "$cache/bin/$name"
}

# ---- the source packages

# The host's own package sources, asked for sources, with lists of their own; the next
# release beside, for what the first no longer hands out.
apt_private() {
	apt_dir=$cache/apt
	mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
	: >"$apt_dir/sources.list"
	: >"$apt_dir/debian.sources"
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -f "$f" ] || sed -n 's/^deb[[:space:]]/deb-src /p' "$f" | grep -i debian |
			sed 'p; s/ bookworm / trixie /' >>"$apt_dir/sources.list" || :
	done
	for f in /etc/apt/sources.list.d/*.sources; do
		[ -f "$f" ] && grep -qi 'URIs:.*debian' "$f" || continue
		awk '/^Types:/ { $0 = "Types: deb-src" }
			/^Suites:/ { for (i = 2; i <= NF; i++) if ($i == "bookworm") $i = "bookworm trixie" }
			{ print } END { print "" }' "$f" >>"$apt_dir/debian.sources"
	done
	mkdir -p "$apt_dir/parts"
	cp "$apt_dir/debian.sources" "$apt_dir/parts/debian.sources"
	cat >"$apt_dir/apt.conf" <<END
Dir::Etc::sourcelist "$apt_dir/sources.list";
Dir::Etc::sourceparts "$apt_dir/parts";
Dir::State::lists "$apt_dir/lists";
Dir::Cache "$apt_dir/cache";
END
	APT_CONFIG=$apt_dir/apt.conf
	export APT_CONFIG
}

# fetch NAME VERSION: unpacked and patched as Debian has it, in $cache/src/NAME.
fetch() {
	rm -rf "$cache/src/$1" "$cache/src/$1.tmp"
	mkdir -p "$cache/src/$1.tmp"
	version=$2
	if ! apt-cache showsrc "$1" 2>/dev/null | grep -qxF "Version: $version"; then
		[ -n "${lists_new-}" ] || apt-get update -q >"$cache/apt.log" 2>&1 || :
		lists_new=yes
	fi
	if ! apt-cache showsrc "$1" 2>/dev/null | grep -qxF "Version: $version"; then
		version=$(apt-cache showsrc "$1" 2>/dev/null | sed -n 's/^Version: //p' | grep -F -- "${2%-*}-" | sort -V | tail -n 1)
		[ -n "$version" ] || unfetched "the package archive has no source of $1 ${2%-*}"
		echo "freebsd-sysroot: $1 $2 is no longer there: $version"
	fi
	(cd "$cache/src/$1.tmp" && apt-get source -q --only-source "$1=$version" >"$cache/$1.log" 2>&1) ||
		{ tail -n 20 "$cache/$1.log" >&2; unfetched "cannot get the source of $1 $version"; }
	for d in "$cache/src/$1.tmp"/*/; do
		mv "$d" "$cache/src/$1"
	done
	rm -rf "$cache/src/$1.tmp"
}

# ---- how each is built: in its source directory, with PATH, CC and so on set

# Only what is named is compiled: the makefiles of small libraries know no cross compiler.
archive() {
	lib=$1
	flags=$2
	shift 2
	rm -rf obj
	mkdir obj
	for c in "$@"; do
		echo "$c"
	done | xargs -P "$jobs" -n 1 sh -c 'exec $0 -c -O2 -fPIC '"$flags"' -o obj/$(echo "$1" | tr / _).o "$1"' "$CC"
	"$AR" rcs "$sysroot/lib/lib$lib.a" obj/*.o
}

# pc NAME VERSION LIBS [REQUIRES]
pc() {
	cat >"$sysroot/lib/pkgconfig/$1.pc" <<END
prefix=$sysroot
Name: $1
Description: $1
Version: $2
Cflags: -I$sysroot/include
Libs: -L$sysroot/lib $3
Requires.private: ${4-}
END
}

# What the release made stands, whatever a patch of Debian's did to the times of files.
configure() {
	for f in aclocal.m4 configure config.h.in lib/config.h.in; do
		[ ! -e "$f" ] || touch "$f"
	done
	find . -name Makefile.in -exec touch {} +
	find . -name '*.1' -o -name '*.info' | xargs -r touch
	./configure --host=$host --prefix="$sysroot" --disable-shared --enable-static "$@"
}

build_zlib() {
	archive z "-DHAVE_UNISTD_H -DHAVE_STDARG_H" adler32.c compress.c crc32.c deflate.c gzclose.c gzlib.c gzread.c \
		gzwrite.c infback.c inffast.c inflate.c inftrees.c trees.c uncompr.c zutil.c
	cp zlib.h zconf.h "$sysroot/include/"
	pc zlib 1.2.13 -lz
}

build_libzstd() {
	archive zstd "-DZSTD_MULTITHREAD -DZSTD_DISABLE_ASM -Ilib -Ilib/common" lib/common/*.c lib/compress/*.c \
		lib/decompress/*.c lib/dictBuilder/*.c
	cp lib/zstd.h lib/zdict.h lib/zstd_errors.h "$sysroot/include/"
	pc libzstd 1.5.4 "-lzstd -pthread"
}

build_xz_utils() {
	configure --disable-xz --disable-xzdec --disable-lzmadec --disable-lzmainfo --disable-scripts --disable-doc \
		--disable-nls --enable-threads=posix
	make -j "$jobs" -C src/liblzma install
}

build_jansson() {
	# As configure would say it; the package comes without one.
	sed -e 's/@json_inline@/inline/; s/@json_have_long_long@/1/; s/@json_have_localeconv@/1/' \
		-e 's/@json_have_atomic_builtins@/1/; s/@json_have_sync_builtins@/1/' \
		src/jansson_config.h.in >src/jansson_config.h
	: >src/jansson_private_config.h
	archive jansson "-Isrc -DHAVE_STDINT_H -DHAVE_INTTYPES_H -DHAVE_LOCALE_H -DHAVE_LOCALECONV -DHAVE_UNISTD_H \
		-DHAVE_FCNTL_H -DHAVE_SCHED_H -DHAVE_SCHED_YIELD -DHAVE_SYS_PARAM_H -DHAVE_SYS_STAT_H -DHAVE_SYS_TIME_H \
		-DHAVE_SYS_TYPES_H -DHAVE_CLOSE -DHAVE_GETPID -DHAVE_GETTIMEOFDAY -DHAVE_OPEN -DHAVE_READ -DHAVE_STRTOLL \
		-DUSE_URANDOM -DINITIAL_HASHTABLE_ORDER=3 -DHAVE_ATOMIC_BUILTINS -DHAVE_SYNC_BUILTINS" src/*.c
	cp src/jansson.h src/jansson_config.h "$sysroot/include/"
	pc jansson 2.14 -ljansson
}

build_libconfuse() {
	(cd src && flex -Pcfg_yy -olexer.c lexer.l)
	archive confuse "-Isrc -D_GNU_SOURCE -DBUILDING_DLL -DPACKAGE_VERSION=\\\"3.3\\\" -DPACKAGE_STRING=\\\"libConfuse_3.3\\\" \
		-DHAVE_STRINGS_H -DHAVE_STRING_H -DHAVE_UNISTD_H -DHAVE_SYS_STAT_H -DHAVE_FMEMOPEN -DHAVE_REALLOCARRAY \
		-DHAVE_STRDUP -DHAVE_STRNDUP -DHAVE_STRCASECMP" src/confuse.c src/lexer.c
	cp src/confuse.h "$sysroot/include/"
	pc libconfuse 3.3 -lconfuse
}

build_libxcrypt() {
	# In the place of FreeBSD's own libcrypt, which the cross compiler does not bring.
	autoreconf -fi
	configure --enable-hashes=strong --disable-werror --disable-obsolete-api --disable-failure-tokens
	make -j "$jobs" libcrypt.la
	cp .libs/libcrypt.a "$sysroot/lib/"
}

build_cryptsetup() {
	# Only the reference code of Argon2 that it brings.
	cd lib/crypto_backend/argon2
	archive argon2 -I. argon2.c core.c blake2/blake2b.c thread.c encoding.c ref.c
	cp argon2.h "$sysroot/include/"
	pc libargon2 20171227 "-largon2 -pthread"
}

build_sqlite3() {
	mkdir -p build
	cd build
	# The one big source is made by programs of this machine.
	(
		PATH=${PATH#*:}
		unset CC AR RANLIB CFLAGS CPPFLAGS LDFLAGS
		../configure --disable-tcl --disable-readline
		make sqlite3.c
	)
	archive sqlite3 "-DSQLITE_THREADSAFE=1 -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_UNLOCK_NOTIFY" sqlite3.c
	cp sqlite3.h "$sysroot/include/"
	pc sqlite3 3.40.1 "-lsqlite3 -lm -pthread"
}

build_gmp() {
	mkdir -p doc
	echo 'all install:' >doc/Makefile.in
	CC_FOR_BUILD=gcc configure --disable-assembly --disable-cxx --with-pic
	make -j "$jobs"
	make install
}

build_nettle() {
	CC_FOR_BUILD=gcc configure --disable-assembler --disable-documentation --disable-openssl --libdir="$sysroot/lib"
	make -j "$jobs" libnettle.a libhogweed.a
	make install-headers install-static install-pkgconfig
}

build_gnutls28() {
	configure --with-included-libtasn1 --with-included-unistring --without-p11-kit --without-idn --without-tpm \
		--without-tpm2 --without-brotli --without-zstd --disable-doc --disable-tools --disable-tests --disable-cxx \
		--disable-nls --disable-libdane --disable-guile --disable-hardware-acceleration --disable-full-test-suite
	make -j "$jobs" -C gl
	make -j "$jobs" -C lib
	make -C lib install
	# A file that a patch of Debian's adds, and for which the makefiles would have to be made anew.
	"$CC" $CFLAGS -DHAVE_CONFIG_H -I. -Igl -c -o linkedhash.o gl/gl_linkedhash_list.c
	"$AR" r "$sysroot/lib/libgnutls.a" linkedhash.o
}

build_libmicrohttpd() {
	PKG_CONFIG="pkg-config --static" GNUTLS_LIBS="-lgnutls -lhogweed -lnettle -lgmp -lz -pthread" GNUTLS_CFLAGS=-I$sysroot/include \
		LIBS="-lgnutls -lhogweed -lnettle -lgmp -lz -pthread" configure --enable-https --with-gnutls --disable-doc --disable-examples --disable-curl --disable-tools
	make -j "$jobs" -C src/microhttpd install
	make -C src/include install
	make install-pkgconfigDATA
}

build_openssl() {
	./Configure BSD-x86_64 no-shared no-tests no-dso no-engine no-legacy --prefix="$sysroot" --libdir=lib \
		--openssldir=/etc/ssl
	make -j "$jobs" build_generated
	make -j "$jobs" libcrypto.a libssl.a
	make install_dev
}

build_curl() {
	[ -x configure ] || autoreconf -fi
	configure --with-openssl="$sysroot" --with-zlib="$sysroot" --with-zstd="$sysroot" --without-brotli --without-nghttp2 \
		--without-libidn2 --without-libpsl --without-librtmp --without-libssh2 --disable-ldap --disable-rtsp \
		--disable-dict --disable-telnet --disable-tftp --disable-pop3 --disable-imap --disable-smb --disable-smtp \
		--disable-gopher --disable-mqtt --disable-manual --with-ca-path=/etc/ssl/certs --with-ca-bundle=/etc/ssl/cert.pem
	make -j "$jobs" -C lib install
	make -C include install
	make install-pkgconfigDATA
}

build_nghttp2() {
	[ -x configure ] || autoreconf -fi
	configure --enable-lib-only --disable-python-bindings --disable-examples
	make -j "$jobs" -C lib install
}

build_protobuf_c() {
	# The library only; what the generator makes is made by this machine's.
	archive protobuf-c "-I. -DPACKAGE_VERSION=\\\"1.4.1\\\" -DPACKAGE_STRING=\\\"protobuf-c_1.4.1\\\"" \
		protobuf-c/protobuf-c.c
	mkdir -p "$sysroot/include/protobuf-c"
	cp protobuf-c/protobuf-c.h "$sysroot/include/protobuf-c/"
	pc libprotobuf-c 1.4.1 -lprotobuf-c
}

build_msgpack_c() {
	sed -e 's/@MSGPACK_ENDIAN_BIG_BYTE@/0/; s/@MSGPACK_ENDIAN_LITTLE_BYTE@/1/' cmake/sysdep.h.in >include/msgpack/sysdep.h
	sed -e 's/@MSGPACK_ENDIAN_BIG_BYTE@/0/; s/@MSGPACK_ENDIAN_LITTLE_BYTE@/1/' cmake/pack_template.h.in \
		>include/msgpack/pack_template.h
	archive msgpackc -Iinclude src/*.c
	mkdir -p "$sysroot/include"
	cp -R include/* "$sysroot/include/"
	pc msgpack 4.0.0 -lmsgpackc
}

build_bzip2() {
	archive bz2 -D_FILE_OFFSET_BITS=64 blocksort.c bzlib.c compress.c crctable.c decompress.c huffman.c randtable.c
	cp bzlib.h "$sysroot/include/"
	pc bzip2 1.0.8 -lbz2
}

build_libarchive() {
	configure --disable-bsdtar --disable-bsdcat --disable-bsdcpio --without-lz4 --without-libb2 \
		--without-xml2 --without-expat --without-openssl --without-nettle --without-mbedtls --without-cng
	make -j "$jobs" libarchive.la
	make install-libLTLIBRARIES install-includeHEADERS install-pkgconfigDATA
	# FreeBSD's is in libc.
	sed -i 's/ iconv//' "$sysroot/lib/pkgconfig/libarchive.pc"
}

# ---- all of it

build() {
	name=$1
	rm -f "$cache/done/$name"
	begin=$(date +%s)
	fetch "$name" "$2"
	# Outside of any condition: inside of one a failing command would not end it.
	set +e
	(
		set -e
		cd "$cache/src/$name"
		PATH=$cache/bin:$PATH
		CC=$cache/bin/cc
		AR=$cache/bin/ar
		RANLIB=$cache/bin/ranlib
		CFLAGS="-O2 -fPIC"
		CPPFLAGS=-I$sysroot/include
		LDFLAGS=-L$sysroot/lib
		PKG_CONFIG_LIBDIR=$sysroot/lib/pkgconfig
		export PATH CC AR RANLIB CFLAGS CPPFLAGS LDFLAGS PKG_CONFIG_LIBDIR
		"build_$(echo "$name" | tr - _)"
	) >>"$cache/$name.log" 2>&1
	status=$?
	set -e
	if [ "$status" -ne 0 ]; then
		tail -n 30 "$cache/$name.log" >&2
		die "$name does not build (see $cache/$name.log)"
	fi
	rm -rf "${cache:?}/src/$name"
	echo "$2 $recipe" >"$cache/done/$name"
	echo "freebsd-sysroot: $name ${2} built in $(($(date +%s) - begin)) s"
}

# A package is as its row and its recipe here say.
recipe_of() {
	sed -n "/^build_$(echo "$1" | tr - _)()/,/^}/p" "$self" | cksum | cut -d ' ' -f 1
}

mkdir -p "$cache/done" "$cache/src" "$sysroot/include" "$sysroot/lib/pkgconfig"
find_compiler
make_tools
apt_private
stale=
echo "$packages" | while read -r name version; do
	[ -n "$name" ] || continue
	recipe=$(recipe_of "$name")
	if [ -z "$stale" ] && [ "$(cat "$cache/done/$name" 2>/dev/null)" = "$version $recipe" ]; then
		continue
	fi
	stale=yes
	build "$name" "$version"
done
