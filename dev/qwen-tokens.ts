/**
 * The stand-in's tokeniser. It is not Qwen's: it only has what matters to a meter. Text is normalised to NFC and cut into
 * pieces that each have at least one byte and together are the text:
 *
 * - up to six ASCII letters, with the space before them
 * - one digit
 * - a run of white space
 * - any other code point by itself
 */
const piece = / ?[A-Za-z]{1,6}|\d|\s+|[^\s]/gu;

export const tokenise = (text: string): string[] => text.normalize('NFC').match(piece) ?? [];

export const countTokens = (text: string): number => tokenise(text).length;
