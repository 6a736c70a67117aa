#!/bin/bash
# Two btrfs file systems in files, for tests.
#
#   prepare_btrfs.sh up DIR [off|full|simple]   make them; quotas as named (default off)
#   prepare_btrfs.sh run DIR COMMAND...         run a command where they are seen
#   prepare_btrfs.sh down DIR                   take everything away again, DIR included
#
# DIR/mnt is on 4 GiB (sparse), DIR/small on 256 MiB. The mounts are in the
# caller's mount namespace; loop devices go with them. Needs root.
set -eu

quota() { # MODE MOUNTPOINT: btrfs-progs before 6.7 cannot turn simple quotas on
	case $1 in
	off) ;;
	full) btrfs quota enable "$2" && btrfs quota rescan -w "$2" >/dev/null ;;
	simple) python3 - "$2" <<'EOF'
import fcntl, os, struct, sys
BTRFS_IOC_QUOTA_CTL, ENABLE_SIMPLE = 0xC0109428, 4
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
fcntl.ioctl(fd, BTRFS_IOC_QUOTA_CTL, struct.pack("QQ", ENABLE_SIMPLE, 0))
EOF
	;;
	*) echo "quotas: off, full or simple, not $1" >&2; return 2 ;;
	esac
}

one() { # NAME SIZE MODE
	truncate -s "$2" "$dir/$1.img"
	mkfs.btrfs -q "$dir/$1.img"
	mkdir "$dir/$1"
	mount -o loop "$dir/$1.img" "$dir/$1"
	quota "$3" "$dir/$1"
}

down() {
	local name
	[ -d "$dir" ] || return 0
	for name in mnt small; do
		if mountpoint -q "$dir/$name"; then umount "$dir/$name"; fi
		rm -rf --one-file-system "${dir:?}/$name" "$dir/$name.img"
	done
	# What a test left in it goes too, but nothing that is mounted.
	rm -rf --one-file-system "${dir:?}"
}

verb=${1:?up, run or down} dir=${2:?a directory}
shift 2
case $verb in
up)
	mkdir -p "$dir"
	dir=$(realpath "$dir")
	trap '[ $? -eq 0 ] || down' EXIT
	one mnt 4G "${1:-off}"
	one small 256M "${1:-off}"
	;;
run) exec "$@" ;;
down) down ;;
*) echo "usage: $0 up|run|down DIR" >&2; exit 2 ;;
esac
