#!/bin/sh
# Takes away what a finished service does not need: documentation, message catalogues, the toolchain, caches.
# What is installed stays installed and works; packages can still be added afterwards.
set -eu

keep_docs=${keep_docs:-no}
keep_toolchain=${keep_toolchain:-no}
keep_packages=${keep_packages:-yes}
keep_locales=${keep_locales:-}

# Is the word one of the list?
among() {
	case " $2 " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# Everything below a directory but these names.
empty_but() {
	dir=$1
	shift
	[ -d "$dir" ] || return 0
	for entry in "$dir"/* "$dir"/.[!.]*; do
		among "${entry##*/}" "$*" || rm -rf "$entry"
	done
}

# Directories of languages. "en" keeps en, en_GB and en@quot.
drop_locales() {
	[ -d "$1" ] || return 0
	for entry in "$1"/*; do
		name=${entry##*/}
		language=${name%%[_.@]*}
		case $name in
		C | C.* | POSIX | locale.alias) continue ;;
		esac
		among "$name" "$keep_locales" || among "$language" "$keep_locales" || rm -rf "$entry"
	done
}

caches() {
	empty_but /tmp
	empty_but /var/tmp
	empty_but /var/cache/pkg
	empty_but /var/cache/apt archives
	empty_but /var/cache/apt/archives partial
	empty_but /var/cache/debconf config.dat passwords.dat templates.dat
	empty_but /var/lib/apt/lists partial
	empty_but /var/db/freebsd-update
	rm -f /var/cache/ldconfig/aux-cache /var/log/*.gz /var/log/*.old /var/log/dpkg.log /var/log/alternatives.log \
		/var/log/apt/*.log /var/log/bootstrap.log /var/lib/dpkg/*-old
	# Written again by whoever needs them.
	rm -f /var/cache/debconf/*-old
	rm -rf /root/.cache /usr/obj
	find / -xdev -name __pycache__ -type d -prune -exec rm -rf {} +
}

docs() {
	# What a licence asks to be kept with the program is kept.
	find /usr/share/doc /usr/local/share/doc ! -type d ! -iname 'copyright*' ! -iname 'licen[cs]e*' \
		! -iname 'copying*' ! -iname 'notice*' -exec rm -f {} + 2>/dev/null || true
	find /usr/share/doc /usr/local/share/doc -depth -type d -exec rmdir {} + 2>/dev/null || true
	for dir in /usr/share /usr/local/share /usr/local; do
		rm -rf "$dir/man" "$dir/info" "$dir/examples" "$dir/groff" "$dir/lintian" "$dir/linda" "$dir/help" \
			"$dir/gtk-doc" "$dir/doc-base" "$dir/openssl/man"
	done
	rm -rf /usr/share/games /usr/share/calendar /usr/share/dict /usr/tests /usr/local/tests
}

# ---- Debian and its kin ----------------------------------------------------------

apt() {
	apt-get -q -y -o Dpkg::Use-Pty=0 -o APT::AutoRemove::RecommendsImportant=false \
		-o APT::AutoRemove::SuggestsImportant=false "$@"
}

# Those that are there only because somebody wanted to build things or to read manuals. The mark lets
# autoremove take what nothing else needs, and only that.
debian_packages() {
	export DEBIAN_FRONTEND=noninteractive
	# What merged /usr has done its work, and holds the whole of perl; an empty package can stand for it.
	if [ "$keep_toolchain" = no ] && dpkg-query -W usrmerge >/dev/null 2>&1; then
		apt -o APT::Update::Error-Mode=any update
		apt --no-install-recommends install usr-is-merged usrmerge-
	fi
	patterns='man-db manpages* groff-base info install-info e2fsprogs logsave'
	if [ "$keep_toolchain" = no ]; then
		patterns="$patterns perl perl-modules-* libperl5* lib*-perl gcc gcc-* g++ g++-* cpp cpp-* clang* llvm* make cmake
		    binutils* dpkg-dev build-essential autoconf automake libtool pkg-config pkgconf gdb lib*-dev linux-libc-dev"
	fi
	# shellcheck disable=SC2086 # words are wanted, and dpkg-query matches the patterns itself
	installed=$(set -f && dpkg-query -f '${db:Status-Abbrev} ${Package}\n' -W $patterns 2>/dev/null |
		sed -n 's/^ii *//p')
	# shellcheck disable=SC2086
	[ -z "$installed" ] || apt-mark auto $installed >/dev/null
	apt autoremove --purge
}

