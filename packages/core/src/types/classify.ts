/** What to judge by `classify`, and how. */
export interface ClassifyOptions {
  /** What is allowed and what is not, in words; Markdown with headings, definitions and examples works best. */
  readonly policy: string;
  /** The categories of violations that the policy names. Default: whatever the model finds in it. */
  readonly categories?: readonly string[];
  /** How much the model reasons before it judges. Default: `medium`. */
  readonly reasoningEffort?: 'low' | 'medium' | 'high';
  /** Stops; the call then rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** What a model says of a content. */
export interface Verdict {
  /** Whether the content violates the policy. */
  readonly violation: boolean;
  /** The category of the violation; `null` if there is none. */
  readonly category: string | null;
  /** Why, in a sentence or two. */
  readonly rationale: string;
  /** How the model came to it. */
  readonly reasoning: string;
}
