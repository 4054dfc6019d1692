/**
 * Does the same for many items, first for one, then for two, four and so on at once. A failure ends it after its
 * batch: what fails for one (a quota, a name) would fail for all (upstream `controller_utils.go:slowStartBatch`).
 * @throws the first failure.
 */
export async function slowStart<T>(
  items: readonly T[],
  act: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let done = 0, size = 1; done < items.length; done += size, size *= 2) {
    await allOf(items.slice(done, done + size), act);
  }
}

/** Does it for all items at once, and to the end whatever fails. @throws the first failure. */
export async function allOf<T>(
  items: readonly T[],
  act: (item: T) => Promise<unknown>,
): Promise<void> {
  const outcomes = await Promise.allSettled(items.map(act));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}
