#!/bin/sh
# Brings the system of a pot up to date: what its maker has mended since its base was made.
set -eu

# freebsd-update says 2 when there is nothing to install.
freebsd_sets() {
	export PAGER=cat
	freebsd-update --not-running-from-cron fetch
	status=0
	freebsd-update --not-running-from-cron install || status=$?
	[ "$status" -eq 0 ] || [ "$status" -eq 2 ]
}

freebsd() {
	export ASSUME_ALWAYS_YES=yes
	# A base made of packages (pkgbase) has its runtime as one.
	if pkg -N >/dev/null 2>&1 && pkg info -e FreeBSD-runtime; then
		pkg update -r FreeBSD-base
		pkg upgrade -r FreeBSD-base
	else
		freebsd_sets
	fi
	if pkg -N >/dev/null 2>&1; then
		pkg upgrade
		pkg clean -a
	fi
}

debian() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o APT::Update::Error-Mode=any update
	apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold dist-upgrade
	apt-get -q -y -o Dpkg::Use-Pty=0 autoremove --purge
	apt-get clean
	rm -rf /var/lib/apt/lists/*
}

if [ "$(uname -s)" = FreeBSD ]; then
	freebsd
elif command -v apt-get >/dev/null; then
	debian
else
	echo "update: neither FreeBSD nor a system with apt-get" >&2
	exit 1
fi
