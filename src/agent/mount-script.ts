import type { Mount } from "./container-mounts.ts";

/**
 * Mounts volumes in the mount namespace that it is run in, says so and holds the namespace open. Arguments: a folder
 * of its own, where the namespace has the node's mounts as the node has them or nothing, then for each mount its
 * source, its target, its propagation ("private", "slave", "shared") and "rw", "ro", or "must" or "may" for one that is
 * read-only with all that is mounted below it.
 *
 * A target that does not exist cannot be made where it should be: that folder is the host's, and a user may not write
 * to it. So the nearest folder that does exist is covered by a small file system in memory which has all its entries,
 * each bound to the real one, and room for more. For `/` that file system becomes the namespace's root.
 *
 * A target may hide the sources of those after it, as `/tmp` does where they lie in it. So all are bound in the
 * folder first, and reached by ways that begin in it: a working directory is not hidden.
 *
 * What can be is bound by one `mount -a`, as a process for each would take a third of a second for `/etc`; only what has
 * a name that a file of mounts would have to quote is bound one by one. So targets wait for each other, and are mounted
 * when one that lies below another comes, or at the end.
 */
const MOUNT = `
set -e
folder=$1 tree=$2; shift 2
cd "$folder"
ours= known= dirs= waiting=
plain() { case "$1" in *[!-+.,:=@%_/a-zA-Z0-9]*) return 1;; esac; }
bind() { echo "$1 $2 none $3 0 0" >> fstab; }
flush() {
  [ -z "$dirs" ] || mkdir -p $dirs
  [ ! -s fstab ] || mount -nc -a -T fstab
  dirs= waiting=
  : > fstab
}
settle() {
  part=$1
  while [ -n "$part" ]; do
    case "$waiting" in *"|$part|"*) flush; return;; esac
    part=\${part%/*}
  done
}
straight() {
  part=$1
  while [ -n "$part" ]; do
    [ ! -L "$part" ] || return 1
    part=\${part%/*}
  done
}
own() {
  case "$known" in *"|$1|"*) return 0;; esac
  case "$ours" in *"|$(findmnt -n -o TARGET -T "$1")|"*) return 0;; esac
  return 1
}
cover() {
  flush
  mount -nc -t tmpfs -o mode=755,size=4m tmpfs stage
  links=
  [ "$1" != / ] || dirs=stage/.portolan-old
  for entry in "\${1%/}"/* "\${1%/}"/.[!.]* "\${1%/}"/..?*; do
    new="stage/\${entry##*/}"
    if [ -L "$entry" ]; then
      if plain "$entry"; then links="$links $entry"; else cp -P "$entry" "$new"; fi
    elif [ -d "$entry" ]; then
      if plain "$entry"; then dirs="$dirs $new"; bind "$entry" "$new" rbind
      else mkdir "$new"; mount -nc --rbind "$entry" "$new"; fi
    elif [ -e "$entry" ]; then
      : > "$new"
      if plain "$entry"; then bind "$entry" "$new" bind
      else mount -nc --bind "$entry" "$new"; fi
    fi
  done
  [ -z "$links" ] || cp -P $links stage/
  flush
  if [ "$1" = / ]; then
    cd stage
    pivot_root . .portolan-old
    cd /
    [ -z "$tree" ] || mount --make-rprivate /.portolan-old
    umount -l /.portolan-old
    rmdir /.portolan-old
    cd "$folder"
  else mount -nc --move stage "$1"
  fi
  ours="$ours|$1|" known="$known|$1|"
}
place() {
  above=\${1%/*}
  while [ ! -d "\${above:-/}" ]; do above=\${above%/*}; done
  above=\${above:-/}
  own "$above" || cover "$above"
  known="$known|$above|"
  if [ ! -d "$2" ]; then mkdir -p "\${1%/*}"; : > "$1"
  elif plain "$1"; then dirs="$dirs $1"
  else mkdir -p "$1"
  fi
}
root() {
  while [ $# -gt 0 ]; do
    first=\${2#/}
    [ -e "/\${first%%/*}" ] || { cover /; return; }
    shift 4
  done
}
sources() {
  while [ $# -gt 0 ]; do
    at=sources/$# how=rbind
    [ -z "$tree" ] || how=rbind,r$3
    if [ -d "$1" ]; then dirs="$dirs $at"; else : > "$at"; fi
    if plain "$1"; then bind "$1" "$at" $how
    else flush; mount -nc -o $how "$1" "$at"; fi
    shift 4
  done
  flush
  [ -n "$tree" ] || return 0
  mount -nc --make-rprivate "$tree"
  umount -l "$tree"
}
recursive() {
  findmnt -n -l -o TARGET -R "$1" | while IFS= read -r below; do
    mount -no remount,bind,ro "$below" || exit 1
  done
}
targets() {
  while [ $# -gt 0 ]; do
    at=$2 how=rbind
    settle "$at"
    straight "$at" || { at=$(realpath -m "$at"); settle "$at"; }
    [ -e "$at" ] || place "$at" "sources/$#"
    [ "$4" = rw ] || how=rbind,ro
    if plain "$at" && [ "$4" != must ] && [ "$4" != may ]; then
      bind "sources/$#" "$at" $how
      waiting="$waiting|$at|"
    else
      flush
      mount -nc -o $how "sources/$#" "$at"
      [ "$4" != must ] || recursive "$at"
      [ "$4" != may ] || recursive "$at" || true
    fi
    case "$known" in *"|$at/"*) known=;; esac
    ours="$ours|$at|"
    shift 4
  done
  flush
}
: > fstab
mkdir -p stage sources
root "$@"
sources "$@"
targets "$@"
echo ready
exec sleep infinity
`;

/**
 * The words that run {@link MOUNT}.
 * @param folder one that nobody else uses.
 * @param tree where the namespace has the node's mounts, for mounts that are not private; "" when all are.
 */
export function mountCommand(
  folder: string,
  tree: string,
  mounts: readonly Mount[],
): readonly string[] {
  const words = mounts.flatMap((mount) => {
    const { source, target, isReadOnly, recursion, propagation, memory, subPath = "" } = mount;
    const path = subPath === "" ? source : `${source}/${subPath}`;
    return [
      // Volumes in memory are the Pod's own.
      propagation === "private" || memory !== undefined ? path : `${tree}${path}`,
      target,
      propagation,
      isReadOnly ? (recursion === "none" ? "ro" : recursion) : "rw",
    ];
  });
  return ["sh", "-c", MOUNT, "sh", folder, tree, ...words];
}

/**
 * Makes a file system in memory for a volume of a Pod, once; arguments: its folder, its options, its part, and
 * "shared" when containers are to see each other's mounts in it.
 */
const MEMORY = `
set -e
if [ "$(findmnt -n -o TARGET -T "$1")" != "$1" ]; then
  mount -nt tmpfs -o "$2" tmpfs "$1"
  [ "$4" != shared ] || mount -n --make-shared "$1"
fi
[ -n "$3" ] || exit 0
mkdir -p "$1/$3"
[ "$(realpath "$1/$3")" = "$1/$3" ]
`;

/** The words that run {@link MEMORY}; undefined for a mount that is not in memory. */
export function memoryCommand(
  { memory, subPath = "" }: Mount,
  isShared: boolean,
): readonly string[] | undefined {
  if (memory === undefined) return undefined;
  const size = memory.bytes > 0 ? [`size=${String(Math.ceil(memory.bytes))}`] : [];
  const options = ["mode=0777", "nosuid", "nodev", ...size].join(",");
  return ["sh", "-c", MEMORY, "sh", memory.dir, options, subPath, isShared ? "shared" : ""];
}
