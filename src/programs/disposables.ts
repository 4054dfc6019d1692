/** What was opened, in order; disposing closes it in the reverse order and tries all of it. */
export class Disposables implements AsyncDisposable {
  readonly #opened: AsyncDisposable[] = [];

  add<T extends AsyncDisposable>(resource: T): T {
    this.#opened.push(resource);
    return resource;
  }

  /** @throws the first error, after everything else was closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let last = this.#opened.pop(); last !== undefined; last = this.#opened.pop()) {
      try {
        await last[Symbol.asyncDispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
