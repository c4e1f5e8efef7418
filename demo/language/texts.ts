import { english } from './english.ts';

/** The texts of the page in one language. */
export type Texts = typeof english;

/** The texts in the language of the page. */
export const texts: Texts = english;
