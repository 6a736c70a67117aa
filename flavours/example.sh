#!/bin/sh
# The script of a flavour: runs as root inside the pot, with the pot's network, after the command file was carried
# out. Its environment has the parameters by their names. What it changes in the files is the flavour; its processes
# end with it. When it fails (any status but 0) the pot is not made.
#
# The outcome is kept: as long as this file, the command file, what they copy and the parameters are the same, a pot
# made on the same base gets it without running anything. So let it depend on nothing else.
set -eu

: "${greeting:=Hello}"

echo "$greeting from the flavour example, on $(uname -s)" >>/etc/motd
