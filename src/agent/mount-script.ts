import type { Mount } from "./container-mounts.ts";

/**
 * Mounts volumes in the mount namespace that it is run in, says so and holds the namespace open. Arguments: a folder
 * of its own, then for each mount its source, its target and "rw", "ro", or "must" or "may" for one that is read-only
 * with all that is mounted below it.
 *
 * A target that does not exist cannot be made where it should be: that folder is the host's, and a user may not write
 * to it. So the nearest folder that does exist is covered by a small file system in memory which has all its entries,
 * each bound to the real one, and room for more. For `/` that file system becomes the namespace's root.
 *
 * A target may hide the sources of those after it, as `/tmp` does where they lie in it. So all are bound in the
 * folder first, and reached by ways that begin in it: a working directory is not hidden.
 *
 * Entries are bound by one `mount -a`, as a process for each would take a third of a second for `/etc`; only those
 * with names that a file of mounts would have to quote are bound one by one.
 */
const MOUNT = `
set -e
folder=$1; shift
cd "$folder"
mkdir -p stage sources
ours=
own() { case "$ours" in *"|$1|"*) return 0;; esac; return 1; }
cover() {
  mount -nc -t tmpfs -o mode=755,size=4m tmpfs stage
  dirs= links=
  : > fstab
  for entry in "\${1%/}"/* "\${1%/}"/.[!.]* "\${1%/}"/..?*; do
    new="stage/\${entry##*/}"
    case "$entry" in *[!-+.,:=@%_/a-zA-Z0-9]*) plain=;; *) plain=1;; esac
    if [ -L "$entry" ]; then
      if [ $plain ]; then links="$links $entry"; else cp -P "$entry" "$new"; fi
    elif [ -d "$entry" ]; then
      if [ $plain ]; then dirs="$dirs $new"; echo "$entry $new none rbind 0 0" >> fstab
      else mkdir "$new"; mount -nc --rbind "$entry" "$new"; fi
    elif [ -e "$entry" ]; then
      : > "$new"
      if [ $plain ]; then echo "$entry $new none bind 0 0" >> fstab
      else mount -nc --bind "$entry" "$new"; fi
    fi
  done
  [ -z "$dirs" ] || mkdir $dirs
  [ -z "$links" ] || cp -P $links stage/
  [ ! -s fstab ] || mount -nc -a -T fstab
  if [ "$1" = / ]; then
    mkdir stage/.portolan-old
    cd stage
    pivot_root . .portolan-old
    cd /
    umount -l /.portolan-old
    rmdir /.portolan-old
    cd "$folder"
  else mount -nc --move stage "$1"
  fi
  ours="$ours|$1|"
}
place() {
  above=\${1%/*}
  while [ ! -d "\${above:-/}" ]; do above=\${above%/*}; done
  above=$(realpath "\${above:-/}")
  own "$(findmnt -n -o TARGET -T "$above")" || cover "$above"
  if [ -d "$2" ]; then mkdir -p "$1"; else mkdir -p "\${1%/*}"; : > "$1"; fi
}
root() {
  while [ $# -gt 0 ]; do
    first=\${2#/}
    [ -e "/\${first%%/*}" ] || { cover /; return; }
    shift 3
  done
}
sources() {
  while [ $# -gt 0 ]; do
    if [ -d "$1" ]; then mkdir -p "sources/$#"; else : > "sources/$#"; fi
    mount -nc --rbind "$1" "sources/$#"
    shift 3
  done
}
recursive() {
  findmnt -n -l -o TARGET -R "$1" | while IFS= read -r below; do
    mount -no remount,bind,ro "$below" || exit 1
  done
}
targets() {
  while [ $# -gt 0 ]; do
    at=$(realpath -m "$2")
    [ -e "$at" ] || place "$at" "sources/$#"
    mount -nc --rbind "sources/$#" "$at"
    [ "$3" = rw ] || mount -no remount,bind,ro "$at"
    [ "$3" != must ] || recursive "$at"
    [ "$3" != may ] || recursive "$at" || true
    ours="$ours|$at|"
    shift 3
  done
}
root "$@"
sources "$@"
targets "$@"
echo ready
exec sleep infinity
`;

/** The words that run {@link MOUNT}. `folder` is one that nobody else uses. */
export function mountCommand(folder: string, mounts: readonly Mount[]): readonly string[] {
  const words = mounts.flatMap(({ source, target, isReadOnly, recursion, subPath = "" }) => [
    subPath === "" ? source : `${source}/${subPath}`,
    target,
    isReadOnly ? (recursion === "none" ? "ro" : recursion) : "rw",
  ]);
  return ["sh", "-c", MOUNT, "sh", folder, ...words];
}

/** Makes a file system in memory for a volume of a Pod, once; arguments: its folder, its options, its part. */
const MEMORY = `
set -e
[ "$(findmnt -n -o TARGET -T "$1")" = "$1" ] || mount -nt tmpfs -o "$2" tmpfs "$1"
[ -z "$3" ] || mkdir -p "$1/$3"
[ "$(realpath "$1/$3")" = "$1\${3:+/$3}" ]
`;

/** The words that run {@link MEMORY}; undefined for a mount that is not in memory. */
export function memoryCommand({ memory, subPath = "" }: Mount): readonly string[] | undefined {
  if (memory === undefined) return undefined;
  const size = memory.bytes > 0 ? [`size=${String(Math.ceil(memory.bytes))}`] : [];
  const options = ["mode=0777", "nosuid", "nodev", ...size].join(",");
  return ["sh", "-c", MEMORY, "sh", memory.dir, options, subPath];
}
