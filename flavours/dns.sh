#!/bin/sh
# Installs dnsmasq as a resolver that keeps answers and hands on what it does not know.
set -eu

upstream=${upstream:-}
domain=${domain:-}
cache=${cache:-1000}

if [ "$(uname -s)" = FreeBSD ]; then
	export ASSUME_ALWAYS_YES=yes
	pkg install dnsmasq
	pkg clean -a
	conf=/usr/local/etc/dnsmasq.conf
elif command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o APT::Update::Error-Mode=any update
	apt-get -q -y -o Dpkg::Use-Pty=0 --no-install-recommends install dnsmasq-base
	apt-get clean
	rm -rf /var/lib/apt/lists/*
	conf=/etc/dnsmasq.conf
else
	echo "dns: neither FreeBSD nor a system with apt-get" >&2
	exit 1
fi

{
	# Names without a dot, and private addresses, are nobody's business outside.
	echo 'domain-needed'
	echo 'bogus-priv'
	echo "cache-size=$cache"
	echo 'user=nobody'
	# What the pot can be asked about are the names of its network: the hosts file that is kept current.
	echo 'localise-queries'
	if [ -n "$domain" ]; then
		echo "domain=$domain"
		echo "local=/$domain/"
		echo 'expand-hosts'
	fi
	if [ -n "$upstream" ]; then
		echo 'no-resolv'
		for server in $upstream; do
			echo "server=$server"
		done
	fi
} >"$conf"
dnsmasq --test --conf-file="$conf"
