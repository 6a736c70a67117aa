#!/bin/sh
# Images on FreeBSD: commit, push, pull, save and load between two nodes and pot-registry, and what the layers say.
# Usage: images.sh zfs|copy, beside pot's programs, pot-registry, chflags, setextattr, getextattr and w of world.py.
. "${0%/*}/tap.sh"

# What is at each name of a pot: mode, names of the file, owner, size, time; of directories no size.
contents() { # NODE POT
	mkdir "$work/scratch/out" || return 1
	for part in bin etc lib libexec sbin usr new; do
		$1 copy-out -p "$2" -s /$part -d "$work/scratch/out" || return 1
	done
	(cd "$work/scratch/out" && find . ! -type d -exec ls -lnT {} + | sed 's,^l[rwxst-]*,l,' &&
		find . -mindepth 1 -type d -exec ls -ldnT {} + | awk '{ $2 = $5 = ""; print }') | sort -k 10
	rm -r "$work/scratch/out"
}
same() { # NODE POT NODE POT
	contents "$1" "$2" >"$work/scratch/one" && contents "$3" "$4" >"$work/scratch/two" &&
		[ "$(wc -l <"$work/scratch/one")" -gt 50 ] && cmp "$work/scratch/one" "$work/scratch/two"
}
digest_of() { $1 images --digests | sed -n "s/^$2 .*\(sha256:[0-9a-f]*\).*/\1/p"; }
do_in() { # NODE POT TEXT
	printf '%s\n' "$3" >"$work/scratch/script" && $1 copy-in -p "$2" -s "$work/scratch/script" -d /root/script &&
		$1 set-cmd -p "$2" -c 'sh -e /root/script' && $1 start -a "$2"
}

begin
node a
node b
pot-registry serve --listen 127.0.0.1:5000 --data "$work/scratch/registry" >"$work/scratch/registry.log" 2>&1 &
servers="$servers $!"
ok "the registry serves" until_true test -s "$work/scratch/registry.log"

ok "a base" a create-base -b world --from "$here/w/world"
ok "a pot of it" a create -p one -b world -N none
ok "which changes what it was made of" do_in a one '
mkdir -p /new/deep/dir && echo new >/new/deep/file && ln /new/deep/file /new/twice && ln /new/deep/file /new/deep/thrice
ln /bin/ls /new/ls && ln -s ../deep /new/soft && ln -s /nowhere /new/dangling
echo changed >>/etc/hosts2 && rm /usr/soft /etc/protocols && mv /etc/services.d /etc/s 2>/dev/null || :
rm -r /usr/share && mkdir /usr/share && echo again >/usr/share/again
rm /usr/hard && mkdir /usr/hard && echo in >/usr/hard/in
chmod 4755 /bin/echo && chmod 1777 /new && touch -t 200102030405 /new/old && echo x >/new/file0
truncate -s 3000000 /new/holes && echo end >>/new/holes'
for program in chflags setextattr getextattr; do
	a copy-in -p one -s "$here/$program" -d /root
done
ok "its flags and attributes" do_in a one '/root/setextattr user colour red /new/file0 && /root/chflags nodump /new/file0'
ok "becomes an image" a commit -p one -t changed:1 -m 'a change'
first=$(digest_of a changed:1)
ok "has a digest" test -n "$first"
for tag in 1 2; do
	ok "and with a date for all" env SOURCE_DATE_EPOCH=1700000000 pot --root "$work/a" commit -p one -t dated:$tag
done
is "is the same image both times" "$(digest_of a dated:1)" digest_of a dated:2
a history changed:1 | sed 's/^/# /'

ok "a pot of the image" a create -p two --image changed:1 -N none
ok "has the same files" same a one a two
has "names of one file are one file" "1" do_in a two 'test /new/twice -ef /new/deep/thrice && test /new/ls -ef /bin/ls && echo 1'
is "attributes are kept" "red" do_in a two '/root/getextattr -q user colour /new/file0'
# A file on ZFS has one of its own, uarch.
is "flags are not" "" do_in a two 'ls -lo /new/file0 | sed -n /nodump/p'
has "what was taken away is away" "1" do_in a two 'test ! -e /usr/soft && test ! -e /etc/protocols && test -f /usr/share/again && test -d /usr/hard && test "$(ls /usr/share)" = again && echo 1'

# ---- to another node
ok "goes to the registry" a push changed:1 127.0.0.1:5000/team/changed:1
ok "comes to the other node" b pull --as changed:1 127.0.0.1:5000/team/changed:1
is "as it was" "$first" digest_of b changed:1
ok "a pot of it there" b create -p one --image changed:1 -N none
ok "has the same files there" same a one b one
ok "which goes on" do_in b one 'echo more >/more && rm /new/twice'
ok "makes a layer on it" b commit -p one -t 127.0.0.1:5000/team/changed:2
ok "that goes to the registry" b push 127.0.0.1:5000/team/changed:2
ok "and back" a pull 127.0.0.1:5000/team/changed:2
ok "where a pot of it" a create -p three --image 127.0.0.1:5000/team/changed:2 -N none
has "has both" "more more" do_in a three 'test ! -e /new/twice && echo $(cat /more) $(cat /more)'
has "it has three layers" "" a history 127.0.0.1:5000/team/changed:2
a history 127.0.0.1:5000/team/changed:2 | sed 's/^/# /'

# ---- of a snapshot, and of one that changed nothing
ok "a snapshot" a snapshot -p one -n then
ok "after which it changes" do_in a one 'echo later >/later'
ok "the snapshot becomes an image" a commit -p one -n then -t then:1
ok "of which a pot" a create -p then --image then:1 -N none
fails "has nothing of later" "" do_in a then 'cat /later'
ok "the same files twice" a create -p same --image changed:1 -N none
ok "make an image" a commit -p same -t same:1
has "without a layer of their own" "0B" a history same:1

# ---- files
ok "saved" a save -o "$work/scratch/saved.tar" changed:1 then:1
ok "the pot there goes" b destroy -p one
ok "its images go" b rmi -f changed:1 127.0.0.1:5000/team/changed:2
is "there is none left" "" b images -q
has "loaded" changed:1 b load -i "$work/scratch/saved.tar"
is "it is as it was" "$first" digest_of b changed:1
ok "a pot of what was loaded" b create -p loaded --image changed:1 -N none
ok "has its files" same a two b loaded

# ---- a registry that goes, a pull that is cut
ok "its pot goes" b destroy -p loaded
ok "and its images" b rmi changed:1 then:1
ok "and what they left" b image prune -a
for server in $servers; do
	kill "$server" && wait "$server"
done
servers=
fails "no registry, no image" "127.0.0.1:5000" b pull 127.0.0.1:5000/team/changed:1
is "nothing is left of it" "" b images -q
finish
