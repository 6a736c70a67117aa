#!/bin/sh
# Formats every C file with .clang-format, or with --check only says which
# ones would change (exit status 1).
set -eu
cd "$(dirname "$0")/.."

list() {
	find include src tests bench -name '*.[ch]' -type f -print0
}
case ${1-} in
--check) list | xargs -0 clang-format --dry-run -Werror ;;
'') list | xargs -0 clang-format -i ;;
*)
	echo "usage: ${0##*/} [--check]" >&2
	exit 2
	;;
esac
