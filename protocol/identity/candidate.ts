import { ok, type Result, refuse } from '../result.ts';
import { LIMITS, TAG } from './policy.ts';
import { type FieldLines, fieldValue } from './received-request.ts';
import type { RefusalCode } from './refusal.ts';
import { type InnerList, type Item, parseDictionary } from './structured-field.ts';

/** A reason code with the words for it; becomes a `Refusal` once the route is known. */
export type Fault = { readonly code: RefusalCode; readonly message: string };

/** A `Signature-Input` member tagged for this profile and whatever `Signature` holds under the same label. */
export type Candidate = {
  readonly label: string;
  readonly input: Item | InnerList;
  readonly signature: Item | InnerList | undefined;
};

const tooLarge = (message: string): { readonly ok: false; readonly error: Fault } =>
  refuse({ code: 'signature_too_large', message });

/**
 * The candidates of a request in wire order, within the limits (ERC-8128 section 3.5). What is refused here fails the
 * whole message: no candidate is looked at. Labels mean nothing; the tag alone chooses.
 */
export const candidatesOf = (fields: FieldLines): Result<readonly Candidate[], Fault> => {
  const inputText = fieldValue(fields, 'signature-input');
  const signatureText = fieldValue(fields, 'signature');
  if (inputText === undefined || signatureText === undefined) {
    const name = inputText === undefined ? 'Signature-Input' : 'Signature';
    return refuse({ code: 'signature_missing', message: `the request has no ${name} field; sign it` });
  }
  // Characters, not bytes: beyond ASCII the parse fails anyway.
  if (Math.max(inputText.length, signatureText.length) > LIMITS.fieldBytesMax) {
    return tooLarge(`Signature-Input and Signature may have ${LIMITS.fieldBytesMax} bytes each`);
  }
  const inputs = parseDictionary(inputText);
  if (!inputs.ok) {
    return refuse({ code: 'signature_input_invalid', message: `Signature-Input is ${inputs.error}` });
  }
  const signatures = parseDictionary(signatureText);
  if (!signatures.ok) {
    return refuse({ code: 'signature_input_invalid', message: `Signature is ${signatures.error}` });
  }

  const candidates: Candidate[] = [];
  for (const [label, input] of inputs.value) {
    const tag = input.parameters.get('tag');
    if (tag?.type === 'string' && tag.value === TAG) {
      candidates.push({ label, input, signature: signatures.value.get(label) });
    }
  }
  if (candidates.length === 0) {
    return refuse({ code: 'no_acceptable_signature', message: `no signature is tagged "${TAG}"` });
  }
  if (candidates.length > LIMITS.candidatesMax) {
    return tooLarge(`at most ${LIMITS.candidatesMax} signatures may be tagged "${TAG}"`);
  }
  for (const { label, input, signature } of candidates) {
    if (input.kind === 'inner-list' && input.items.length > LIMITS.componentsMax) {
      return tooLarge(`${label}: at most ${LIMITS.componentsMax} components may be covered`);
    }
    if (input.parameters.size > LIMITS.parametersMax) {
      return tooLarge(`${label}: at most ${LIMITS.parametersMax} signature parameters are read`);
    }
    const bytes = signature?.kind === 'item' && signature.value.type === 'bytes' ? signature.value.value : [];
    if (bytes.length > LIMITS.signatureBytesMax) {
      return tooLarge(`${label}: a signature may have ${LIMITS.signatureBytesMax} bytes`);
    }
  }
  return ok(candidates);
};
