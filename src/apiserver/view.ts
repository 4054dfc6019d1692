import type { KindDefinition } from "../api/machinery/kind.ts";
import type { Form } from "./negotiate.ts";

/** How a caller wants to see objects. */
export interface View {
  readonly form: Form;
  readonly kind: KindDefinition;
  /** Epoch milliseconds of the request, for ages. */
  readonly nowMs: number;
  /** For `includeObject` of tables. */
  readonly query: URLSearchParams;
}
