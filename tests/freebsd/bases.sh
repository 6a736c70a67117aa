#!/bin/sh
# Bases on FreeBSD: from a mirror's release set, from packages by a pkg that is played, from files and from OCI images.
# Usage: bases.sh zfs|copy, beside pot's programs, freebsd-serve and what world.py made, in w.
. "${0%/*}/tap.sh"
list=releases/amd64/amd64/14.3-RELEASE/MANIFEST

bases() { a list -b -q; }
kept() { ls "$work/a/cache/freebsd" 2>/dev/null | sed -n '/^14/p'; }
asked() { tail -n 1 "$mirror/.log"; }

# inside NAME COMMAND: what it says in a pot of the base
inside() {
	a create -p try -b "$1" -N none -c "$2" || return 1
	a start -a try
	status=$?
	a destroy -p try && return $status
}

begin
node a
mirror=$work/scratch/mirror
cp -R "$here/w/mirror" "$mirror"
serve "$mirror"

# ---- sets
echo 200000 >"$mirror/.cut"
ok "a fetch that breaks off goes on" a create-base -r 14.3 --mirror "$url"
is "from where it broke off" "${list%MANIFEST}base.txz 200000" asked
is "the base is there" 14.3 bases
has "a pot of it runs" "said by 14.3" inside 14.3 'echo said by 14.3'
ok "links and names are what they were" inside 14.3 'sh -c "test /usr/hard -ef /bin/sh && test -h /usr/soft && test -e /usr/größe"'
ok "a second one needs the list only" a create-base -r freebsd:14.3-RELEASE -b second --mirror "$url"
is "of the mirror" "$list 0" asked
fails "not twice under a name" "exists already" a create-base -r 14.3 --mirror "$url"
ok "bases go" a destroy -b second
ok "each by itself" a destroy -b 14.3

rm -f "$work"/a/cache/freebsd/14*
sed 's/	[0-9a-f]*	/	1111111111111111111111111111111111111111111111111111111111111111	/' "$here/w/mirror/$list" >"$mirror/$list"
fails "a set with another sum is refused" "its sum is another" a create-base -r 14.3 --mirror "$url"
is "and leaves no base" "" bases
is "nor anything else" "" kept
mkdir -p /usr/local/share/freebsd/MANIFESTS
cp "$here/w/mirror/$list" /usr/local/share/freebsd/MANIFESTS/amd64-amd64-14.3-RELEASE
ok "the list that is installed comes before the mirror's" a create-base -r 14.3 --mirror "$url"
rm /usr/local/share/freebsd/MANIFESTS/amd64-amd64-14.3-RELEASE
ok "that base goes" a destroy -b 14.3
cp "$here/w/mirror/$list" "$mirror/$list"

rm -f "$work"/a/cache/freebsd/14*
echo "mirror = \"$url\"" >>"$work/a/pot.conf"
echo 300000 >"$mirror/.hang"
pot --root "$work/a" create-base -r 14.3 >"$work/scratch/said" 2>&1 &
pid=$!
ok "a mirror of pot.conf is asked" until_true test -e "$mirror/.hanging"
kill -TERM $pid
wait $pid
has "what is interrupted says so" interrupted cat "$work/scratch/said"
is "and leaves no base" "" bases
is "but what came" "14.3-RELEASE-amd64-amd64.txz.part" kept
ok "its connection is closed" until_true not test -e "$mirror/.hanging"
ok "the next one makes it" a create-base -r 14.3
is "from what had come" "${list%MANIFEST}base.txz 300000" asked
fails "plain http of elsewhere proves nothing" "plain http" a create-base -r 14.2 --mirror http://192.0.2.1/
fails "no such release" "no release 14.2-RELEASE" a create-base -r 14.2

# ---- packages
cat >"$work/scratch/pkg" <<END
#!/bin/sh
[ "\$1" = --rootdir ] || exit 9
cp -Rp "$here/w/world/" "\$2"
echo "\$@" >"\$2/said"
[ ! -e "$work/scratch/fail" ]
END
chmod 755 "$work/scratch/pkg"
fails "without a pkg it says so" "is not installed" a create-base -r 15.0 --pkgbase
echo "pkg = \"$work/scratch/pkg\"" >>"$work/a/pot.conf"
ok "packages become a base" a create-base -r 15.0 --pkgbase --include FreeBSD-vi
has "pkg is told which" "ABI=FreeBSD:15:amd64" inside 15.0 'cat /said'
: >"$work/scratch/fail"
fails "a pkg that fails makes none" "installing the packages" a create-base -r 15.1 --pkgbase
fails "not even its directory" "" ls "$work/a/tmp/pkgbase.15.1"
is "only the good one is there" "14.3 15.0 " sh -c "pot --root $work/a list -b -q | sort | tr '\\n' ' '"
fails "older releases are no packages" "begin with 15.0" a create-base -r 14.3 -b other --pkgbase

# ---- files
ok "a directory" a create-base -b dir --from "$here/w/world"
ok "a tarball" a create-base -b tar --from "$here/w/mirror/${list%MANIFEST}base.txz"
ok "standard input" sh -c "pot --root $work/a create-base -b in --from - <$here/w/mirror/${list%MANIFEST}base.txz"
for name in dir tar in; do
	has "the base $name" "said by $name" inside $name "echo said by $name"
done

# ---- images
has "an archive for several systems" which a load -i "$here/w/images.tar"
ok "its image for this one becomes a base" a create-base --from which:all -b oci
is "the nearest release of FreeBSD" "freebsd 15.0" inside oci 'cat /which'
ok "a pot of the image" a create -p image --image which:all -N none
is "does what it says" "freebsd 15.0" a start -a image
ok "and goes" a destroy -p image
finish
