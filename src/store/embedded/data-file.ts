import { open } from "node:fs/promises";

/** The store's file cannot be what was once written: opening it would read nonsense or kill the process. */
export class CorruptStoreError extends Error {
  readonly code = "CORRUPT_STORE";

  constructor(file: string, problem: string, options?: ErrorOptions) {
    super(
      `the store ${file} is damaged: ${problem}; restore it from a copy, or move it away to start empty`,
      options,
    );
    this.name = "CorruptStoreError";
  }
}

const MAGIC = 0xbeefc0de;
const META_OFFSET = 24;
const MIN_PAGE = 512;
const MAX_PAGE = 65_536;

/**
 * Looks at the head of an LMDB file before it is mapped. A truncated or overwritten file is answered here with
 * an error, since reading a mapping past the end of its file ends the process with a signal.
 * @throws CorruptStoreError
 */
export async function checkDataFile(file: string): Promise<void> {
  let handle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    throw error;
  }
  try {
    const { size } = await handle.stat();
    if (size === 0) return;
    const head = Buffer.alloc(Math.min(size, 2 * MAX_PAGE));
    await handle.read(head, 0, head.length, 0);
    const first = readMeta(head, 0);
    if (first === undefined) throw new CorruptStoreError(file, "its first page is not a store's");
    const second = readMeta(head, first.pageSize);
    if (second === undefined) throw new CorruptStoreError(file, "its second page is not a store's");
    const newest = second.transaction > first.transaction ? second : first;
    const needed = (newest.lastPage + 1) * first.pageSize;
    if (size < needed) {
      throw new CorruptStoreError(
        file,
        `it has ${String(size)} bytes where its last commit needs ${String(needed)}`,
      );
    }
  } finally {
    await handle.close();
  }
}

/** A meta page: 24 bytes page header, then magic, version, address, map size, two databases, last page, id. */
function readMeta(
  head: Buffer,
  offset: number,
): { pageSize: number; lastPage: number; transaction: number } | undefined {
  const at = offset + META_OFFSET;
  if (head.length < at + 136) return undefined;
  if (head.readUInt32LE(at) !== MAGIC) return undefined;
  const pageSize = head.readUInt32LE(at + 24);
  const lastPage = Number(head.readBigUInt64LE(at + 24 + 96));
  const transaction = Number(head.readBigUInt64LE(at + 24 + 96 + 8));
  if (pageSize < MIN_PAGE || pageSize > MAX_PAGE) return undefined;
  return { pageSize, lastPage, transaction };
}