# The package manager itself and what only it needs. dpkg's list of what is installed stays for scanners.
debian_manager() {
	rm -rf /usr/lib/apt /usr/lib/dpkg /etc/apt /var/lib/apt /var/cache/apt /usr/share/keyrings /usr/share/perl5 \
		/usr/share/debconf /var/cache/debconf /var/lib/dpkg/info
	rm -f /usr/bin/apt /usr/bin/apt-* /usr/bin/dpkg /usr/bin/dpkg-* /usr/bin/debconf* /usr/sbin/dpkg-* \
		/usr/lib/*/libapt-pkg.so.* /usr/lib/*/libapt-private.so.*
}

debian() {
	if command -v apt-get >/dev/null; then
		debian_packages
	fi
	if [ "$keep_docs" = no ]; then
		docs
	fi
	drop_locales /usr/share/locale
	drop_locales /usr/lib/locale
	rm -rf /usr/share/i18n /usr/share/bug /usr/share/icons /usr/share/zoneinfo/right /usr/share/zoneinfo/posix
	# Conversions between character sets: UTF-8 and its kin are in libc itself.
	for dir in /usr/lib/*/gconv; do
		empty_but "$dir" gconv-modules gconv-modules.d gconv-modules.cache ISO8859-1.so ISO8859-15.so \
			UTF-16.so UTF-32.so UNICODE.so CP1252.so
	done
	# What was taken away is not installed again with the next package.
	if [ -d /etc/dpkg/dpkg.cfg.d ]; then
		{
			[ "$keep_docs" != no ] || printf '%s\n' 'path-exclude=/usr/share/doc/*' \
				'path-include=/usr/share/doc/*/copyright' 'path-exclude=/usr/share/man/*' 'path-exclude=/usr/share/info/*'
			printf '%s\n' 'path-exclude=/usr/share/locale/*' 'path-include=/usr/share/locale/locale.alias'
			for name in $keep_locales; do
				printf 'path-include=/usr/share/locale/%s*\n' "$name"
			done
		} >/etc/dpkg/dpkg.cfg.d/slim
	fi
	caches
	if [ "$keep_packages" = no ]; then
		debian_manager
	fi
}

# ---- FreeBSD ------------------------------------------------------------------------

freebsd_toolchain() {
	rm -rf /usr/include /usr/lib/clang /usr/libdata/pkgconfig /usr/libdata/ldscripts /usr/share/mk /usr/share/dtrace
	for name in CC ar as addr2line brandelf byacc c++ c++filt c89 c99 cc clang clang++ clang-cpp clang-scan-deps cpp \
		crunchgen crunchide dtrace elfctl elfdump ld ld.bfd ld.lld lex lex++ flex flex++ lld lldb lldb-server \
		llvm-ar llvm-as llvm-cov llvm-cxxdump llvm-cxxfilt llvm-dwarfdump llvm-nm llvm-objcopy llvm-objdump \
		llvm-profdata llvm-ranlib llvm-readelf llvm-size llvm-strip llvm-symbolizer make bmake nm objcopy objdump \
		ranlib readelf size strip yacc; do
		rm -f "/usr/bin/$name"
	done
	rm -f /usr/lib/*.a /usr/lib/*.o.full
}

freebsd() {
	export ASSUME_ALWAYS_YES=yes
	if pkg -N >/dev/null 2>&1; then
		if pkg info -e FreeBSD-runtime; then
			names='.*-(dbg|dbg-lib32|man|tests|lib32|dev)'
			[ "$keep_toolchain" != no ] || names='(.*-(dbg|dbg-lib32|man|tests|lib32|dev)|(clang|lld|lldb|toolchain|bmake)(-.*)?)'
			pkg delete -f -x "^FreeBSD-$names\$" || true
		fi
		pkg autoremove
		pkg clean -a
	fi
	if [ "$keep_docs" = no ]; then
		docs
	fi
	if [ "$keep_toolchain" = no ]; then
		freebsd_toolchain
	fi
	drop_locales /usr/share/locale
	drop_locales /usr/local/share/locale
	empty_but /usr/share/nls
	rm -rf /rescue /usr/lib/debug /usr/lib32 /usr/libdata/lint /usr/share/syscons /usr/share/vt
	empty_but /boot
	caches
	if [ "$keep_packages" = no ]; then
		rm -rf /usr/local/sbin/pkg /usr/local/sbin/pkg-static /usr/local/lib/libpkg* /var/db/pkg/repos /var/db/pkg/repo-*
	fi
}

if [ "$(uname -s)" = FreeBSD ]; then
	freebsd
else
	debian
fi
