#!/bin/sh
# What one wishes were there when something does not work: tracing, networks, files.
set -eu

if [ "$(uname -s)" = FreeBSD ]; then
	export ASSUME_ALWAYS_YES=yes
	# truss, ktrace, procstat, sockstat, tcpdump and drill are part of the system.
	pkg install curl gdb jq lsof strace socat tmux
	pkg clean -a
elif command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	tools='curl iproute2 iputils-ping jq less lsof netcat-openbsd procps socat strace tcpdump dnsutils'
	[ "${gdb:-no}" = no ] || tools="$tools gdb"
	apt-get -q -o APT::Update::Error-Mode=any update
	# shellcheck disable=SC2086 # a list
	apt-get -q -y -o Dpkg::Use-Pty=0 --no-install-recommends install $tools
	apt-get clean
	rm -rf /var/lib/apt/lists/*
else
	echo "debug-tools: neither FreeBSD nor a system with apt-get" >&2
	exit 1
fi
