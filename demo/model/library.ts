/** Loads ossicle, once: the page and its chats are shown before its engine has arrived. */
export const loadLibrary = (): Promise<typeof import('ossicle')> => import('ossicle');
