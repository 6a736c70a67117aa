#!/bin/sh
# Runs the storage conformance suite on every mechanism, on real file systems
# made for it: overlay on this disk, and on ext4, btrfs and a zpool in files,
# each with a small one to fill up. Needs root. Leaves nothing behind.
#   run_storage.sh PATH/TO/storage-conformance [MECHANISM...]
set -eu

# All mounts are in a namespace of our own, and shared there as on most systems.
if [ "${1-}" != --inside ]; then
	exec unshare -m --propagation slave sh -c 'mount --make-rshared / && exec "$0" --inside "$@"' "$0" "$@"
fi
shift

suite=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
shift
[ $# -gt 0 ] || set -- copy overlay btrfs zfs
work=$(mktemp -d "${TMPDIR:-/tmp}/storage-conformance-XXXXXX")
status=0

clean_up() {
	umount "$work/small" 2>/dev/null || true
	umount "$work/disk" 2>/dev/null || true
	"$here/prepare_btrfs.sh" down "$work/btrfs" || true
	[ ! -d "$work/zfs" ] || "$here/prepare_zfs.sh" down "$work/zfs" || true
	rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# disk NAME SIZE MKFS...: a file system of its own at $work/NAME
disk() {
	name=$1 size=$2
	shift 2
	truncate -s "$size" "$work/$name.img"
	"$@" "$work/$name.img" >/dev/null
	mkdir "$work/$name"
	mount -o loop "$work/$name.img" "$work/$name"
}

undisk() {
	umount "$work/$1"
	rmdir "$work/$1"
	rm "$work/$1.img"
}

run_copy() {
	disk small 64M mkfs.ext4 -q -m 0
	"$suite" copy "$work/copy" --small "$work/small/pot" || status=1
	undisk small
}

run_overlay() {
	disk small 64M mkfs.ext4 -q -m 0
	"$suite" overlay "$work/overlay" --small "$work/small/pot" || status=1
	# The other way to mount, of kernels before 6.7.
	"$suite" overlay "$work/overlay" --small "$work/small/pot" --old-kernel || status=1
	undisk small
	# Without one journal for all: every directory is synced for itself.
	disk disk 512M mkfs.btrfs -q
	"$suite" overlay "$work/disk/pot" || status=1
	undisk disk
}

run_btrfs() {
	for quotas in off full simple; do
		"$here/prepare_btrfs.sh" up "$work/btrfs" $quotas
		"$suite" btrfs "$work/btrfs/mnt/pot" --small "$work/btrfs/small/pot" || status=1
		"$here/prepare_btrfs.sh" down "$work/btrfs"
	done
}

run_zfs() {
	"$here/prepare_zfs.sh" up "$work/zfs"
	pool=$(cat "$work/zfs/pool")
	small=$(cat "$work/zfs/small-pool")
	"$here/prepare_zfs.sh" run "$work/zfs" "$suite" zfs "$work/zfs-pot" "$pool/pot" \
	    --small "$work/zfs-small" --small-zfs "$small/pot" || status=1
	"$here/prepare_zfs.sh" down "$work/zfs"
	rm -rf "$work/zfs-pot" "$work/zfs-small"
}

for mechanism in "$@"; do
	"run_$mechanism"
done
exit $status
