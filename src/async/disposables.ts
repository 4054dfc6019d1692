/** What was opened, in order; disposing closes it in the reverse order and tries all of it. */
export class Disposables implements AsyncDisposable {
  readonly #opened: (AsyncDisposable | Disposable)[] = [];

  add<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.#opened.push(resource);
    return resource;
  }

  /** @throws the first error, after everything else was closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let last = this.#opened.pop(); last !== undefined; last = this.#opened.pop()) {
      try {
        if (Symbol.asyncDispose in last) await last[Symbol.asyncDispose]();
        else last[Symbol.dispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
