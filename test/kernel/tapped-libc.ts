import type { Libc } from "../../src/kernel/libc.ts";
import { loadLibc } from "../../src/kernel/libc.ts";

type Call = (...args: readonly unknown[]) => unknown;

/** The C library with some of its functions, by name, replaced by what is made of the real ones. */
export async function tappedLibc(
  taps: Readonly<Record<string, (real: Call) => Call>>,
): Promise<Libc> {
  const load = await loadLibc();
  if (load.kind === "missing") throw new Error(load.reason);
  const { libc } = load;
  return {
    errno: () => libc.errno(),
    allocate: (bytes) => libc.allocate(bytes),
    func: (declaration) => {
      const real = libc.func(declaration);
      const name = /(\w+)\(/.exec(declaration)?.[1] ?? "";
      // Koffi's functions take and give what their declarations say, which its types do not know.
      return (taps[name]?.(real as Call) ?? real) as typeof real;
    },
  };
}

const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
/** The kernel doubles what is asked for. */
const SMALL = Buffer.from(Uint32Array.of(212_992).buffer);

/** As in a user namespace where `net.core.wmem_max` and `rmem_max` are what they were for long: some 400 kB at once. */
export function smallBuffers(): Promise<Libc> {
  return tappedLibc({
    setsockopt: (real) => (fd, level, name, value, length) => {
      if (name === SO_SNDBUFFORCE || name === SO_RCVBUFFORCE) return -1;
      return real(
        fd,
        level,
        name,
        name === SO_SNDBUF || name === SO_RCVBUF ? SMALL : value,
        length,
      );
    },
  });
}
