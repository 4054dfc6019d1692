import type { Libc } from "../../src/kernel/libc.ts";
import { loadLibc } from "../../src/kernel/libc.ts";
import { readMessages } from "../../src/kernel/netlink/message-reader.ts";
import { MESSAGE } from "../../src/kernel/nftables/batch.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import type { KernelAccess } from "../../src/proxy/nftables/open-tables.ts";

const IP6 = 10;
/** No kernel knows it. */
const NO_FAMILY = 200;

type Send = (fd: number, bytes: Uint8Array, length: number, flags: number) => number;

/**
 * The kernel's tables as a kernel has them that was built without something: what is sent asks for what no kernel has,
 * under the name of what is to be missing, and so the refusal is the real one.
 */
export class LackingKernel {
  /** Names of expressions, and families. */
  readonly lacks = new Set<string>();

  async access(): Promise<KernelAccess> {
    const load = await loadLibc();
    if (load.kind === "missing") throw new Error(load.reason);
    const tables = new NetlinkTables(this.#without(load.libc));
    return {
      tables,
      flows: undefined,
      remark: undefined,
      [Symbol.dispose]: () => {
        tables[Symbol.dispose]();
      },
    };
  }

  #without(libc: Libc): Libc {
    return {
      errno: () => libc.errno(),
      allocate: (bytes) => libc.allocate(bytes),
      func: (declaration) => {
        const call = libc.func(declaration);
        if (!/ send\(/.test(declaration)) return call;
        // Koffi's functions take and give what their declarations say, which its types do not know.
        const send = call as Send;
        const changed: Send = (fd, bytes, length, flags) =>
          send(fd, this.#changed(bytes), length, flags);
        return changed as typeof call;
      },
    };
  }

  #changed(bytes: Uint8Array): Uint8Array {
    const copy = bytes.slice();
    if (this.lacks.has("ip6")) {
      for (const { type, body } of readMessages(copy)) {
        if (type === MESSAGE.newTable && body[0] === IP6) body[0] = NO_FAMILY;
      }
    }
    const text = Buffer.from(copy.buffer);
    for (const name of this.lacks) {
      for (let at = text.indexOf(`${name}\0`); at !== -1; at = text.indexOf(`${name}\0`, at + 1)) {
        text[at] = "x".charCodeAt(0);
      }
    }
    return copy;
  }
}
