#!/bin/sh
# Puts the name of the shop into its page.
set -eu
: "${name:=shop}" "${root:=/var/www/html}"

sed -i "s/@NAME@/$name/g" "$root/index.html"
