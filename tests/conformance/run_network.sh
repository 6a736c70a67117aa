#!/bin/sh
# run_network.sh NETWORK_CONFORMANCE POT_NFT [CASE]: puts the programs side by side, where they find each other.
set -eu
if [ "$(id -u)" != 0 ]; then
	echo "skipped: network namespaces need root"
	exit 77
fi
dir=$(mktemp -d /tmp/pot-network-run-XXXXXX)
trap 'rm -rf "$dir"' EXIT
cp "$1" "$dir/network-conformance"
cp "$2" "$dir/pot-nft"
"$dir/network-conformance" ${3+"$3"}
