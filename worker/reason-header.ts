/** The header that says why a request was refused, in a word: for proxies, logs and our own counting. */
export const reasonHeader = 'tallystick-reason';
