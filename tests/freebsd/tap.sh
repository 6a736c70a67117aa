# shellcheck shell=sh
# What the scripts here share: TAP, a place of their own on a disk of their own, nodes on it. Sourced, with the storage in $1:
# zfs or copy (UFS). DISK names an empty disk; without it one is made of memory. Everything that was made goes at the end.
set -u
here=$(cd "${0%/*}" && pwd)
PATH=$here:$PATH
export PATH
storage=${1-zfs}
count=0
failed=0
work=/mnt/pottest
md=
servers=

say() { # OK WHAT
	count=$((count + 1))
	[ "$1" = ok ] || failed=$((failed + 1))
	echo "$1 $count - $storage: $2"
}

tell() { # WHAT STATUS: of the command whose output is in $said
	echo "# status $2"
	echo "$said" | head -n 12 | sed 's/^/# /'
}

# ok WHAT COMMAND...
ok() {
	what=$1
	shift
	if said=$("$@" 2>&1); then
		say ok "$what"
	else
		tell "$what" $?
		say "not ok" "$what"
	fi
}

# is WHAT OUTPUT COMMAND...
is() {
	what=$1 want=$2
	shift 2
	status=0
	said=$("$@" 2>&1) || status=$?
	if [ "$said" = "$want" ] && [ $status -eq 0 ]; then
		say ok "$what"
	else
		tell "$what" $status
		say "not ok" "$what"
	fi
}

# has WHAT TEXT COMMAND...: it ends well and says TEXT somewhere
has() {
	what=$1 want=$2
	shift 2
	status=0
	said=$("$@" 2>&1) || status=$?
	case $status:$said in
	0:*"$want"*) say ok "$what" ;;
	*)
		tell "$what" $status
		say "not ok" "$what"
		;;
	esac
}

# fails WHAT TEXT COMMAND...: it fails and says TEXT
fails() {
	what=$1 want=$2
	shift 2
	status=0
	said=$("$@" 2>&1) || status=$?
	case $status:$said in
	0:*) ;;
	*"$want"*)
		say ok "$what"
		return
		;;
	esac
	tell "$what" $status
	say "not ok" "$what"
}

not() { ! "$@"; }

# until_true COMMAND...: for half a minute
until_true() {
	i=0
	until "$@"; do
		i=$((i + 1))
		[ $i -lt 300 ] || return 1
		sleep 0.1
	done
}

begin() {
	disk=${DISK-}
	if [ -z "$disk" ]; then
		md=$(mdconfig -a -t swap -s 3g) || exit 1
		disk=/dev/$md
	fi
	mkdir -p "$work"
	case $storage in
	zfs) zpool create -f -m "$work" pottest "$disk" && zfs create pottest/scratch ;;
	copy) newfs "$disk" >/dev/null && mount "$disk" "$work" ;;
	esac || exit 1
	mkdir -p "$work/scratch"
}

# node NAME: an installation of its own; "pot --root $work/NAME" is NAME from then on
node() {
	if [ "$storage" = zfs ]; then
		ok "a node $1" pot --root "$work/$1" init --storage zfs --zfs-root "pottest/$1" -m
	else
		ok "a node $1" pot --root "$work/$1" init --storage copy -m
	fi
	eval "$1() { pot --root $work/$1 \"\$@\"; }"
	nodes="${nodes-} $1"
}

# serve DIR: sets $url and $server
serve() {
	said=$(freebsd-serve "$1") || exit 1
	server=${said%% *}
	url=http://127.0.0.1:${said##* }
	servers="$servers $server"
}

finish() {
	for pid in $servers; do
		kill "$pid"
	done
	for name in ${nodes-}; do
		ok "$name goes without a rest" pot --root "$work/$name" de-init -f
	done
	cd /
	case $storage in
	zfs) ok "the pool goes" zpool destroy pottest ;;
	copy) ok "the disk is let go" umount "$work" ;;
	esac
	[ -z "$md" ] || mdconfig -d -u "$md"
	rmdir "$work" 2>/dev/null
	echo "1..$count"
	[ $failed -eq 0 ] || echo "# $failed of $count failed"
	exit $((failed > 0))
}
