import type { LibraryHandle } from "koffi";

/** The C library of this machine: what Node has no function for is called through it. */
export interface Libc {
  /** A function by its C declaration, e.g. `int close(int fd)`. */
  func(declaration: string): ReturnType<LibraryHandle["func"]>;
  /** `errno` after the last call. */
  errno(): number;
  /** Memory that the C library and JavaScript both see, zeroed; it stays until the process ends. */
  allocate(bytes: number): NativeMemory;
}

export interface NativeMemory {
  readonly buffer: ArrayBuffer;
  /** Where it starts: what C calls a pointer. */
  readonly address: bigint;
}

export type LibcLoad =
  | { readonly kind: "loaded"; readonly libc: Libc }
  | { readonly kind: "missing"; readonly reason: string };

/** glibc, then musl; each by the name that its own loader knows. */
const NAMES = ["libc.so.6", "libc.so"];

/**
 * Loads the native library that calls C functions, only when it is asked for: it costs some milliseconds and
 * megabytes. Where it cannot load (no prebuilt file for this platform, not Linux), the caller falls back or
 * refuses with `reason`.
 */
export async function loadLibc(): Promise<LibcLoad> {
  if (process.platform !== "linux") return missing(`${process.platform} is not Linux`);
  try {
    const koffi = await import("koffi");
    const lib = open(koffi.load);
    return {
      kind: "loaded",
      libc: {
        func: (declaration) => lib.func(declaration),
        errno: () => koffi.errno(),
        allocate: (bytes) => {
          // koffi's values for pointers have no type of their own.
          const pointer: unknown = koffi.alloc("uint8_t", bytes);
          const buffer = koffi.view(pointer, bytes);
          new Uint8Array(buffer).fill(0);
          return { buffer, address: koffi.address(pointer) };
        },
      },
    };
  } catch (error) {
    return missing(error instanceof Error ? error.message : String(error));
  }
}

function open(load: (name: string) => LibraryHandle): LibraryHandle {
  const failures: string[] = [];
  for (const name of NAMES) {
    try {
      return load(name);
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(failures.join("; "));
}

function missing(reason: string): LibcLoad {
  return { kind: "missing", reason };
}
