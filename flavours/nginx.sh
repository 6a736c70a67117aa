#!/bin/sh
# Installs nginx and lets it serve the files below one directory.
set -eu

port=${port:-80}
root=${root:-/var/www/html}

case $port in
'' | *[!0-9]*)
	echo "nginx: the port '$port' is not a number" >&2
	exit 1
	;;
esac

if [ "$(uname -s)" = FreeBSD ]; then
	export ASSUME_ALWAYS_YES=yes
	pkg install nginx
	pkg clean -a
	conf=/usr/local/etc/nginx
	user=www
elif command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o APT::Update::Error-Mode=any update
	apt-get -q -y -o Dpkg::Use-Pty=0 --no-install-recommends install nginx-light
	apt-get clean
	rm -rf /var/lib/apt/lists/*
	conf=/etc/nginx
	user=www-data
else
	echo "nginx: neither FreeBSD nor a system with apt-get" >&2
	exit 1
fi

cat >"$conf/nginx.conf" <<END
user $user;
worker_processes auto;
pid /var/run/nginx.pid;
error_log /dev/stderr;

events {
	worker_connections 1024;
}

http {
	include $conf/mime.types;
	default_type application/octet-stream;
	access_log /dev/stdout;
	sendfile on;
	server_tokens off;

	server {
		listen $port;
		listen [::]:$port;
		root $root;
		index index.html;
	}
}
END

mkdir -p "$root"
if [ ! -e "$root/index.html" ]; then
	echo '<h1>nginx in a pot</h1>' >"$root/index.html"
fi
