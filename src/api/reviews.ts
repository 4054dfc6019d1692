import { selfSubjectReviewKind, tokenReviewKind } from "./authentication/reviews.ts";
import {
  localSubjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  selfSubjectRulesReviewKind,
  subjectAccessReviewKind,
} from "./authorization/reviews.ts";
import type { ReviewKind } from "./machinery/kind.ts";

/** Every kind that is only asked about, in the order of discovery. */
export const REVIEWS: readonly ReviewKind[] = [
  selfSubjectReviewKind,
  tokenReviewKind,
  localSubjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  selfSubjectRulesReviewKind,
  subjectAccessReviewKind,
];
