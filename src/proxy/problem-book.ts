import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { TableChange } from "../core/proxy/diff.ts";
import { frontendKey } from "../core/proxy/frontend.ts";
import type { FrontendKey } from "../core/proxy/frontend.ts";
import type { FrontendProblem } from "./data-plane.ts";

/** What is known to be wrong with frontends, by Service. */
export class ProblemBook {
  readonly #byFrontend = new Map<FrontendKey, FrontendProblem>();
  readonly #byService = new Map<ObjectKey, Map<FrontendKey, FrontendProblem>>();

  /**
   * Takes the outcome of an applied change.
   * @returns the problems that are new or say something new, and the Services whose problems changed.
   */
  update(
    change: TableChange,
    problems: readonly FrontendProblem[],
  ): { readonly problems: readonly FrontendProblem[]; readonly services: ReadonlySet<ObjectKey> } {
    const now = new Map(problems.map((problem) => [problem.frontend, problem]));
    const touched = [
      ...change.added,
      ...change.removed,
      ...change.changed.map(({ after }) => after),
    ];
    const fresh: FrontendProblem[] = [];
    const services = new Set<ObjectKey>();
    for (const key of new Set(touched.map(frontendKey))) {
      const before = this.#byFrontend.get(key);
      const after = now.get(key);
      if (before?.message === after?.message && before?.service === after?.service) continue;
      if (before !== undefined) {
        this.#delete(before);
        services.add(before.service);
      }
      if (after !== undefined) {
        this.#add(after);
        services.add(after.service);
        fresh.push(after);
      }
    }
    return { problems: fresh, services };
  }

  all(): readonly FrontendProblem[] {
    return [...this.#byFrontend.values()];
  }

  of(service: ObjectKey): readonly FrontendProblem[] {
    return [...(this.#byService.get(service)?.values() ?? [])];
  }

  has(service: ObjectKey): boolean {
    return this.#byService.has(service);
  }

  retryable(): readonly FrontendKey[] {
    return this.all().flatMap((problem) => (problem.isRetryable ? [problem.frontend] : []));
  }

  #add(problem: FrontendProblem): void {
    this.#byFrontend.set(problem.frontend, problem);
    const known = this.#byService.get(problem.service);
    if (known !== undefined) known.set(problem.frontend, problem);
    else this.#byService.set(problem.service, new Map([[problem.frontend, problem]]));
  }

  #delete(problem: FrontendProblem): void {
    this.#byFrontend.delete(problem.frontend);
    const known = this.#byService.get(problem.service);
    known?.delete(problem.frontend);
    if (known?.size === 0) this.#byService.delete(problem.service);
  }
}
